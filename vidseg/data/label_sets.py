"""Label values that stand for several classes: `sets.csv` beside `images/` and `labels/`.

Data sets with other class tables say less than one class of the model: a "vehicle" is a car, a bus or a truck. Each row
of `sets.csv` (columns `value`, `ids` with spaces, and for people `names`) says which classes a label value allows:

    value,ids,names
    150,20 80 83,"car; bus; truck"
    7,12,person

A value that is not listed is the class id of that number, or, in a format with names of its own, the class of its name;
255 is unknown. A row `255,soft` asks that where the
label is unknown the likeliest class of `soft/` counts as the label.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, BoolArray, UInt8Array

FILE = "sets.csv"
_SOFT = "soft"
_NOTHING = -1

ClassSet = tuple[int, ...]
"""Class ids in ascending order, two or more."""


@dataclass(frozen=True, eq=False)
class LabelSets:
    """What the label values of a data set mean."""

    num_classes: int
    """K"""
    sets: tuple[ClassSet, ...]
    """In label maps, K + n stands for `sets[n]`."""
    table: npt.NDArray[np.int16]
    """(256,) stored value -> class id, K + n, or 255 for unknown; -1 for a value that means nothing."""
    fill: bool
    """Unknown pixels take the likeliest class of `soft/`."""
    highest: int
    """The highest value that may mean a class, for messages."""

    def read(self, stored: UInt8Array, path: Path) -> UInt8Array:
        """The label map (H, W) that stored values mean. Raises ConfigError for a value that means nothing."""
        found = self.table[stored]
        if (found == _NOTHING).any():
            value = int(stored[found == _NOTHING].max())
            raise ConfigError(
                f"{path}: contains class id {value}; accepted: 0 to {self.highest}, and {NO_LABEL} for no label; "
                f"--values, or {FILE} beside labels/, can say what other values mean"
            )
        return found.astype(np.uint8)


def read_sets(folder: Path, num_classes: int, named: Mapping[int, ClassSet] | None = None) -> LabelSets:
    """What label values mean in the data set in `folder`: class ids, where it has no `sets.csv`.

    Args:
        named: of a format with names of its own: the classes that each value stands for, none for unknown.
    Raises:
        ConfigError: the file cannot be read, or a row does not name known classes.
    """
    path = folder / FILE
    fill = False
    listed: dict[int, ClassSet] = {}
    for where, value, ids in _rows(path) if path.exists() else ():
        if value in listed or (value == NO_LABEL and fill):
            raise ConfigError(f"{where}: value {value} is listed twice; list each value once")
        if value == NO_LABEL and ids.strip() == _SOFT:
            fill = True
            continue
        listed[value] = _members(where, ids, num_classes)
        if value == NO_LABEL:
            raise ConfigError(f"{where}: value {NO_LABEL} is unknown; accepted: 0 to {NO_LABEL - 1}")
    found = label_sets(num_classes, listed if named is None else {**named, **listed}, plain=named is None, fill=fill)
    _check_room(path, num_classes, found.sets)
    return found


def label_sets(num_classes: int, meant: Mapping[int, ClassSet], *, plain: bool, fill: bool = False) -> LabelSets:
    """Args:
    meant: the classes that a value stands for, none for unknown.
    plain: other values are the class ids of their number, else they mean nothing.
    """
    table = np.full(256, _NOTHING, dtype=np.int16)
    if plain:
        table[:num_classes] = np.arange(num_classes)
    table[NO_LABEL] = NO_LABEL
    sets: list[ClassSet] = []
    for value, members in meant.items():
        if len(members) > 1 and members not in sets:
            sets.append(members)
        several = num_classes + sets.index(members) if len(members) > 1 else NO_LABEL
        table[value] = members[0] if len(members) == 1 else several
    highest = num_classes - 1 if plain else max(meant, default=0)
    return LabelSets(num_classes, tuple(sets), table, fill, highest)


def merged_sets(parts: Sequence[LabelSets], num_classes: int) -> tuple[tuple[ClassSet, ...], list[UInt8Array]]:
    """The sets of several data sets as one list, and for each data set a (256,) table into it.

    Raises:
        ConfigError: there are more than fit beside the classes.
    """
    sets = tuple(dict.fromkeys(members for part in parts for members in part.sets))
    _check_room("these data sets together", num_classes, sets)
    tables = []
    for part in parts:
        table = np.arange(256, dtype=np.uint8)
        for number, members in enumerate(part.sets):
            table[num_classes + number] = num_classes + sets.index(members)
        tables.append(table)
    return sets, tables


def membership(num_classes: int, sets: Sequence[ClassSet]) -> BoolArray:
    """(256, K): the classes that each value of a label map allows; none for 255 and for values without meaning."""
    table = np.zeros((256, num_classes), dtype=bool)
    np.fill_diagonal(table, True)
    for number, members in enumerate(sets):
        table[num_classes + number, list(members)] = True
    return table


def _rows(path: Path) -> Iterator[tuple[str, int, str]]:
    """For each row: the file and line for messages, the value, and what it stands for."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"value", "ids"} <= set(reader.fieldnames or ()):
                raise ConfigError(f"{path}: no columns 'value' and 'ids'; the first line must be value,ids,names")
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                text = (row["value"] or "").strip()
                if not text.isascii() or not text.isdigit() or len(text) > 3 or int(text) > NO_LABEL:
                    raise ConfigError(f"{where}: value {text!r}; accepted: a label value from 0 to {NO_LABEL}")
                yield where, int(text), row["ids"] or ""
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); save it as CSV in UTF-8") from None


def _members(where: str, ids: str, num_classes: int) -> ClassSet:
    words = ids.split()
    if not words or not all(word.isascii() and word.isdigit() and int(word[:9]) < num_classes for word in words):
        raise ConfigError(f"{where}: ids {ids!r}; accepted: class ids from 0 to {num_classes - 1}, with spaces between")
    return tuple(sorted({int(word) for word in words}))


def _check_room(where: object, num_classes: int, sets: Sequence[ClassSet]) -> None:
    if num_classes + len(sets) > NO_LABEL:
        room = NO_LABEL - num_classes
        raise ConfigError(
            f"{where}: {len(sets)} sets of several classes, but beside {num_classes} classes only {room} fit"
        )
