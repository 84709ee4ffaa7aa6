"""What every format of labelled pictures comes down to, and what the modules that recognise one share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, UInt8Array
from vidseg.labels import LabelSet
from vidseg.names import counted

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
Part = Literal["train", "val"]
"""Which part of a data set is wanted where it has several."""
PART_NAMES: dict[Part, tuple[str, ...]] = {"train": ("train", "training"), "val": ("val", "validation", "valid")}
ANY_PART = (*PART_NAMES["train"], *PART_NAMES["val"])
_NAMED = 4
"""Classes named in a sentence; of more the others are counted."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and the file that holds its labels; `number` says where in it, if it holds those of several."""

    name: str
    image: Path
    labels: Path
    number: int = 0


@dataclass(frozen=True, eq=False)
class Layout:
    """The labelled pictures of a data set, whatever its format."""

    format: str
    """Its name, for people."""
    root: Path
    """Where `sets.csv` is."""
    pairs: tuple[Pair, ...]
    read: Callable[[Pair], UInt8Array]
    """(H, W) numbers of classes, 255 for unknown. Raises ConfigError for a file that cannot be read."""
    classes: LabelSet | None = None
    """What the numbers mean; None: they are class ids of the network."""
    part: str = ""
    """Which part of the data set this is, for people."""
    values: bool = False
    """Stored values mean what `--values` says."""

    @property
    def line(self) -> str:
        """What was recognised, in one line."""
        part = f" of {self.part}" if self.part else ""
        count = counted(len(self.pairs), "image")
        if self.classes is None:
            return f"{self.root}: {self.format}, {count}{part}; a value is a class id"
        names = self.classes.names
        listed = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        return f"{self.root}: {self.format}, {count}{part}; {len(names)} classes: {listed}"


def is_image(path: Path) -> bool:
    """By its name; hidden files, such as the `._a.jpg` that macOS writes beside a.jpg, are none."""
    return path.suffix.casefold() in IMAGE_SUFFIXES and not path.name.startswith(".")


def images_in(folder: Path) -> list[Path]:
    """The pictures in a folder, by name."""
    return sorted(path for path in folder.iterdir() if is_image(path))


def chosen_part(names: Iterable[str], wanted: Part) -> str | None:
    """Which of these names is the wanted part; the other part where it is the only one; None where it is neither."""
    there = set(names)
    other: Part = "val" if wanted == "train" else "train"
    return next((name for name in (*PART_NAMES[wanted], *PART_NAMES[other]) if name in there), None)


def refuse_unlabelled(labels: Path, missing: Sequence[Path], count: int) -> None:
    """Raises ConfigError where some of `count` images have no labels; names the first."""
    if missing:
        yolo = (labels / f"{missing[0].stem}.txt").is_file()
        raise ConfigError(
            f"{labels}: {len(missing)} of {count} images have no labels, first {missing[0].name}; "
            f"expected {missing[0].stem}.png{' and not YOLO .txt: export the labels as COCO or masks' if yolo else ''}"
        )


def refuse_absent(where: Path, missing: Sequence[str], count: int, looked: str) -> None:
    """Raises ConfigError where the pictures of some of `count` labels are not there; names the first.

    Args:
        looked: where they were sought, for people.
    """
    if missing:
        raise ConfigError(
            f"{where}: {len(missing)} of {count} images are missing, first {missing[0]}; put them into {looked}"
        )


def refuse_above(path: Path, numbers: UInt8Array, count: int, format_name: str) -> UInt8Array:
    """The same (H, W) uint8 numbers. Raises ConfigError where one is `count` or more, and not 255."""
    wrong = numbers[(numbers >= count) & (numbers != NO_LABEL)]
    if wrong.size:
        raise ConfigError(
            f"{path}: holds {int(wrong.max())}; accepted: 0 to {count - 1} ({format_name}), and {NO_LABEL} for no label"
        )
    return numbers
