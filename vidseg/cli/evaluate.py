"""`vidseg eval`: how accurate a model is on labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vidseg.cli.options import option
from vidseg.errors import ConfigError


def evaluate(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="Folder with images/ and labels/, or laid out as ADE20K.")
    ],
    model: Annotated[str, option("--model", "-m", help_text="A name from `vidseg models`, or a network file.")] = (
        "m2f-mobile-ade"
    ),
    weights: Annotated[str | None, option("--weights", metavar="FILE", help_text="Your own weights.")] = None,
    trust_model: Annotated[bool, option("--trust-model", help_text="As in `vidseg run`.")] = False,
    imgsz: Annotated[int | None, option("--imgsz", metavar="N", help_text="Long side of the model's input.")] = None,
    short_side: Annotated[
        int | None,
        option("--short-side", metavar="N", help_text="Short side of that (network files only)."),
    ] = None,
    label_set: Annotated[
        str | None, option("--label-set", metavar="NAME|FILE", help_text="As in `vidseg run`.")
    ] = None,
    rule: Annotated[str, option("--rule", help_text="semantic or winner-query.")] = "semantic",
    mapping: Annotated[
        str | None,
        option("--mapping", metavar="NAME|FILE", help_text="Score coarser classes: camvid11, or a YAML."),
    ] = None,
    groups: Annotated[
        bool, option("--groups", help_text="Also score groups of classes: person, animal, vehicle, ...")
    ] = False,
    values: Annotated[
        str | None, option("--values", metavar="V=ID,...", help_text="As in `vidseg train --values`.")
    ] = None,
    only: Annotated[str | None, option("--only", metavar="A,B", help_text="Score these classes only.")] = None,
    every: Annotated[
        int | None,
        option("--every", metavar="N", help_text="Measure on every Nth picture: those `train --holdout N` held out."),
    ] = None,
    json: Annotated[Path | None, option("--json", metavar="FILE", help_text="Also write the scores here.")] = None,
    overwrite: Annotated[bool, option("--overwrite", "-y", help_text="Replace an existing JSON file.")] = False,
    device: Annotated[str, option("--device", "-d", help_text="auto, cpu, cuda, cuda:N, mps.")] = "auto",
    runtime: Annotated[
        str, option("--runtime", help_text="auto (as `vidseg run`), torch, openvino, onnxruntime, torch-compile.")
    ] = "auto",
    precision: Annotated[
        str, option("--precision", help_text="auto (as `vidseg run`), float32, float16, bfloat16, int8.")
    ] = "auto",
    threads: Annotated[int | None, option("--threads", metavar="N", help_text="CPU threads; default all.")] = None,
    quiet: Annotated[bool, option("--quiet", "-q", help_text="Print no progress.")] = False,
) -> None:
    """Measure a model on labelled pictures: mIoU, mean and pixel accuracy, fwIoU, and a table of classes.

    Measures the network that `vidseg run` takes, and prints which. To compare: --runtime torch --precision float32.

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
    """The words between the commas. Raises ConfigError if there are none."""
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not words:
        raise ConfigError(f"--only is {text!r}; accepted: names or ids of classes, separated by commas")
    return words
