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


GROUPS: dict[str, tuple[str, ...]] = {
    "people": ("person", "rider", "pedestrian"),
    "human": ("person", "rider", "pedestrian"),
    "pedestrian": ("person",),
    "vehicle": ("car", "bus", "truck", "van", "minibike", "bicycle", "motorcycle", "train", "caravan", "trailer"),
    "motorcycle": ("minibike", "motorbike"),
    "motorbike": ("minibike", "motorcycle"),
    "furniture": (
        *("bed", "cabinet", "table", "chair", "sofa", "shelf", "armchair", "seat", "desk", "wardrobe", "buffet"),
        *("chest of drawers", "bench", "bookcase", "coffee table", "swivel chair", "ottoman", "stool", "cradle"),
    ),
    "nature": (
        *("tree", "grass", "plant", "palm", "flower", "field", "earth", "sand", "rock", "mountain", "hill", "water"),
        *("sea", "river", "lake", "waterfall", "vegetation", "terrain"),
    ),
    "vegetation": ("tree", "grass", "plant", "palm", "flower", "field"),
    "pavement": ("sidewalk",),
    "street": ("road",),
    "lorry": ("truck",),
    "fridge": ("refrigerator",),
    "cupboard": ("cabinet",),
}
"""Words for one class or several, by their names; those that a network has are meant. A class of that name wins."""

_MEANT: dict[str, tuple[str, ...]] = {
    "animal": (
        *("dog", "cat", "horse", "cow", "sheep", "bird", "pet", "puppy", "kitten", "bear", "elephant", "fish"),
        *("wildlife",),
    ),
    "person": (
        *("man", "men", "woman", "women", "child", "children", "boy", "girl", "baby", "face", "head", "hand", "hair"),
        *("body", "skin", "player", "crowd", "driver", "cyclist", "rider", "worker"),
    ),
    "vehicle": ("transport", "traffic", "wheels"),
    "nature": ("landscape", "outdoors"),
    "tree": ("forest", "wood", "leaf", "leaves", "foliage", "branch", "greenery"),
    "ashcan": ("bin", "trash", "rubbish", "garbage", "waste", "litter"),
    "path": ("footpath", "trail", "footway", "walkway"),
    "road": ("lane", "asphalt", "highway", "crosswalk", "motorway"),
    "car": ("taxi", "suv", "jeep", "vehicle"),
    "minibike": ("scooter", "moped"),
    "computer": ("laptop", "pc", "keyboard"),
    "apparel": ("shirt", "jacket", "trousers", "coat", "shoe", "hat"),
    "plant": ("bush", "hedge", "shrub"),
    "grass": ("lawn", "meadow"),
    "sea": ("ocean", "beach"),
    "water": ("pond", "puddle"),
    "signboard": ("traffic sign", "stop sign"),
    "building": ("office", "church", "shop", "facade"),
    "sky": ("cloud", "clouds", "sun"),
    "bag": ("backpack", "handbag", "suitcase"),
    "glass": ("cup", "mug", "wine"),
    "food": ("fruit", "cake", "pizza", "bread", "meal"),
}
"""What words near in meaning are called among ADE20K's classes: told, not taken, for they are not the same."""


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
        """Class id of an id, a name or a synonym, in any case, also in the plural.

        Raises:
            ConfigError: no such class, or a group of several; names the nearest known ones.
        """
        found = self.find_all([word])
        if len(found) > 1:
            members = ", ".join(self.names[class_id] for class_id in found)
            raise ConfigError(f"'{word}' is a group of {len(found)} classes ({members}); give one of them")
        return found[0]

    def find_all(self, words: Iterable[str | int]) -> list[int]:
        """Class ids of several words, in order, without repeats; a word may be a group of `GROUPS`.

        Raises:
            ConfigError: no such class; names the nearest known ones.
        """
        return list(dict.fromkeys(class_id for word in words for class_id in self._meant(word)))

    def group(self, name: str) -> list[int]:
        """Ids of the classes here that a group of `GROUPS` holds; empty: no such group, or none of its classes."""
        synonyms = self._synonyms()
        return [synonyms[member] for member in GROUPS.get(name, ()) if member in synonyms]

    def _meant(self, word: str | int) -> list[int]:
        text = str(word).strip().casefold()
        if text.lstrip("-").isdigit():
            class_id = int(text)
            if 0 <= class_id < len(self):
                return [class_id]
            raise ConfigError(f"class id {class_id} is out of range; known: 0 to {len(self) - 1}")
        synonyms = self._synonyms()
        spaced = text.replace("_", " ").replace("-", " ")  # traffic_light, as other tools write it
        forms = list(dict.fromkeys((*_singulars(text), *_singulars(spaced))))
        for form in forms:
            if form in synonyms:
                return [synonyms[form]]
        for form in forms:
            members = self.group(form)
            if members:
                return members
        known = {*synonyms, *GROUPS}
        meant = [name for name, near in _MEANT.items() if name in known and not set(forms).isdisjoint(near)]
        alike = [
            self._named(near, synonyms[near]) if near in synonyms else near
            for near in difflib.get_close_matches(text, {**synonyms, **GROUPS}, n=3, cutoff=0.7)
        ]
        hint = f"; near: {', '.join(meant or alike)}" if meant or alike else ""
        raise ConfigError(f"unknown class '{word}'{hint}; `{self.listed_by}` lists all {len(self)}")

    def _named(self, synonym: str, class_id: int) -> str:
        """The synonym with the name of its class, where that is another."""
        name = self.names[class_id]
        return name if synonym == name.casefold() else f"{synonym} ({name})"

    def _synonyms(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for class_id, name in enumerate(self.names):  # the first-listed name of a class wins over synonyms
            found.setdefault(name.casefold(), class_id)
        for class_id, full in enumerate(self.full_names):
            for synonym in full.split(","):
                found.setdefault(synonym.strip().casefold(), class_id)
        return found


def _singulars(text: str) -> list[str]:
    """The word, and what it may be the plural of."""
    return [text, *(text.removesuffix(ending) + instead for ending, instead in _PLURALS if text.endswith(ending))]


_PLURALS = (("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"))


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
