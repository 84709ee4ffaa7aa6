"""Stage timers and rates. The clock is passed in, so tests decide what time it is."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

Clock = Callable[[], float]
"""Returns seconds that never go back."""


@dataclass(frozen=True, slots=True)
class StageTime:
    """What one stage has cost so far."""

    calls: int
    frames: int
    seconds: float

    @property
    def ms_per_frame(self) -> float:
        """Mean milliseconds per frame; 0 before the first."""
        return 1000.0 * self.seconds / self.frames if self.frames else 0.0


class StageTimers:
    """Adds up wall seconds by stage name, from any thread."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._totals: dict[str, StageTime] = {}

    @contextmanager
    def measure(self, stage: str, frames: int = 1) -> Iterator[None]:
        """Time the block as `stage`, for so many frames; a block that raises is not counted."""
        start = self._clock()
        yield
        self.add(stage, self._clock() - start, frames)

    def add(self, stage: str, seconds: float, frames: int = 1) -> None:
        """Add one measured call."""
        with self._lock:
            old = self._totals.get(stage, StageTime(0, 0, 0.0))
            self._totals[stage] = StageTime(old.calls + 1, old.frames + frames, old.seconds + seconds)

    def totals(self) -> dict[str, StageTime]:
        """A copy, in the order in which stages were first seen."""
        with self._lock:
            return dict(self._totals)


class Histogram:
    """Counts values by size. Written by one thread, readable from any.

    Args:
        bounds: upper ends of the buckets, included, rising; a last bucket takes what is larger.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._lock = threading.Lock()
        self._counts = [0] * (len(self.bounds) + 1)
        self._total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        with self._lock:
            self._counts[bisect_left(self.bounds, value)] += 1
            self._total += value

    def snapshot(self) -> tuple[tuple[int, ...], float]:
        """Counts per bucket, one more than there are bounds, and the sum of all values."""
        with self._lock:
            return tuple(self._counts), self._total


_BURST_SECONDS = 0.005


class RateMeter:
    """Events per second over the last `window` events: count over span, so that one long gap cannot hide."""

    def __init__(self, window: int = 64, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._times: deque[float] = deque(maxlen=window)

    def tick(self) -> None:
        """Note one event now."""
        self._times.append(self._clock())

    @property
    def rate(self) -> float:
        """Events per second; 0 before the second event, and for a burst, as frames of one model call are."""
        times = list(self._times)  # a copy: ticks come from another thread
        if len(times) < 2 or times[-1] - times[0] <= _BURST_SECONDS:
            return 0.0
        return (len(times) - 1) / (times[-1] - times[0])


def clock_time(seconds: float) -> str:
    """ "1:02:03" or "2:03"."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
