"""Measures a model on labelled pictures with the segmenter that runs use."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from vidseg.atomic import PartFile, write_whole_file
from vidseg.config import RunConfig
from vidseg.data.folder import FolderDataset, every_nth
from vidseg.data.formats.recognise import recognise
from vidseg.data.label_sets import membership
from vidseg.data.label_values import parse_values
from vidseg.data.mapping import groups, read_mapping
from vidseg.data.own_classes import check_ignore, parse_ignore
from vidseg.errors import ConfigError
from vidseg.frames import VideoInfo
from vidseg.interfaces import FrameSegmenter
from vidseg.labels import ade20k
from vidseg.metrics import Scores, group_iou, scores
from vidseg.timing import StageTimers
from vidseg.train.evaluate import confusion
from vidseg.train.evaluate import evaluate as count_pixels
from vidseg.wiring.engine import label_set, load_engine
from vidseg.wiring.reporter import Reporter

LEAST_GROUP_PIXELS = 2000
"""A group with fewer true pixels is not told: its IoU would say little."""


class PictureReporter(Reporter, Protocol):
    """Told of labelled pictures besides."""

    def checking(self, done: int, total: int) -> None:
        """Pictures of a dataset that were read, or measured."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRequest:
    """What to measure on what."""

    data: Path
    config: RunConfig
    """The model and how it runs, as in a run on pictures, so that what is measured is what a run takes; nothing else
    of it is looked at."""
    mapping: str | None = None
    groups: bool = False
    """Also the IoU of groups of classes: person, animal, vehicle and so on."""
    values: str | None = None
    """What values in label files mean, e.g. "255=1"."""
    ignore: str | None = None
    """Names of classes, with commas, whose labels count as unknown."""
    only: tuple[str, ...] = ()
    """Count the truth of these classes only; names or ids, of the mapping where there is one."""
    every: int | None = None
    """Measure every Nth picture only, the first included: what `vidseg train --holdout N` leaves out."""
    json: Path | None = None
    overwrite: bool = False
    """The JSON file may replace one that exists."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured; `names` are those of the rows of `scores`."""

    names: tuple[str, ...]
    scores: Scores
    pictures: int
    description: str
    """Model, engine and size, for people."""
    groups: dict[str, float] = field(default_factory=dict)
    """IoU of groups of classes, where asked for, of those with more than a few true pixels."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; classes without truth are left out."""
        found = self.scores
        return {
            "description": self.description,
            "pictures": self.pictures,
            "pixels": found.pixels,
            "miou": found.mean_iou,
            "macc": found.mean_accuracy,
            "pixel_accuracy": found.pixel_accuracy,
            "fwiou": found.frequency_weighted_iou,
            "classes": {
                name: {"iou": float(iou), "accuracy": float(accuracy), "truth_share": float(share)}
                for name, iou, accuracy, share in zip(
                    self.names, found.iou, found.accuracy, found.truth_share, strict=True
                )
                if not math.isnan(iou)
            },
            **({"groups": self.groups} if self.groups else {}),
        }


def evaluate(request: EvalRequest, reporter: PictureReporter) -> Evaluation:
    """Measure, and write the JSON file where one is asked for.

    Raises:
        ConfigError: the dataset, mapping, or an option is wrong, or no pixel has a truth.
        SinkError: the JSON file exists, or its folder does not.
        VidsegError: anything else the user can mend.
    """
    if request.every is not None and request.every < 1:
        raise ConfigError(f"--every is {request.every}; accepted: 1 or more")
    if request.json is not None:  # a wrong name is told at the start
        PartFile(request.json, overwrite=request.overwrite).discard()
    mapping = None if request.mapping is None else read_mapping(request.mapping)
    config = replace(request.config, smooth=False)
    labels = label_set(config)
    num_classes = len(labels)
    if (mapping is not None or request.groups) and labels.names != ade20k().names:
        option = "--groups" if mapping is None else f"--mapping {request.mapping}"
        raise ConfigError(f"{option}: maps ADE20K's classes, but {config.weights or config.model} has others")
    names = labels.names if mapping is None else mapping.names
    chosen = [labels.find(word) if mapping is None else _find(word, names) for word in request.only] or None
    layout = recognise(request.data, "val", labels)
    ignore = parse_ignore(request.ignore)
    check_ignore(ignore, [layout], labels)
    reporter.note(layout.line)
    dataset = FolderDataset(
        layout,
        num_classes=num_classes,
        keep=None if request.every is None else every_nth(request.every),
        values=None if request.values is None else parse_values(request.values, num_classes),
        max_pixels=config.max_pixels,
        labels=labels,
        ignore=ignore,
    )
    segmenter, description = _segmenter(config, reporter)
    counts = count_pixels(segmenter, dataset, num_classes=num_classes, progress=reporter.checking)
    found = scores(confusion(counts, dataset, mapping), chosen)
    if found.pixels == 0:
        raise ConfigError(f"{request.data}: no pixel has a label of the measured classes; nothing can be measured")
    member = membership(num_classes, dataset.label_sets.sets)
    by_group = {name: group_iou(counts, member, group) for name, group in groups().items()} if request.groups else {}
    told = {name: iou for name, (iou, true) in by_group.items() if true > LEAST_GROUP_PIXELS}
    result = Evaluation(names, found, len(dataset), description, told)
    if request.json is not None:
        write_whole_file(request.json, (json.dumps(result.as_dict(), indent=2) + "\n").encode())
    return result


def _segmenter(config: RunConfig, reporter: Reporter) -> tuple[FrameSegmenter, str]:
    """What labels the pictures, and a description of it."""
    engine = load_engine(config, reporter)
    still = VideoInfo(1, 1, Fraction(1), still=True)
    segmenter = engine.segmenter(config, still, StageTimers())
    return segmenter, f"{engine.model}, {engine.runtime.name}, {engine.size.words(still)}"


def _find(word: str, names: tuple[str, ...]) -> int:
    if word not in names:
        raise ConfigError(f"--only: unknown class '{word}'; known: {', '.join(names)}")
    return names.index(word)
