"""`vidseg eval`: how right a model is on labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vidseg.cli.options import option
from vidseg.errors import ConfigError


def evaluate(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder with images/ and labels/; or ADE20K's own.")],
    model: Annotated[str, option("--model", "-m", help_text="See `vidseg models`; or a network file.")] = (
        "m2f-mobile-ade"
    ),
    weights: Annotated[str | None, option("--weights", metavar="FILE", help_text="Your own weights.")] = None,
    trust_model: Annotated[bool, option("--trust-model", help_text="As in `vidseg run`.")] = False,
    imgsz: Annotated[int | None, option("--imgsz", metavar="N", help_text="Long side the model sees.")] = None,
    short_side: Annotated[
        int | None, option("--short-side", metavar="N", help_text="Short side a network file sees.")
    ] = None,
    label_set: Annotated[
        str | None, option("--label-set", metavar="NAME|FILE", help_text="As in `vidseg run`.")
    ] = None,
    rule: Annotated[str, option("--rule", help_text="semantic or winner-query.")] = "semantic",
    mapping: Annotated[
        str | None, option("--mapping", metavar="NAME|FILE", help_text="Score coarser classes: camvid11, or a YAML.")
    ] = None,
    groups: Annotated[
        bool, option("--groups", help_text="Also groups of classes: person, animal, vehicle, ...")
    ] = False,
    values: Annotated[
        str | None, option("--values", metavar="V=ID,...", help_text="As `vidseg train --values`.")
    ] = None,
    only: Annotated[str | None, option("--only", metavar="A,B", help_text="Score these classes only.")] = None,
    every: Annotated[
        int | None,
        option("--every", metavar="N", help_text="Every Nth picture only: those `train --holdout N` leaves out."),
    ] = None,
    json: Annotated[Path | None, option("--json", metavar="FILE", help_text="Write the scores there too.")] = None,
    overwrite: Annotated[bool, option("--overwrite", "-y", help_text="Replace the JSON file if it exists.")] = False,
    device: Annotated[str, option("--device", "-d", help_text="auto, cpu, cuda, cuda:N, mps.")] = "auto",
    runtime: Annotated[
        str | None,
        option(
            "--runtime", help_text="auto, torch, openvino, onnxruntime, torch-compile; default torch, for int8 auto."
        ),
    ] = None,
    precision: Annotated[
        str, option("--precision", help_text="auto, float32, float16, bfloat16, int8, fast.")
    ] = "auto",
    threads: Annotated[int | None, option("--threads", metavar="N", help_text="CPU threads; default all.")] = None,
    quiet: Annotated[bool, option("--quiet", "-q", help_text="No progress.")] = False,
) -> None:
    """Measure a model on labelled pictures: mIoU, mean and pixel accuracy, fwIoU, and each class.

    Example: `vidseg eval camvid/val -m m2f-mobile-ade --mapping camvid11`.
    """
    from vidseg.cli.training_console import TrainingConsole, print_evaluation
    from vidseg.commands.evaluate import EvalRequest
    from vidseg.commands.evaluate import evaluate as run_evaluation

    request = EvalRequest(
        data=data,
        model=model,
        weights=weights,
        trust_model=trust_model,
        runtime=runtime,
        imgsz=imgsz,
        short_side=short_side,
        label_set=label_set,
        rule=rule,
        mapping=mapping,
        groups=groups,
        values=values,
        only=() if only is None else _words(only),
        every=every,
        json=json,
        overwrite=overwrite,
        device=device,
        precision=precision,
        threads=threads,
    )
    with TrainingConsole(quiet=quiet) as console:
        result = run_evaluation(request, console)
    print_evaluation(result)


def _words(text: str) -> tuple[str, ...]:
    """Those between the commas. Raises ConfigError where there are none."""
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not words:
        raise ConfigError(f"--only is {text!r}; accepted: names or ids of classes, separated by commas")
    return words
