"""Label pictures that paint each class in a colour, with a table of names and colours beside them."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

from vidseg.data.label_values import label_values, read_label_file
from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, UInt8Array
from vidseg.label_file import read_labels
from vidseg.labels import LabelSet

TABLE_FILES = ("labelmap.txt", "class_dict.csv", "label_colors.txt", "classes.txt", "class_names.txt")
"""CVAT, CamVid on Kaggle, CamVid, label tools, labelme."""
_FOREIGN = NO_LABEL - 1
"""A colour of no class; class numbers are lower."""


class ColourTable:
    """Which class a colour stands for.

    Args:
        labels: names and colours.
        origin: of them, for messages.
        unknown: colours that say that nothing is known.
    Raises:
        ConfigError: two classes have one colour, or there are too many.
    """

    def __init__(self, labels: LabelSet, origin: str, unknown: tuple[tuple[int, int, int], ...] = ()) -> None:
        if len(labels) > _FOREIGN:
            raise ConfigError(f"{origin}: {len(labels)} classes; accepted: 1 to {_FOREIGN}")
        self._origin, self._count = origin, len(labels)
        self._class_of = np.full(1 << 24, _FOREIGN, dtype=np.uint8)
        for red, green, blue in unknown:
            self._class_of[red << 16 | green << 8 | blue] = NO_LABEL
        seen: dict[int, int] = {}
        for number, (red, green, blue) in enumerate(labels.palette.tolist()):
            code = red << 16 | green << 8 | blue
            if code in seen:
                both = f"{labels.names[seen[code]]} and {labels.names[number]}"
                raise ConfigError(f"{origin}: {both} have one colour, {red},{green},{blue}; give each its own")
            seen[code] = number
            self._class_of[code] = number

    def numbers(self, bgr: UInt8Array) -> UInt8Array:
        """(H, W) class numbers of a picture (H, W, 3 or more) of colours; `_FOREIGN` for another colour."""
        wide = bgr[..., :3].astype(np.uint32)
        return np.asarray(self._class_of[wide[..., 2] << 16 | wide[..., 1] << 8 | wide[..., 0]])

    def known(self, bgr: UInt8Array, path: Path) -> UInt8Array:
        """(H, W) uint8 class numbers of (H, W, 3) uint8 BGR colours. Raises ConfigError for a colour of no class."""
        found = self.numbers(bgr)
        wrong = bgr[found == _FOREIGN]
        if len(wrong):
            blue, green, red = wrong[0, :3].tolist()
            raise ConfigError(
                f"{path}: {len(wrong)} pixels have a colour that belongs to no class, first {red},{green},{blue}; "
                f"accepted: the {self._count} colours of {self._origin}"
            )
        return found

    def __getstate__(self) -> dict[str, object]:
        """What another process needs: without the 16 million colours of no class."""
        codes = np.flatnonzero(self._class_of != _FOREIGN)
        return {"_origin": self._origin, "_count": self._count, "_codes": codes, "_numbers": self._class_of[codes]}

    def __setstate__(self, state: dict[str, object]) -> None:
        self._origin, self._count = str(state["_origin"]), int(str(state["_count"]))
        self._class_of = np.full(1 << 24, _FOREIGN, dtype=np.uint8)
        self._class_of[np.asarray(state["_codes"])] = np.asarray(state["_numbers"])


def read_colours_or_values(path: Path, table: ColourTable | None) -> UInt8Array:
    """(H, W) class numbers of a label picture: by its colours where it has some and they are known, else its values.

    A palette whose colours are all in the table means those, else its indices. Grey saved in three channels is grey.

    Raises:
        ConfigError: the file cannot be read, or has colours that mean nothing.
    """
    stored = read_label_file(path)
    if stored.ndim == 3:
        if table is not None:
            return table.known(stored, path)
        return label_values(stored, path)
    if table is not None and _has_palette(path):
        colours = cv2.imread(str(path), cv2.IMREAD_COLOR)
        found = None if colours is None else table.numbers(np.asarray(colours, dtype=np.uint8))
        if found is not None and not (found == _FOREIGN).any():
            return found
    return label_values(stored, path)


def find_table(folder: Path) -> tuple[LabelSet, Path] | None:
    """Names and colours of the classes from a file in a folder, and the file; None where there is none.

    It is one of `TABLE_FILES`, or a CSV with the columns name, r, g, b.

    Raises:
        ConfigError: there are several, or it cannot be understood.
    """
    named = [folder / name for name in TABLE_FILES if (folder / name).is_file()]
    tables = named or [path for path in sorted(folder.glob("*.csv")) if _has_colour_columns(path)]
    if not tables:
        return None
    if len(tables) > 1:
        raise ConfigError(f"{tables[0]} and {tables[1].name} both list classes; remove one, or give --classes FILE")
    return read_labels(tables[0].name, folder, str(tables[0]), listed_by="vidseg classes --weights FILE"), tables[0]


def has_colours(path: Path) -> bool:
    """Whether a table file gives the colours and not only the names."""
    return path.suffix == ".csv" or path.name in ("labelmap.txt", "label_colors.txt")


def _has_colour_columns(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            columns = next(csv.reader(file, skipinitialspace=True), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return {"name", "r", "g", "b"} <= {column.strip() for column in columns}


def _has_palette(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(26)
    return head[:4] == b"\x89PNG" and head[25:26] == b"\x03"
