"""How a saved label map names its frame; shared by the writers and readers of masks.

Beside the PNGs of a video lies `frames.csv` with one row per frame; a mask video holds the same rows as text, one per
picture. So every saved map carries its frame's index, its pts with the unit, and seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from vidseg.frames import Frame, UInt8Array

FRAMES_FILE = "frames.csv"
"""Name of the table beside the PNGs of a video."""
MARK_COLUMNS = ("frame", "pts", "time_base", "seconds")
FILE_COLUMN = "file"
MASK_VIDEO_ENDING = ".mkv"


@dataclass(frozen=True, slots=True)
class FrameMark:
    """The frame that a label map belongs to."""

    index: int
    pts: int
    time_base: Fraction

    @classmethod
    def of(cls, frame: Frame) -> FrameMark:
        """The mark of a frame."""
        return cls(frame.index, frame.pts, Fraction(frame.time_base))

    @classmethod
    def parse(cls, columns: Sequence[str]) -> FrameMark:
        """The mark in a row that starts with the columns of `row`. Raises ValueError."""
        if len(columns) < len(MARK_COLUMNS):
            raise ValueError(f"{len(columns)} columns")
        try:
            mark = cls(int(columns[0]), int(columns[1]), Fraction(columns[2]))
        except ZeroDivisionError:
            raise ValueError(columns[2]) from None
        if mark.time_base <= 0 or mark.index < 0:
            raise ValueError("out of range")
        return mark

    def row(self) -> tuple[str, ...]:
        """What stands under `MARK_COLUMNS`; the seconds are rounded to a microsecond, pts and unit are exact."""
        return str(self.index), str(self.pts), str(self.time_base), f"{float(self.seconds):.6f}"

    @property
    def seconds(self) -> Fraction:
        """Presentation time, exactly."""
        return self.pts * self.time_base


@dataclass(frozen=True, slots=True)
class SavedMask:
    """One saved label map. At least one of `index` and `seconds` is known."""

    name: str
    """For messages: file, and place in it."""
    index: int | None
    """Of its frame in the clip; None where only the time is known."""
    seconds: Fraction | None
    """Presentation time of its frame; None where only the index is known."""
    load: Callable[[], UInt8Array]
    """(H, W) uint8. Raises SourceError."""
