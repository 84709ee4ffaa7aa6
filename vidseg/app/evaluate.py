"""Measures a model on labelled pictures with the segmenter that runs use."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from vidseg import zoo
from vidseg.atomic import PartFile, write_whole_file
from vidseg.data.folder import FolderDataset
from vidseg.data.mapping import read_mapping
from vidseg.errors import ConfigError
from vidseg.labels import ade20k
from vidseg.metrics import Scores, scores
from vidseg.models import config_for
from vidseg.runtimes.loading import load_model
from vidseg.runtimes.torch_runtime import TorchRuntime, pick_device, pick_precision
from vidseg.segment.postprocess import LABEL_RULES
from vidseg.segment.segmenter import QuerySegmenter
from vidseg.train.evaluate import evaluate as count_pixels


class Reporter(Protocol):
    """Told what happens; prints it, or does not."""

    def note(self, text: str) -> None:
        """Something the user should know, one sentence."""
        ...

    def download(self, done: int, total: int | None) -> None:
        """Bytes of weights so far, and in all if known."""
        ...

    def checking(self, done: int, total: int) -> None:
        """Pictures measured."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRequest:
    """What to measure on what."""

    data: Path
    model: str = "fai-m2f-n-ade"
    weights: str | None = None
    classes: int | None = None
    """Of the weights, without "no object"; None for the published number."""
    imgsz: int | None = None
    rule: str = "semantic"
    mapping: str | None = None
    only: tuple[str, ...] = ()
    """Count the truth of these classes only; names or ids, of the mapping where there is one."""
    every: int | None = None
    """Measure every Nth picture only, the first included: what `vidseg train --holdout N` leaves out."""
    json: Path | None = None
    overwrite: bool = False
    """The JSON file may replace one that exists."""
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured; `names` are those of the rows of `scores`."""

    names: tuple[str, ...]
    scores: Scores
    pictures: int
    description: str
    """Model, engine and size, for people."""

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
        }


def evaluate(request: EvalRequest, reporter: Reporter) -> Evaluation:
    """Measure, and write the JSON file where one is asked for.

    Raises:
        ConfigError: the dataset, mapping, or an option is wrong, or no pixel has a truth.
        SinkError: the JSON file exists, or its folder does not.
        VidsegError: anything else the user can mend.
    """
    if request.rule not in LABEL_RULES:
        raise ConfigError(f"--rule is {request.rule!r}; accepted: {', '.join(LABEL_RULES)}")
    for name, value, low in (
        ("imgsz", request.imgsz, 32),
        ("every", request.every, 1),
        ("classes", request.classes, 1),
    ):
        if value is not None and value < low:
            raise ConfigError(f"--{name} is {value}; accepted: {low} or more")
    if request.json is not None:  # a wrong name is told at the start
        PartFile(request.json, overwrite=request.overwrite).discard()
    entry = zoo.entry(request.model)
    device = pick_device(request.device)
    precision = pick_precision(request.precision, device)
    num_classes = request.classes or config_for(entry.name).num_classes
    mapping = None if request.mapping is None else read_mapping(request.mapping)
    names = mapping.names if mapping is not None else class_names(num_classes)
    chosen = [_find(word, names) for word in request.only] or None
    every = request.every
    dataset = FolderDataset(
        request.data,
        num_classes=num_classes,
        keep=None if every is None else lambda number, _: number % every == 0,
    )
    if request.threads is not None:
        torch.set_num_threads(request.threads)
    weights = Path(request.weights) if request.weights else None
    network = load_model(
        entry.name, weights, num_classes=request.classes, announce=reporter.note, progress=reporter.download
    )
    runtime = TorchRuntime(network, device, precision)
    imgsz = request.imgsz or entry.imgsz["cpu" if device.type == "cpu" else "cuda"]
    segmenter = QuerySegmenter(runtime, imgsz=imgsz, rule=request.rule)
    confusion = count_pixels(segmenter, dataset, num_classes=num_classes, mapping=mapping, progress=reporter.checking)
    found = scores(confusion, chosen)
    if found.pixels == 0:
        raise ConfigError(f"{request.data}: no pixel has a label of the measured classes; nothing can be measured")
    result = Evaluation(names, found, len(dataset), f"{entry.name}, {runtime.name}, long side {imgsz}")
    if request.json is not None:
        write_whole_file(request.json, (json.dumps(result.as_dict(), indent=2) + "\n").encode())
    return result


def class_names(num_classes: int) -> tuple[str, ...]:
    """ADE20K's names, or plain numbers where the model has another number of classes."""
    labels = ade20k()
    return labels.names if num_classes == len(labels) else tuple(map(str, range(num_classes)))


def _find(word: str, names: tuple[str, ...]) -> int:
    if names == ade20k().names:
        return ade20k().find(word)
    if word not in names:
        raise ConfigError(f"--only: unknown class '{word}'; known: {', '.join(names)}")
    return names.index(word)
