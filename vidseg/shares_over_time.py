"""How much of a video each class takes, over time: counted while it runs, with scales that a chart of it needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vidseg.frames import NO_LABEL, UInt8Array
from vidseg.timing import clock_time

PIXEL_STEP = 4
"""Shares are counted on every 4th row and column: a sixteenth of the work, and no difference to the eye."""

_COUNTS = 256
_FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_MOST_TICKS = 9


@dataclass(frozen=True, slots=True)
class ClassShares:
    """How much of the picture each class takes, over time."""

    seconds: tuple[float, ...]
    """When each stretch begins."""
    shares: dict[int, tuple[float, ...]]
    """Class id to its share (0..1) of each stretch; the largest classes only, the largest first."""

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {"seconds": list(self.seconds), "shares": {str(key): list(row) for key, row in self.shares.items()}}


@dataclass(slots=True)
class SharesOverTime:
    """Counts pixels by class in stretches of frames, in memory that does not grow with the video.

    When there would be more than `most` stretches, neighbours become one, and new ones are twice as long.
    """

    most: int
    """Even."""
    _frames: int = 1
    _in_last: int = 0
    _starts: list[float] = field(default_factory=list)
    _counts: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = field(default_factory=list)

    def add(self, seconds: float, label_map: UInt8Array) -> None:
        """Count the pixels of the next frame, (H, W) uint8 class ids."""
        # from the middle of a step on: from 0 on, what is at the top and on the left would count more
        down, right = (min(PIXEL_STEP // 2, side // 2) for side in label_map.shape)
        sample = label_map[down::PIXEL_STEP, right::PIXEL_STEP]
        counts = np.bincount(sample.ravel(), minlength=_COUNTS)
        if self._counts and self._in_last < self._frames:
            self._counts[-1] += counts
            self._in_last += 1
            return
        if len(self._counts) >= self.most:
            self._counts = [sum(self._counts[i : i + 2], start=np.zeros_like(counts)) for i in range(0, self.most, 2)]
            self._starts = self._starts[::2]
            self._frames *= 2
        self._starts.append(seconds)
        self._counts.append(counts.copy())
        self._in_last = 1

    def shares(self, largest: int) -> ClassShares:
        """Those of the classes with the largest parts of the video."""
        if not self._counts:
            return ClassShares((), {})
        counts = np.stack(self._counts).astype(np.float64)
        shares = counts / counts.sum(axis=1, keepdims=True)
        ranked = np.argsort(-shares[:, :NO_LABEL].mean(axis=0), kind="stable")
        kept = [int(index) for index in ranked[:largest] if shares[:, index].any()]
        return ClassShares(
            tuple(round(seconds, 3) for seconds in self._starts),
            {index: tuple(shares[:, index].round(4).tolist()) for index in kept},
        )


def time_ticks(first: float, end: float) -> list[tuple[float, str]]:
    """Round times between two, nine at most, each with its words: "0:30", or "0.2 s" where seconds are too long."""
    span = max(end - first, 1e-9)
    days = 86400.0 * math.ceil(span / 86400 / _MOST_TICKS)
    step = next((step for step in (*_FRACTIONS, *_SECONDS) if span / step < _MOST_TICKS), days)
    times = [n * step for n in range(math.ceil(first / step - 1e-9), math.floor(end / step + 1e-9) + 1)]
    return [(seconds, clock_time(seconds) if step >= 1 else f"{seconds:g} s") for seconds in times]


def count_ticks(first: float, end: float) -> list[tuple[float, str]]:
    """As `time_ticks` for what is counted: whole numbers."""
    tens = 10 ** max(0, math.floor(math.log10(max(1.0, (end - first) / _MOST_TICKS))))
    step = next(tens * by for by in (1, 2, 5, 10) if (end - first) / (tens * by) < _MOST_TICKS)
    return [(n, str(n)) for n in range(math.ceil(first / step) * step, math.floor(end) + 1, step)]


def edges_of(times: Sequence[float], end: float) -> list[float]:
    """Where stretches that begin at `times` begin and end, as shares of the whole; the last lasts up to `end`."""
    last_step = times[-1] - times[-2] if len(times) > 1 else 1.0
    end = max(end, times[-1] + 0.5 * last_step)
    return [(start - times[0]) / max(end - times[0], 1e-9) for start in (*times, end)]
