"""`images/` and `labels/` (or `masks/`) with a PNG for each picture: grey, a palette, or colours with a table of them.

Also by parts: `images/train`, `labels/train`; or `train/images`, `train/labels`; or `train`, `train_labels` (CamVid on
Kaggle). The table of classes lies in the folder or above the part: see `colours.TABLE_FILES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from vidseg.data.formats.colours import ColourTable, find_table, has_colours, read_colours_or_values
from vidseg.data.formats.layout import (
    ANY_PART,
    IMAGE_SUFFIXES,
    Layout,
    Pair,
    Part,
    chosen_part,
    images_in,
    refuse_unlabelled,
)
from vidseg.errors import ConfigError
from vidseg.frames import UInt8Array
from vidseg.labels import LabelSet

_LABEL_FOLDERS = ("labels", "masks")
_LABEL_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
_ENDINGS = ("", "_mask", "_label", "_labels", "_L")
"""What the name of a label picture may add to that of its image."""


def find(path: Path, part: Part, labels: LabelSet | None = None) -> Layout | None:
    """The data set in a folder of this layout; None for another.

    Args:
        labels: the network's classes; their colours count where the folder has no table.
    Raises:
        ConfigError: there are no images, or images without labels.
    """
    places = {name: (images, there) for name, images, there in _places(path)}
    name = "" if "" in places else chosen_part(places, part)
    if name is None:
        return None
    images, there = places[name]
    found = find_table(path) or (find_table(path.parent) if path.name in ANY_PART else None)
    table = None
    if found is not None and has_colours(found[1]):
        table = ColourTable(found[0], str(found[1]))
    elif found is None and labels is not None:
        table = _colours_where_told(labels, "--classes")
    return Layout(
        f"{images.relative_to(path)}/ and {there.relative_to(path)}/",
        path,
        _pairs(images, there),
        partial(_read, table=table),
        classes=None if found is None else found[0],
        values=True,
    )


def _places(path: Path) -> Iterator[tuple[str, Path, Path]]:
    """For each part, "" for the whole: its folders of images and of labels."""
    for word in _LABEL_FOLDERS:
        images, labels = path / "images", path / word
        if not (images.is_dir() and labels.is_dir()):
            continue
        parts = [name for name in ANY_PART if (images / name).is_dir() and (labels / name).is_dir()]
        if not parts and (word == _LABEL_FOLDERS[-1] or _label_files(labels) or not (path / "masks").is_dir()):
            yield "", images, labels
            return
        yield from ((name, images / name, labels / name) for name in parts)
    for name in ANY_PART:
        for word in _LABEL_FOLDERS:
            if (path / name / "images").is_dir() and (path / name / word).is_dir():
                yield name, path / name / "images", path / name / word
            elif (path / name).is_dir() and (path / f"{name}_{word}").is_dir():
                yield name, path / name, path / f"{name}_{word}"


def _pairs(images: Path, labels: Path) -> tuple[Pair, ...]:
    found = images_in(images)
    if not found:
        raise ConfigError(f"{images}: no images; accepted: {', '.join(IMAGE_SUFFIXES)}")
    files = _label_files(labels)
    names = [(image, [image.stem + ending for ending in _ENDINGS] + [image.name]) for image in found]
    matches = [(image, next((files[name] for name in tried if name in files), None)) for image, tried in names]
    refuse_unlabelled(labels, [image for image, label in matches if label is None], len(found))
    return tuple(Pair(image.stem, image, label) for image, label in matches if label is not None)


def _label_files(folder: Path) -> dict[str, Path]:
    """Label pictures by their names without the ending, PNGs before others."""
    files = [path for path in folder.iterdir() if path.suffix.casefold() in _LABEL_SUFFIXES and path.name[0] != "."]
    return {path.stem: path for path in sorted(files, key=lambda path: path.suffix.casefold() == ".png")}


def _read(pair: Pair, *, table: ColourTable | None) -> UInt8Array:
    return read_colours_or_values(pair.labels, table)


def _colours_where_told(labels: LabelSet, origin: str) -> ColourTable | None:
    """None where classes share a colour: nobody has painted with them."""
    try:
        return ColourTable(labels, origin)
    except ConfigError:
        return None
