"""What the values of label pictures mean: how they are read, `--values`, and what a dataset holds of each class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, UInt8Array
from vidseg.video.label_png import decode_label_map

_SHOWN = 10
"""Classes named in a sentence; of 150 the others are counted."""


def read_label_file(path: Path) -> npt.NDArray[Any]:
    """(H, W) values as stored, of a palette its indices; or (H, W, 3 or 4) BGR colours. Raises ConfigError."""
    try:
        labels = decode_label_map(np.fromfile(path, np.uint8))
    except OSError:
        labels = None
    if labels is None:
        raise ConfigError(f"{path}: not a readable PNG; repair it, or remove it with its image")
    return labels


def label_values(stored: npt.NDArray[Any], path: Path) -> UInt8Array:
    """(H, W) uint8 of what `read_label_file` gives; grey may be saved in three channels. Raises ConfigError."""
    grey = stored
    if stored.ndim == 3 and stored.shape[2] >= 3 and (stored[..., :1] == stored[..., 1:3]).all():
        grey = stored[..., 0]
    if grey.ndim != 2 or grey.dtype != np.uint8:
        channels = stored.shape[2] if stored.ndim == 3 else 1
        raise ConfigError(
            f"{path}: {channels} channel{'s' if channels > 1 else ''} of {8 * stored.dtype.itemsize} bits; accepted: "
            "one channel of up to 8 bits or a palette that holds class ids, or 8-bit colours and a table of them "
            "beside the folder (labelmap.txt, or a .csv with the columns name, r, g, b)"
        )
    return np.asarray(grey, dtype=np.uint8)


def parse_values(text: str, num_classes: int) -> UInt8Array:
    """(256,) stored value -> class id, of "255=1" or "0=255,128=1"; values that are not named stay what they are.

    Raises:
        ConfigError: anything else, or a class id that there is not.
    """
    table = np.arange(256, dtype=np.uint8)
    named: set[int] = set()
    for pair in text.split(","):
        found = re.fullmatch(r"\s*([0-9]{1,3})\s*=\s*([0-9]{1,3})\s*", pair)
        value, class_id = (int(found[1]), int(found[2])) if found else (-1, -1)
        if not 0 <= value <= 255 or not (class_id < num_classes or class_id == NO_LABEL):
            raise ConfigError(
                f"--values is {text!r}; accepted: VALUE=CLASS with commas between, e.g. 255=1; values from 0 to 255, "
                f"class ids from 0 to {num_classes - 1}, or {NO_LABEL} for no label"
            )
        if value in named:
            raise ConfigError(f"--values {text}: gives {value} two meanings; leave one out")
        named.add(value)
        table[value] = class_id
    return table


def shares_text(pixels: npt.NDArray[np.int64], names: Sequence[str]) -> str:
    """ "road 61.0 %, car 3.2 %; 2 of 4 classes do not occur: dog, cat; 12.0 % of the pixels have no label".

    Args:
        pixels: (256,) number of pixels of each value.
        names: of the class ids.
    """
    labelled = pixels[:NO_LABEL]
    order = [int(value) for value in np.argsort(-labelled, kind="stable") if labelled[value]]
    shown = [
        f"{names[value] if value < len(names) else value} {_percent(labelled[value] / labelled.sum())}"
        for value in order[:_SHOWN]
    ]
    more = [f"{len(order) - _SHOWN} more"] if len(order) > _SHOWN else []
    parts = [", ".join(shown + more)] if shown else []
    absent = [name for value, name in enumerate(names) if not labelled[value]]
    if absent:
        listed = ", ".join(absent[:_SHOWN]) + (" ..." if len(absent) > _SHOWN else "")
        parts.append(
            f"{len(absent)} of {len(names)} classes {'does' if len(absent) == 1 else 'do'} not occur: {listed}"
        )
    if pixels[NO_LABEL]:
        parts.append(f"{_percent(pixels[NO_LABEL] / pixels.sum())} of the pixels have no label")
    return "; ".join(parts)


def _percent(share: float) -> str:
    return "below 0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %"
