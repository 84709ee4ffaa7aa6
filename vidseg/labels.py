"""Class names and colours. The one set that ships is ADE20K's 150 classes (`ade20k.csv`).

Source: CSAILVision/sceneparsing (objectInfo150.txt, color150.mat), BSD-3-Clause. Road and skyscraper share one colour
there, so a colour cannot be turned back into a class.
"""

from __future__ import annotations

import colorsys
import csv
import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from vidseg.errors import ConfigError
from vidseg.frames import UInt8Array

_GOLDEN = 0.618033988749895
"""Hues that far apart never come together, however many there are."""


@dataclass(frozen=True, eq=False)
class LabelSet:
    """Names and colours of classes 0..K-1.

    `palette` is (K, 3) uint8 RGB. `full_names` may list synonyms, separated by commas.
    """

    names: tuple[str, ...]
    full_names: tuple[str, ...]
    palette: UInt8Array
    listed_by: str = "vidseg classes"
    """The command that lists them, for messages."""

    def __len__(self) -> int:
        return len(self.names)

    def find(self, word: str | int) -> int:
        """Class id of an id, a name or a synonym, in any case.

        Raises:
            ConfigError: no such class; names the nearest known ones.
        """
        text = str(word).strip().casefold()
        if text.lstrip("-").isdigit():
            class_id = int(text)
            if 0 <= class_id < len(self):
                return class_id
            raise ConfigError(f"class id {class_id} is out of range; known: 0 to {len(self) - 1}")
        synonyms = self._synonyms()
        if text in synonyms:
            return synonyms[text]
        near = difflib.get_close_matches(text, synonyms, n=3, cutoff=0.5)
        hint = f"; near: {', '.join(near)}" if near else ""
        raise ConfigError(f"unknown class '{word}'{hint}; `{self.listed_by}` lists all {len(self)}")

    def find_all(self, words: Iterable[str | int]) -> list[int]:
        """Class ids of several words, in order, without repeats. Raises ConfigError as `find` does."""
        return list(dict.fromkeys(self.find(word) for word in words))

    def _synonyms(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for class_id, name in enumerate(self.names):  # the first-listed name of a class wins over synonyms
            found.setdefault(name.casefold(), class_id)
        for class_id, full in enumerate(self.full_names):
            for synonym in full.split(","):
                found.setdefault(synonym.strip().casefold(), class_id)
        return found


@cache
def ade20k() -> LabelSet:
    """The 150 classes of ADE20K SceneParsing, 0-based (index in the benchmark minus one)."""
    text = resources.files("vidseg").joinpath("ade20k.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    palette = np.array([[int(row[c]) for c in "rgb"] for row in rows], dtype=np.uint8)
    palette.setflags(write=False)
    return LabelSet(
        names=tuple(row["short_name"] for row in rows),
        full_names=tuple(row["name"] for row in rows),
        palette=palette,
    )


def generated_palette(count: int) -> UInt8Array:
    """(count, 3) RGB: the same colours each time, and those of the first classes do not depend on how many there are.

    Hue by the golden ratio; saturation and brightness take turns, so that near hues still differ.
    """
    colours = [
        colorsys.hsv_to_rgb((0.02 + number * _GOLDEN) % 1, (0.85, 0.6, 0.95)[number % 3], (0.95, 0.8)[number // 3 % 2])
        for number in range(count)
    ]
    return (np.array(colours) * 255).round().astype(np.uint8).reshape(count, 3)
