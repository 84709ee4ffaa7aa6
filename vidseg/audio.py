"""Audio on its way from a source to the outputs: blocks in one format, on the clock of the frames."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt

AUDIO_RATE = 48_000
"""Samples per second of every `AudioBlock`."""
CHANNELS = 2
LONGEST_STAY_SECONDS = 30
"""Audio that waits longer for its picture goes: even a slow model is not that late."""

Int16Array = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """A block of audio: `samples` is (n, 2) int16, left and right, `AUDIO_RATE` a second."""

    samples: Int16Array
    seconds: Fraction
    """Time of the first sample, on the same clock as the frames of the source."""


class AudioSupply(Protocol):
    """Where an output gets the audio that belongs to its pictures."""

    def take(self, until: Fraction) -> Iterable[AudioBlock]:
        """The blocks not taken yet that begin before `until`, in seconds of the source."""
        ...

    @property
    def lost_seconds(self) -> float:
        """Audio that nobody took in time."""
        ...

    def close(self) -> None:
        """No more is wanted; safe to call twice."""
        ...


class AudioQueue:
    """Passes audio from the thread that reads a live source to the one that writes; neither ever waits.

    Args:
        longest: seconds of audio held at most; then the oldest go, and are counted.
    """

    def __init__(self, longest: int = LONGEST_STAY_SECONDS) -> None:
        self._longest = longest
        self._blocks: deque[AudioBlock] = deque()
        self._held = 0  # samples
        self._lost = 0
        self._lock = threading.Lock()

    def put(self, audio: AudioBlock) -> None:
        """Add a block behind the others."""
        with self._lock:
            self._blocks.append(audio)
            self._held += len(audio.samples)
            while self._held > self._longest * AUDIO_RATE:
                self._lost += len(self._first().samples)

    def take(self, until: Fraction | None = None) -> list[AudioBlock]:
        """The blocks that begin before `until`; all without it. What lies too far ahead to be true is thrown away."""
        taken: list[AudioBlock] = []
        with self._lock:
            while self._blocks and (until is None or self._blocks[0].seconds < until):
                taken.append(self._first())
            while until is not None and self._blocks and self._blocks[0].seconds > until + self._longest:
                self._lost += len(self._first().samples)
        return taken

    @property
    def lost_seconds(self) -> float:
        """Audio that nobody took in time."""
        return self._lost / AUDIO_RATE

    def close(self) -> None:
        """Nothing to release."""

    def _first(self) -> AudioBlock:
        block = self._blocks.popleft()
        self._held -= len(block.samples)
        return block


class AudioMover:
    """Moves audio in time as the pictures beside it are moved. Remembers how the last picture was."""

    def __init__(self) -> None:
        self._last: tuple[Fraction, Fraction] | None = None

    def moved(self, blocks: Iterable[AudioBlock], at: Fraction, shift: Fraction) -> list[AudioBlock]:
        """What was read since the last picture, on the new clock.

        Where the source's clock jumps between two pictures, each block goes with the one that it is nearer to.

        Args:
            at: the picture's own time, in seconds.
            shift: seconds that were added to it.
        """
        last_at, last_shift = self._last or (at, shift)
        self._last = at, shift

        def own(seconds: Fraction) -> Fraction:
            return shift if abs(seconds - at) <= abs(seconds - last_at) else last_shift

        return [replace(block, seconds=block.seconds + own(block.seconds)) for block in blocks]
