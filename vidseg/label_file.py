"""Class names and colours of networks that this project did not make."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np

from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL
from vidseg.known_labels import TABLES, known_labels
from vidseg.labels import LabelSet, generated_palette

_ACCEPTED = (
    f"accepted: {', '.join(TABLES)}, a list of names, or a file: .txt with one name per line, .csv with a column 'name'"
)
_LABEL_MAP_LINE = re.compile(r"([^:]+):(?:(\d+),(\d+),(\d+))?:[^:]*:[^:]*")
"""Of CVAT's labelmap.txt: "name:red,green,blue:parts:actions"."""
_COLOUR_LINE = re.compile(r"(\d+)\s+(\d+)\s+(\d+)\s+(\S.*)")
"""Of CamVid's label_colors.txt: "red green blue name"."""


def read_labels(value: Any, folder: Path, origin: str, *, listed_by: str, channels: int | None = None) -> LabelSet:
    """The label set that a value of a YAML file names.

    Args:
        value: a known table such as "ade20k", a list of names, a mapping id -> name without gaps, or a file.
        folder: where relative file names start.
        origin: named in errors, e.g. "net.yaml: labels".
        listed_by: the command that shows the classes, for messages.
        channels: of the network, where known: "coco" has 80 classes or 133.
    Raises:
        ConfigError: none of these, or fewer than 1 or more than 255 names.
    """
    if isinstance(value, str) and value in TABLES:
        return known_labels(value, channels)
    colours = None
    if isinstance(value, str):
        names, full_names, colours = _read_file(folder / value, origin)
    else:
        if isinstance(value, dict):
            if sorted(map(str, value)) != sorted(str(number) for number in range(len(value))):
                raise ConfigError(f"{origin}: ids must run from 0 to {len(value) - 1} without gaps")
            value = [name for _, name in sorted(value.items(), key=lambda item: int(item[0]))]
        if not isinstance(value, list) or not all(isinstance(name, str | int | float) for name in value):
            raise ConfigError(f"{origin} is {value!r}; {_ACCEPTED}")
        names = full_names = [str(name) for name in value]
    if not 1 <= len(names) <= NO_LABEL:
        raise ConfigError(f"{origin}: {len(names)} classes; accepted: 1 to {NO_LABEL}")
    palette = generated_palette(len(names)) if colours is None else np.array(colours, dtype=np.uint8)
    palette.setflags(write=False)
    return LabelSet(tuple(names), tuple(full_names), palette, listed_by)


def _read_file(path: Path, origin: str) -> tuple[list[str], list[str], list[list[int]] | None]:
    """Names, full names, and colours where the file has them. In a .txt file # begins a comment line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError):
        raise ConfigError(f"{origin}: file {path} cannot be read; {_ACCEPTED}") from None
    if path.suffix.casefold() != ".csv":
        names = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        coloured = [_COLOUR_LINE.fullmatch(name) for name in names]
        if names and all(coloured):
            names = [f"{match[4]}:{match[1]},{match[2]},{match[3]}::" for match in coloured if match]
        found = [_LABEL_MAP_LINE.fullmatch(name) for name in names]
        if not found or not all(found):
            return names, names, None
        names = [match[1].strip() for match in found if match]
        given = [[int(level) for level in match.groups()[1:]] for match in found if match and match[2]]
        fits = len(given) == len(names) and all(level <= 255 for colour in given for level in colour)
        return names, names, given if fits else None
    rows = list(csv.DictReader(lines, skipinitialspace=True))
    if not rows or "name" not in rows[0]:
        raise ConfigError(f"{origin}: {path} has no column 'name'; {_ACCEPTED}")
    if "id" in rows[0] and [row["id"] for row in rows] != [str(number) for number in range(len(rows))]:
        raise ConfigError(f"{origin}: the column 'id' of {path} must run from 0 to {len(rows) - 1} without gaps")
    full_names = [row["name"] for row in rows]
    names = [row.get("short_name") or row["name"] for row in rows]
    if not {"r", "g", "b"} <= set(rows[0]):
        return names, full_names, None
    try:
        colours = [[int(row[channel]) for channel in "rgb"] for row in rows]
    except (TypeError, ValueError):
        colours = [[-1]]
    if not all(0 <= level <= 255 for colour in colours for level in colour):
        raise ConfigError(f"{origin}: the columns r, g, b of {path} must hold whole numbers from 0 to 255")
    return names, full_names, colours
