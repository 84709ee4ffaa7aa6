"""`vidseg eval`: how accurate a model is on labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidseg.cli.options import argument, flag, flags_of, made_of, run_options
from vidseg.errors import ConfigError

_MODEL = ("model", "weights", "trust_model", "imgsz", "short_side", "tiles", "label_set", "rule", "max_pixels")
_ENGINE = ("device", "runtime", "precision", "half", "threads")


@made_of(
    argument("data", Path, "DATA", "Folder of labelled images, or COCO's JSON.", ...),
    *run_options(_MODEL, panels=False),
    flag("mapping", str, "Score coarser classes: camvid11, or a YAML.", "NAME|FILE"),
    flag("groups", bool, "Also score groups of classes: person, animal, vehicle, ...", default=False),
    flag("values", str, "As in `vidseg train --values`.", "V=ID,..."),
    flag("ignore", str, "As in `vidseg train --ignore`.", "A,B"),
    flag("only", str, "Score these classes only.", "A,B"),
    flag("every", int, "Measure on every Nth image: those `train --holdout N` held out.", "N"),
    flag("json", Path, "Also write the scores here.", "FILE"),
    flag("overwrite", bool, "Replace an existing JSON file.", also=("-y",), default=False),
    *run_options(_ENGINE, panels=False, threads="CPU threads; default all."),
    flag("quiet", bool, "Print no progress.", also=("-q",), default=False),
)
def evaluate(given: dict[str, Any]) -> None:
    """Measure a model on labelled images: mIoU, mean and pixel accuracy, fwIoU, and a table of classes.

    Measures the network that `vidseg run` takes, and prints which. To compare: --runtime torch --precision float32.

    Example: `vidseg eval camvid/val -m m2f-mobile-ade --mapping camvid11`.
    """
    from vidseg.cli.training_console import TrainingConsole, print_evaluation
    from vidseg.commands.evaluate import EvalRequest
    from vidseg.commands.evaluate import evaluate as run_evaluation
    from vidseg.presets import resolve

    own = ("data", "mapping", "groups", "values", "ignore", "every", "json", "overwrite")
    request = EvalRequest(
        config=resolve(flags_of(given, (*_MODEL, *_ENGINE))),
        only=() if given["only"] is None else _words(given["only"]),
        **{name: given[name] for name in own},
    )
    with TrainingConsole(quiet=given["quiet"]) as console:
        result = run_evaluation(request, console)
    print_evaluation(result)


def _words(text: str) -> tuple[str, ...]:
    """The words between the commas. Raises ConfigError if there are none."""
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not words:
        raise ConfigError(f"--only is {text!r}; accepted: names or ids of classes, separated by commas")
    return words
