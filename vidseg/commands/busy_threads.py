"""How busy each thread of a run is over time, to find the bottleneck."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from vidseg.pipeline.stats import Progress
from vidseg.timing import Clock, StageTime
from vidseg.wiring.reporter import SilentReporter

SLICES = 30
"""Of the run at most; not shorter than it was looked at."""
_STAGES = {
    "decode": ("decode",),
    "network": ("preprocess", "model"),
    "masks": ("smooth", "postprocess"),
    "output": ("render", "write"),
}
ADVICE = {
    "decode": "a smaller video, or --hwaccel",
    "network": "a smaller --imgsz, or --stride",
    "masks": "--no-smooth, or a smaller --imgsz",
    "output": "--encoder-preset ultrafast",
}
"""What makes the work of a thread less."""


_Sample = tuple[float, Mapping[str, float]]
"""A moment, and the seconds that each stage had worked until then."""


@dataclass(frozen=True, slots=True)
class ThreadBusy:
    """Shares, 0..1, of one slice of the run after the other in which the thread worked, and of all of it."""

    name: str
    shares: tuple[float, ...]
    mean: float


class BusyWatch(SilentReporter):
    """Notes what a run has told of its stages, whenever it tells of its progress."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._samples: list[_Sample] = []

    def progress(self, progress: Progress, total: int | None) -> None:
        """Note the seconds of each stage until now."""
        self.look(progress.stages)

    def look(self, stages: Mapping[str, StageTime]) -> None:
        """Note the seconds of each stage until now; once more at the end, for what came after the last tick."""
        self._samples.append((self._clock(), {name: stage.seconds for name, stage in stages.items()}))

    def threads(self) -> tuple[ThreadBusy, ...]:
        """Between the first look and the last; nothing where there was no second one."""
        return busy_threads(self._samples)


def busy_threads(samples: Sequence[_Sample]) -> tuple[ThreadBusy, ...]:
    """Of samples (seconds, seconds of each stage until then), as `BusyWatch` takes them."""
    step = max(1, -(-(len(samples) - 1) // SLICES))
    marks = [*samples[:-1:step], *samples[-1:]]
    marks = [mark for number, mark in enumerate(marks) if number == 0 or mark[0] > marks[number - 1][0]]
    if len(marks) < 2:
        return ()

    def share(stages: tuple[str, ...], first: _Sample, last: _Sample) -> float:
        worked = sum(last[1].get(name, 0.0) - first[1].get(name, 0.0) for name in stages)
        return min(1.0, worked / (last[0] - first[0]))  # a call is counted when it ends

    return tuple(
        ThreadBusy(
            name,
            tuple(share(stages, *pair) for pair in pairwise(marks)),
            share(stages, marks[0], marks[-1]),
        )
        for name, stages in _STAGES.items()
    )
