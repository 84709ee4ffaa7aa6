"""`vidseg train`: train a network on folders of labelled images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import typer

from vidseg.cli.options import argument, flag, made_of
from vidseg.config import OPTIONS

_data, _run, _recipe = (partial(flag, panel=panel) for panel in ("Data", "Run", "Recipe"))

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
    _run("out", Path, "Folder for checkpoints, weights and curves.", "DIR", also=("-o",), default=...),
    _run("model", str, "A name from `vidseg models`; default m2f-mobile-ade", also=("-m",)),
    _run("init", str, "Start from the weights in this file, of this model, or `pretrained`.", "FILE"),
    _run("resume", bool, "Continue the run in DIR.", default=False),
    _run("save_every", int, "Steps between checkpoints; default 200", "N", default=200),
    _run("device", str, "auto, cpu, cuda, cuda:N, mps; default auto", also=("-d",), default="auto"),
    _run("precision", str, "auto, fp32, fp16, bf16, half; default auto: mixed precision on CUDA", default="auto"),
    _run("half", bool, OPTIONS["half"].help, default=False),
    _run("threads", int, "CPU threads; default all cores", "N"),
    _run("workers", int, "Processes that read images; default 0, or up to 12 on CUDA", "N"),
    _run("quiet", bool, "Print errors only.", also=("-q",), default=False),
    _data("mix", str, "Relative shares of the datasets; default in proportion to their numbers of images", "A,B"),
    _data(
        "holdout",
        str,
        "Hold out every Nth image for measuring; one number per dataset if separated by commas (0,25)",
        "N",
    ),
    _data(
        "classes",
        str,
        "Number of classes, or a file with their names; default: those that DATA names, else ADE20K's 150",
        "N|FILE",
    ),
    _data("values", str, "Class ids of label values, e.g. 255=1 for white masks", "V=ID,..."),
    _data("max_pixels", int, OPTIONS["max_pixels"].texts()[0], "N"),
    _data("ignore", str, "Classes of DATA whose pixels count as unlabelled, e.g. background", "A,B"),
    _data("val", Path, "Folder to measure on; default: the held-out images", "DIR"),
    _data("val_mapping", str, "As in `vidseg eval --mapping`.", "NAME|FILE"),
    _data("val_every", int, "Steps between measurements; default 500", "N", default=500),
    _data("imgsz", int, "Long side for measuring; default as `vidseg eval` takes it", "N"),
    _recipe("steps", int, "Number of steps; default 2000", "N"),
    _recipe("batch", int, "Crops per step; default 8", "N"),
    _recipe("crop", str, "Size of crops; default 256x320", "HxW"),
    _recipe("cover", float, "Smallest crop, as a share of the image's side; default 0.4", "0-1"),
    _recipe("lr", float, "Peak learning rate; default 0.001"),
    _recipe("warmup", int, "Steps over which the learning rate rises; default 200", "N"),
    _recipe("weight_decay", float, "Weight decay of AdamW; default 0.02"),
    _recipe("clip", float, "Clip gradients to this norm; default 1"),
    _recipe("ema", float, "Decay of the moving average of weights; default 0.998", "0-1"),
    _recipe("points", int, "Points sampled per mask; 0: all; default 12544", "N"),
    _recipe("semantic", float, "Weight of the semantic (distillation) loss; default 4"),
    _recipe("freeze", int, "Freeze the first N layers of the backbone; default 0", "N"),
    _recipe("balance", float, "Sample rare classes more often; default 0, try 0.1", "0-1"),
    _recipe("seed", int, "Random seed; default 0", "N"),
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
