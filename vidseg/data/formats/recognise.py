"""The one door to labelled pictures: says which format a folder or file is of, and how it is read."""

from __future__ import annotations

from pathlib import Path

from vidseg.data.formats import ade20k, cityscapes, coco, plain, voc
from vidseg.data.formats.layout import Layout, Part
from vidseg.errors import ConfigError
from vidseg.labels import LabelSet

_ACCEPTED = (
    "accepted: images/ with labels/ or masks/; SegmentationClass/ (Pascal VOC, CVAT); gtFine/ (Cityscapes); "
    "annotations/ of ADE20K; or COCO's JSON"
)
_DEEPEST = 3
"""Folders inside each other, each the only one in the one around it: what an archive may be unpacked into."""


def recognise(path: str | Path, part: Part = "train", labels: LabelSet | None = None) -> Layout:
    """The labelled pictures in a folder, or of a file that stands for them.

    Args:
        part: which part is taken, where there are several and `path` does not say.
        labels: the network's classes, for label pictures in their colours.
    Raises:
        ConfigError: none of the formats, one that is not whole, or one that cannot be told from another.
    """
    folder = Path(path)
    if not folder.exists():
        raise ConfigError(f"{folder}: does not exist; {_ACCEPTED}")
    inner = folder
    for _ in range(_DEEPEST):
        found = _found(inner, part, labels)
        if found is not None:
            return found
        there = [each for each in inner.iterdir() if each.is_dir() and each.name[0] != "."] if inner.is_dir() else []
        if len(there) != 1:
            break
        inner = there[0]
    for name, other in (("images", "labels"), ("labels", "images"), ("masks", "images")):
        if (folder / name).is_dir() and not (folder / other).is_dir():
            raise ConfigError(f"{folder}: has {name}/, but no {other}/ beside it; {_ACCEPTED}")
    raise ConfigError(f"{folder}: no labelled images of a known format; {_ACCEPTED}")


def _found(path: Path, part: Part, labels: LabelSet | None) -> Layout | None:
    for find in (voc.find, cityscapes.find, ade20k.find):
        found = find(path, part)
        if found is not None:
            return found
    return plain.find(path, part, labels) or coco.find(path, part)
