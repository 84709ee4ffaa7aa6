"""What a weights file contains besides weights: names and colours of its classes, and its calibration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from vidseg.confidence import IDENTITY, METADATA_KEY, Calibration, parse_calibration
from vidseg.errors import CheckpointError
from vidseg.frames import NO_LABEL
from vidseg.labels import LabelSet, ade20k, generated_palette
from vidseg.zoo.checkpoint import CLASSIFIER_WEIGHT, read_checkpoint

_KEY = "labels"


def weights_labels(path: Path) -> LabelSet:
    """The classes of a weights file: those it names, else ADE20K's where it has as many, else plain numbers.

    Raises:
        CheckpointError: the file cannot be read, it has more than 255 classes, or what it says of them cannot be
            understood.
    """
    told, count = _told_and_count(path)
    if told is not None:
        try:
            found = json.loads(told)
            names, colours = [str(name) for name in found["names"]], np.array(found["colours"], dtype=np.uint8)
            if len(names) != count or colours.shape != (count, 3):
                raise ValueError(f"{len(names)} names and {len(colours)} colours for {count} classes")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(f"{path}: names of its classes cannot be read ({error}); write it again") from error
        return _label_set(names, colours, path)
    if count is None or count == len(ade20k()):
        return ade20k()
    return _label_set([str(number) for number in range(count)], generated_palette(count), path)


def weights_calibration(path: Path) -> Calibration:
    """What the winner's share of the scores says of being right with these weights; the share itself by default.

    Raises:
        CheckpointError: what the file says of it cannot be understood.
    """
    try:
        with safetensors.safe_open(path, "numpy") as file:
            told = (file.metadata() or {}).get(METADATA_KEY)
    except (safetensors.SafetensorError, OSError, ValueError):  # another format, which cannot say it
        return IDENTITY
    try:
        return IDENTITY if told is None else parse_calibration(json.loads(told))
    except ValueError as error:
        raise CheckpointError(
            f"{path}: its calibration of confidence cannot be read ({error}); write it again"
        ) from error


def is_own_weights(path: Path) -> bool:
    """True for weights of the networks built in here, of any size; False for those of others, and for no weights."""
    try:
        return _told_and_count(path)[1] is not None
    except CheckpointError:
        return False


def labels_metadata(labels: LabelSet) -> dict[str, str]:
    """What `weights_labels` finds in the metadata of a safetensors file; nothing for ADE20K's."""
    if labels is ade20k():
        return {}
    return {_KEY: json.dumps({"names": labels.names, "colours": labels.palette.tolist()})}


def _label_set(names: list[str], palette: Any, path: Path) -> LabelSet:
    palette.setflags(write=False)
    return LabelSet(tuple(names), tuple(names), palette, f"vidseg classes --weights {path}")


def _told_and_count(path: Path) -> tuple[str | None, int | None]:
    """What the file says of its classes, and how many it has; None where it does not tell."""
    metadata: Mapping[str, str] | None = None
    try:
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata()
            keys = file.keys()  # not a dict
            rows = file.get_slice(CLASSIFIER_WEIGHT).get_shape()[0] if CLASSIFIER_WEIGHT in keys else None
    except (safetensors.SafetensorError, OSError, ValueError):  # another format, or no file
        classifier = read_checkpoint(path).get(CLASSIFIER_WEIGHT)
        rows = None if classifier is None or not classifier.ndim else len(classifier)
    if rows is not None and rows - 1 > NO_LABEL:
        raise CheckpointError(f"{path}: has {rows - 1} classes; accepted: up to {NO_LABEL}, as class ids are bytes")
    count = None if rows is None or rows < 2 else rows - 1
    return (metadata or {}).get(_KEY), count
