"""ADE20K's scene parsing benchmark as it is downloaded (ADEChallengeData2016): ids from 1, and 0 for none of them.

`images/{training,validation}/*.jpg` and `annotations/{training,validation}/*.png`; or `images/` and `annotations/`
with no parts, where the names of the pictures (ADE_...) or `objectInfo150.txt` tell whose ids they are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vidseg.data.formats.layout import (
    ANY_PART,
    IMAGE_SUFFIXES,
    Layout,
    Pair,
    Part,
    chosen_part,
    images_in,
    refuse_above,
    refuse_unlabelled,
)
from vidseg.data.label_values import label_values, read_label_file
from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, UInt8Array
from vidseg.labels import ade20k

_NAME = "ADE20K"


def find(path: Path, part: Part) -> Layout | None:
    """The data set in a folder of this layout, or one part of it (`annotations/training`); None for another.

    Raises:
        ConfigError: there are no images, images without labels, or it cannot be told that these are ADE20K's ids.
    """
    root, name = path, None
    if path.name in ANY_PART and path.parent.name in ("images", "annotations"):
        root, name = path.parent.parent, path.name
    images, annotations = root / "images", root / "annotations"
    if not (images.is_dir() and annotations.is_dir()):
        return None
    if name is None:
        there = [each for each in ANY_PART if (images / each).is_dir() and _has_pngs(annotations / each)]
        name = chosen_part(there, part)
    if name is not None and not _has_pngs(annotations / name):
        return None
    others = any((root / each).is_dir() for each in ("labels", "masks"))
    if name is None and (others or not _has_pngs(annotations)):
        return None
    if name is not None:
        images, annotations = images / name, annotations / name
    found = images_in(images)
    if not found:
        raise ConfigError(f"{images}: no images; accepted: {', '.join(IMAGE_SUFFIXES)}")
    known = name is not None or (root / "objectInfo150.txt").exists()
    if not known and not all(image.name.startswith("ADE_") for image in found):
        raise ConfigError(
            f"{root}: annotations/ may count classes from 0, or from 1 as ADE20K does; "
            "call it labels/ if a value is a class id, or put ADE20K's objectInfo150.txt beside it"
        )
    pairs = tuple(Pair(image.stem, image, annotations / f"{image.stem}.png") for image in found)
    refuse_unlabelled(annotations, [pair.image for pair in pairs if not pair.labels.is_file()], len(pairs))
    return Layout(_NAME, root, pairs, _read, classes=ade20k(), part=name or "")


def _has_pngs(folder: Path) -> bool:
    return folder.is_dir() and any(path.suffix == ".png" for path in folder.iterdir())


def _read(pair: Pair) -> UInt8Array:
    stored = label_values(read_label_file(pair.labels), pair.labels)
    numbers = np.where(stored == NO_LABEL, NO_LABEL, stored - np.uint8(1)).astype(np.uint8)  # 0 becomes 255
    if ((numbers >= len(ade20k())) & (numbers != NO_LABEL)).any():
        refuse_above(pair.labels, stored, len(ade20k()) + 1, _NAME)
    return numbers
