"""Sound on its way from a source to the outputs: pieces in one format, on the clock of the frames."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt

SOUND_RATE = 48_000
"""Samples per second of every `Sound`."""
CHANNELS = 2
LONGEST_STAY_SECONDS = 30
"""Sound that waits longer for its picture goes: even a slow model is not that late."""

Int16Array = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of sound: `samples` is (n, 2) int16, left and right, `SOUND_RATE` a second."""

    samples: Int16Array
    seconds: Fraction
    """Time of the first sample, on the same clock as the frames of the source."""


class SoundSupply(Protocol):
    """Where an output gets the sound that belongs to its pictures."""

    def take(self, until: Fraction) -> Iterable[Sound]:
        """The pieces not taken yet that begin before `until`, in seconds of the source."""
        ...

    @property
    def lost_seconds(self) -> float:
        """Sound that nobody took in time."""
        ...

    def close(self) -> None:
        """No more is wanted; safe to call twice."""
        ...


class SoundQueue:
    """Passes sound from the thread that reads a live source to the one that writes; neither ever waits.

    Args:
        longest: seconds of sound held at most; then the oldest go, and are counted.
    """

    def __init__(self, longest: int = LONGEST_STAY_SECONDS) -> None:
        self._longest = longest
        self._pieces: deque[Sound] = deque()
        self._held = 0  # samples
        self._lost = 0
        self._lock = threading.Lock()

    def put(self, sound: Sound) -> None:
        """Add a piece behind the others."""
        with self._lock:
            self._pieces.append(sound)
            self._held += len(sound.samples)
            while self._held > self._longest * SOUND_RATE:
                self._lost += len(self._first().samples)

    def take(self, until: Fraction | None = None) -> list[Sound]:
        """The pieces that begin before `until`; all without it. What lies too far ahead to be true is thrown away."""
        taken: list[Sound] = []
        with self._lock:
            while self._pieces and (until is None or self._pieces[0].seconds < until):
                taken.append(self._first())
            while until is not None and self._pieces and self._pieces[0].seconds > until + self._longest:
                self._lost += len(self._first().samples)
        return taken

    @property
    def lost_seconds(self) -> float:
        """Sound that nobody took in time."""
        return self._lost / SOUND_RATE

    def close(self) -> None:
        """Nothing to release."""

    def _first(self) -> Sound:
        piece = self._pieces.popleft()
        self._held -= len(piece.samples)
        return piece


class SoundMover:
    """Moves sound in time as the pictures beside it are moved. Remembers how the last picture was."""

    def __init__(self) -> None:
        self._last: tuple[Fraction, Fraction] | None = None

    def moved(self, pieces: Iterable[Sound], at: Fraction, shift: Fraction) -> list[Sound]:
        """What was read since the last picture, on the new clock.

        Where the source's clock jumps between two pictures, each piece goes with the one that it is nearer to.

        Args:
            at: the picture's own time, in seconds.
            shift: seconds that were added to it.
        """
        last_at, last_shift = self._last or (at, shift)
        self._last = at, shift

        def own(seconds: Fraction) -> Fraction:
            return shift if abs(seconds - at) <= abs(seconds - last_at) else last_shift

        return [replace(piece, seconds=piece.seconds + own(piece.seconds)) for piece in pieces]
