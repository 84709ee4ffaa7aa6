"""`vidseg train`: a network learns from folders of labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

_DATA, _RUN, _RECIPE = "Data", "Run", "Recipe"


def _option(*names: str, panel: str, help_text: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, rich_help_panel=panel, help=help_text, metavar=metavar, show_default=False)


def train(
    data: Annotated[
        list[Path], typer.Argument(metavar="DATA...", help="Folders with images/, labels/ and perhaps soft/.")
    ],
    out: Annotated[Path, _option("--out", "-o", panel=_RUN, metavar="DIR", help_text="Checkpoints, weights, curves.")],
    model: Annotated[
        str | None, _option("--model", "-m", panel=_RUN, help_text="See `vidseg models`; default fai-m2f-n-ade")
    ] = None,
    init: Annotated[
        str | None,
        _option("--init", panel=_RUN, metavar="FILE", help_text="Start from this file, this model, or `pretrained`."),
    ] = None,
    resume: Annotated[bool, _option("--resume", panel=_RUN, help_text="Go on with the run in DIR.")] = False,
    save_every: Annotated[
        int, _option("--save-every", panel=_RUN, metavar="N", help_text="Steps between checkpoints; default 200")
    ] = 200,
    device: Annotated[
        str, _option("--device", "-d", panel=_RUN, help_text="auto, cpu, cuda, cuda:N, mps; default auto")
    ] = "auto",
    precision: Annotated[
        str, _option("--precision", panel=_RUN, help_text="auto, float32, float16, bfloat16; default auto: AMP on CUDA")
    ] = "auto",
    threads: Annotated[
        int | None, _option("--threads", panel=_RUN, metavar="N", help_text="CPU threads; default all cores")
    ] = None,
    workers: Annotated[
        int | None,
        _option("--workers", panel=_RUN, metavar="N", help_text="Reading processes; default 0; up to 12 on CUDA"),
    ] = None,
    quiet: Annotated[bool, _option("--quiet", "-q", panel=_RUN, help_text="Print errors only.")] = False,
    mix: Annotated[
        str | None,
        _option("--mix", panel=_DATA, metavar="A,B", help_text="Shares of the datasets; default by number of pictures"),
    ] = None,
    holdout: Annotated[
        str | None,
        _option(
            "--holdout", panel=_DATA, metavar="N", help_text="Keep every Nth picture to measure on; 0,25: one each"
        ),
    ] = None,
    classes: Annotated[
        str | None,
        _option("--classes", panel=_DATA, metavar="N|FILE", help_text="How many, or their names; default ADE20K's 150"),
    ] = None,
    values: Annotated[
        str | None,
        _option("--values", panel=_DATA, metavar="V=ID,...", help_text="What label values mean: 255=1 for white masks"),
    ] = None,
    val: Annotated[
        Path | None,
        _option("--val", panel=_DATA, metavar="DIR", help_text="Measure on these; default: on the held-out"),
    ] = None,
    val_mapping: Annotated[
        str | None, _option("--val-mapping", panel=_DATA, metavar="NAME|FILE", help_text="As `vidseg eval --mapping`.")
    ] = None,
    val_every: Annotated[
        int, _option("--val-every", panel=_DATA, metavar="N", help_text="Steps between measurements; default 500")
    ] = 500,
    imgsz: Annotated[
        int | None, _option("--imgsz", panel=_DATA, metavar="N", help_text="Long side for measuring; default by model")
    ] = None,
    steps: Annotated[
        int | None, _option("--steps", panel=_RECIPE, metavar="N", help_text="How many; default 2000")
    ] = None,
    batch: Annotated[
        int | None, _option("--batch", panel=_RECIPE, metavar="N", help_text="Crops per step; default 8")
    ] = None,
    crop: Annotated[
        str | None, _option("--crop", panel=_RECIPE, metavar="HxW", help_text="Size of crops; default 256x320")
    ] = None,
    cover: Annotated[
        float | None,
        _option("--cover", panel=_RECIPE, metavar="0-1", help_text="Smallest cut of a side; default 0.4"),
    ] = None,
    lr: Annotated[float | None, _option("--lr", panel=_RECIPE, help_text="Highest rate; default 0.001")] = None,
    warmup: Annotated[
        int | None, _option("--warmup", panel=_RECIPE, metavar="N", help_text="Steps of rising rate; default 200")
    ] = None,
    weight_decay: Annotated[
        float | None, _option("--weight-decay", panel=_RECIPE, help_text="Of AdamW; default 0.02")
    ] = None,
    clip: Annotated[float | None, _option("--clip", panel=_RECIPE, help_text="Longest gradient; default 1")] = None,
    ema: Annotated[
        float | None, _option("--ema", panel=_RECIPE, metavar="0-1", help_text="Memory of the average; default 0.998")
    ] = None,
    points: Annotated[
        int | None,
        _option("--points", panel=_RECIPE, metavar="N", help_text="Points per mask; 0: all cells; default 12544"),
    ] = None,
    semantic: Annotated[
        float | None,
        _option("--semantic", panel=_RECIPE, help_text="Weight of the semantic (distillation) loss; default 4"),
    ] = None,
    freeze: Annotated[
        int | None,
        _option("--freeze", panel=_RECIPE, metavar="N", help_text="Keep the first N layers of the backbone; default 0"),
    ] = None,
    balance: Annotated[
        float | None,
        _option(
            "--balance", panel=_RECIPE, metavar="0-1", help_text="Show rare classes more often; default 0, try 0.1"
        ),
    ] = None,
    seed: Annotated[int | None, _option("--seed", panel=_RECIPE, metavar="N", help_text="Default 0")] = None,
) -> None:
    """Train a model on labelled pictures. Ctrl+C writes a checkpoint; `--resume` goes on to the same result.

    Example: `vidseg train street/ photos/ --mix 1,3 -o runs/street --init pretrained --steps 4000 --val street_val/`.
    """
    given: dict[str, Any] = {
        name: value
        for name, value in {
            "model": model,
            "steps": steps,
            "batch": batch,
            "lr": lr,
            "warmup": warmup,
            "weight_decay": weight_decay,
            "clip": clip,
            "ema": ema,
            "points": points,
            "semantic": semantic,
            "cover": cover,
            "freeze": freeze,
            "balance": balance,
            "values": values,
            "seed": seed,
        }.items()
        if value is not None
    }
    from vidseg.cli.training_console import TrainingConsole
    from vidseg.commands.train import TrainRequest
    from vidseg.commands.train import train as run_training
    from vidseg.runtimes.label_file import read_labels
    from vidseg.train.settings import TrainSettings, parse_crop, parse_holdout, parse_mix

    labels = None
    if classes is not None and classes.strip().isdigit():
        given["classes"] = int(classes)
    elif classes is not None:
        labels = read_labels(classes, Path(), "--classes", listed_by="vidseg classes --weights FILE")
        given["classes"] = len(labels)
    if crop is not None:
        given["crop_hw"] = parse_crop(crop)
    if holdout is not None:
        given["holdout"] = parse_holdout(holdout)
    if mix is not None:
        given["mix"] = parse_mix(mix)
    request = TrainRequest(
        data=tuple(data),
        out=out,
        settings=TrainSettings(**given),
        labels=labels,
        init=init,
        resume=resume,
        val=val,
        val_mapping=val_mapping,
        val_every=val_every,
        imgsz=imgsz,
        save_every=save_every,
        device=device,
        precision=precision,
        threads=threads,
        workers=workers,
    )
    with TrainingConsole(quiet=quiet) as console:
        outcome = run_training(request, console)
    if outcome.finished:
        console.note(f"wrote {outcome.weights} and {outcome.curves}")
    else:
        console.note(f"stopped after step {outcome.steps}; --resume goes on")
        raise typer.Exit(outcome.exit_code)
