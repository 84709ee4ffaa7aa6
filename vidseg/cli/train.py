"""`vidseg train`: train a network on folders of labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from vidseg.cli.options import argument, flag, made_of
from vidseg.config import OPTIONS

_DATA, _RUN, _RECIPE = "Data", "Run", "Recipe"


_SETTINGS = (
    *("model", "steps", "batch", "lr", "warmup", "weight_decay", "clip", "ema", "points", "semantic", "cover"),
    *("freeze", "balance", "values", "ignore", "seed"),
)
"""Options passed to `TrainSettings` unchanged."""
_REQUEST = (
    *("out", "init", "resume", "val", "val_mapping", "val_every", "imgsz", "save_every", "device", "precision", "half"),
    *("threads", "workers", "max_pixels"),
)
"""Options passed to `TrainRequest` unchanged."""
_SHORT = frozenset(
    ("out", "model", "init", "resume", "device", "mix", "holdout", "classes", "values", "val", "steps", "batch", "lr")
)


@made_of(
    argument("data", list[Path], "DATA", "Folders of labelled images, or COCO's JSON.", ...),
    flag(
        "out",
        Path,
        *("--out", "-o"),
        panel=_RUN,
        metavar="DIR",
        help_text="Folder for checkpoints, weights and curves.",
        default=...,
    ),
    flag("model", str, *("--model", "-m"), panel=_RUN, help_text="A name from `vidseg models`; default m2f-mobile-ade"),
    flag(
        "init",
        str,
        "--init",
        panel=_RUN,
        metavar="FILE",
        help_text="Start from the weights in this file, of this model, or `pretrained`.",
    ),
    flag("resume", bool, "--resume", panel=_RUN, help_text="Continue the run in DIR.", default=False),
    flag(
        "save_every",
        int,
        "--save-every",
        panel=_RUN,
        metavar="N",
        help_text="Steps between checkpoints; default 200",
        default=200,
        show_default=False,
    ),
    flag(
        "device",
        str,
        *("--device", "-d"),
        panel=_RUN,
        help_text="auto, cpu, cuda, cuda:N, mps; default auto",
        default="auto",
        show_default=False,
    ),
    flag(
        "precision",
        str,
        "--precision",
        panel=_RUN,
        help_text="auto, fp32, fp16, bf16, half; default auto: mixed precision on CUDA",
        default="auto",
        show_default=False,
    ),
    flag("half", bool, "--half", panel=_RUN, help_text=OPTIONS["half"].help, default=False),
    flag("threads", int, "--threads", panel=_RUN, metavar="N", help_text="CPU threads; default all cores"),
    flag(
        "workers",
        int,
        "--workers",
        panel=_RUN,
        metavar="N",
        help_text="Processes that read images; default 0, or up to 12 on CUDA",
    ),
    flag("quiet", bool, *("--quiet", "-q"), panel=_RUN, help_text="Print errors only.", default=False),
    flag(
        "mix",
        str,
        "--mix",
        panel=_DATA,
        metavar="A,B",
        help_text="Relative shares of the datasets; default in proportion to their numbers of images",
    ),
    flag(
        "holdout",
        str,
        "--holdout",
        panel=_DATA,
        metavar="N",
        help_text="Hold out every Nth image for measuring; one number per dataset if separated by commas (0,25)",
    ),
    flag(
        "classes",
        str,
        "--classes",
        panel=_DATA,
        metavar="N|FILE",
        help_text="Number of classes, or a file with their names; default: those that DATA names, else ADE20K's 150",
    ),
    flag(
        "values",
        str,
        "--values",
        panel=_DATA,
        metavar="V=ID,...",
        help_text="Class ids of label values, e.g. 255=1 for white masks",
    ),
    flag(
        "max_pixels",
        int,
        "--max-pixels",
        panel=_DATA,
        metavar="N",
        help_text=OPTIONS["max_pixels"].texts()[0],
    ),
    flag(
        "ignore",
        str,
        "--ignore",
        panel=_DATA,
        metavar="A,B",
        help_text="Classes of DATA whose pixels count as unlabelled, e.g. background",
    ),
    flag(
        "val",
        Path,
        "--val",
        panel=_DATA,
        metavar="DIR",
        help_text="Folder to measure on; default: the held-out images",
    ),
    flag(
        "val_mapping",
        str,
        "--val-mapping",
        panel=_DATA,
        metavar="NAME|FILE",
        help_text="As in `vidseg eval --mapping`.",
    ),
    flag(
        "val_every",
        int,
        "--val-every",
        panel=_DATA,
        metavar="N",
        help_text="Steps between measurements; default 500",
        default=500,
        show_default=False,
    ),
    flag(
        "imgsz",
        int,
        "--imgsz",
        panel=_DATA,
        metavar="N",
        help_text="Long side for measuring; default as `vidseg eval` takes it",
    ),
    flag("steps", int, "--steps", panel=_RECIPE, metavar="N", help_text="Number of steps; default 2000"),
    flag("batch", int, "--batch", panel=_RECIPE, metavar="N", help_text="Crops per step; default 8"),
    flag("crop", str, "--crop", panel=_RECIPE, metavar="HxW", help_text="Size of crops; default 256x320"),
    flag(
        "cover",
        float,
        "--cover",
        panel=_RECIPE,
        metavar="0-1",
        help_text="Smallest crop, as a share of the image's side; default 0.4",
    ),
    flag("lr", float, "--lr", panel=_RECIPE, help_text="Peak learning rate; default 0.001"),
    flag(
        "warmup",
        int,
        "--warmup",
        panel=_RECIPE,
        metavar="N",
        help_text="Steps over which the learning rate rises; default 200",
    ),
    flag("weight_decay", float, "--weight-decay", panel=_RECIPE, help_text="Weight decay of AdamW; default 0.02"),
    flag("clip", float, "--clip", panel=_RECIPE, help_text="Clip gradients to this norm; default 1"),
    flag(
        "ema",
        float,
        "--ema",
        panel=_RECIPE,
        metavar="0-1",
        help_text="Decay of the moving average of weights; default 0.998",
    ),
    flag(
        "points",
        int,
        "--points",
        panel=_RECIPE,
        metavar="N",
        help_text="Points sampled per mask; 0: all; default 12544",
    ),
    flag(
        "semantic",
        float,
        "--semantic",
        panel=_RECIPE,
        help_text="Weight of the semantic (distillation) loss; default 4",
    ),
    flag(
        "freeze",
        int,
        "--freeze",
        panel=_RECIPE,
        metavar="N",
        help_text="Freeze the first N layers of the backbone; default 0",
    ),
    flag(
        "balance",
        float,
        "--balance",
        panel=_RECIPE,
        metavar="0-1",
        help_text="Sample rare classes more often; default 0, try 0.1",
    ),
    flag("seed", int, "--seed", panel=_RECIPE, metavar="N", help_text="Random seed; default 0"),
    short=_SHORT,
)
def train(given: dict[str, Any]) -> None:
    """Train a model on labelled images. Ctrl+C writes a checkpoint; `--resume` continues to the same result.

    Example: `vidseg train street/ photos/ --mix 1,3 -o runs/street --init pretrained --steps 4000 --val street_val/`.
    """
    recipe = {name: given[name] for name in _SETTINGS if given[name] is not None}
    classes = given["classes"]
    from vidseg.cli.training_console import TrainingConsole
    from vidseg.commands.train import TrainRequest
    from vidseg.commands.train import train as run_training
    from vidseg.label_file import read_labels
    from vidseg.train.settings import TrainSettings, parse_crop, parse_holdout, parse_mix

    labels = None
    if classes is not None and classes.strip().isdigit():
        recipe["classes"] = int(classes)
    elif classes is not None:
        labels = read_labels(classes, Path(), "--classes", listed_by="vidseg classes --weights FILE")
        recipe["classes"] = len(labels)
    if given["crop"] is not None:
        recipe["crop_hw"] = parse_crop(given["crop"])
    if given["holdout"] is not None:
        recipe["holdout"] = parse_holdout(given["holdout"])
    if given["mix"] is not None:
        recipe["mix"] = parse_mix(given["mix"])
    settings = TrainSettings(**recipe)
    asked = {name: given[name] for name in _REQUEST}
    request = TrainRequest(
        data=tuple(given["data"]), settings=settings, labels=labels, classes_of_data=classes is None, **asked
    )
    with TrainingConsole(quiet=given["quiet"]) as console:
        outcome = run_training(request, console)
    if outcome.finished:
        console.note(f"wrote {outcome.weights} and {outcome.curves}")
    else:
        console.note(f"stopped after step {outcome.steps}; continue with --resume")
        raise typer.Exit(outcome.exit_code)
