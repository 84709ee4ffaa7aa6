"""Cityscapes as it is downloaded: `leftImg8bit/PART/CITY/*_leftImg8bit.png`, `gtFine/PART/CITY/*_gtFine_labelIds.png`.

The classes are the 19 that the benchmark scores; all other ids, such as "ego vehicle", are unknown. Where there are no
`labelIds`, `labelTrainIds` are read. `gtCoarse` is read where there is no `gtFine`, or where it is named.

Source: mcordts/cityscapesScripts, helpers/labels.py.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from vidseg.data.formats.layout import ANY_PART, Layout, Pair, Part, chosen_part, refuse_above, refuse_absent
from vidseg.data.label_values import label_values, read_label_file
from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, UInt8Array
from vidseg.known_labels import known_labels

_NAME = "Cityscapes"
_IMAGES = "leftImg8bit"
_TRUTHS = ("gtFine", "gtCoarse")
_SCORED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The ids with a trainId, in its order: those of `known_labels("cityscapes")`."""
_HIGHEST = 33
_PARTS = (*ANY_PART, "train_extra", "test")


def find(path: Path, part: Part) -> Layout | None:
    """The data set in a folder of this layout, or a part of it (`gtFine/val`, `leftImg8bit/val`); None for another.

    Raises:
        ConfigError: there are no labels, or labels without images.
    """
    root, truth, name = path, None, None
    if root.name in _PARTS and root.parent.name in (_IMAGES, *_TRUTHS):
        root, name = root.parent, root.name
    if root.name in (_IMAGES, *_TRUTHS):
        root, truth = root.parent, root.name
    known = [each for each in _TRUTHS if (root / each).is_dir()]
    if not known or (not (root / _IMAGES).is_dir() and root == path and not _has_cities(root / known[0])):
        return None
    truth = truth if truth in known else known[0]
    if name is None:
        name = chosen_part([each for each in ANY_PART if (root / truth / each).is_dir()], part)
    if name is None:
        raise ConfigError(f"{root / truth}: no folder train/ or val/; unpack {_NAME} as downloaded")
    labels = root / truth / name
    for kind in ("labelIds", "labelTrainIds"):
        files = sorted(each for each in labels.rglob(f"*_{truth}_{kind}.png") if each.name[0] != ".")
        if files:
            break
    else:
        raise ConfigError(f"{labels}: no *_{truth}_labelIds.png; unpack {_NAME} as downloaded")
    pairs = tuple(_pair(file, labels, root / _IMAGES / name, f"_{truth}_{kind}") for file in files)
    absent = [str(pair.image.relative_to(root)) for pair in pairs if not pair.image.is_file()]
    refuse_absent(root, absent, len(pairs), f"{_IMAGES}/{name}/CITY/")
    where = f"{truth}/{name}"
    read = partial(_read, train_ids=kind == "labelTrainIds")
    return Layout(_NAME, root, pairs, read, classes=known_labels("cityscapes"), part=where)


def _has_cities(truth: Path) -> bool:
    return any(truth.glob("*/*/*_label*.png"))


def _pair(file: Path, labels: Path, images: Path, ending: str) -> Pair:
    name = f"{file.stem.removesuffix(ending)}_{_IMAGES}"
    return Pair(name, images / file.parent.relative_to(labels) / f"{name}.png", file)


def _read(pair: Pair, *, train_ids: bool) -> UInt8Array:
    stored = label_values(read_label_file(pair.labels), pair.labels)
    if train_ids:
        return refuse_above(pair.labels, stored, len(_SCORED), _NAME)
    # 255 is -1, the id of license plates
    refuse_above(pair.labels, stored, _HIGHEST + 1, _NAME)
    table = np.full(256, NO_LABEL, dtype=np.uint8)
    table[list(_SCORED)] = np.arange(len(_SCORED))
    return np.asarray(table[stored])
