"""A frame rate for an output, whatever that of its frames is."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from vidseg.frames import Frame, Segmentation, UInt8Array, rate_of
from vidseg.interfaces import Sink
from vidseg.pipeline.policy import RateLimit
from vidseg.sinks.wrapped_sink import WrappedSink

_NEAR = Fraction(1, 1000)
"""Seconds that a frame may come before its moment: some containers round times to milliseconds."""


class RateSink(WrappedSink):
    """Hands another sink frames at a constant rate, repeated or left out, or at most so many.

    The moments form a grid that begins at the first frame; each shows the first frame that came in its period.
    Remembers the last frame: it is repeated until the next one, or its own end, is there.
    """

    def __init__(self, sink: Sink, rate: float, *, constant: bool = True) -> None:
        """Args:
        rate: frames per second.
        constant: frames are repeated, and their times are those of the grid.
        """
        super().__init__(sink)
        self._rate = rate_of(rate)
        self._constant = constant
        self._limit = RateLimit(rate)
        self._zero: Fraction | None = None
        self._shown: tuple[int, Frame, Segmentation, UInt8Array | None] | None = None
        self._end = Fraction(0)
        self.repeated = self.left_out = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the other sink, and what was repeated and left out."""
        counts = {"repeated": self.repeated, "left out": self.left_out}
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        notes = tuple(self._sink.notes)
        return (*notes, f"at {float(self._rate):g} frames per second: {told}") if told else notes

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Take one frame. Raises WriteError."""
        if not self._constant:
            if self._limit.keep(frame.seconds):
                self._sink.write(frame, segmentation, picture)
            else:
                self.left_out += 1
            return
        time = frame.pts * frame.time_base
        self._zero = time if self._zero is None else self._zero
        slot = math.floor((time + min(_NEAR, _NEAR * 100 / self._rate) - self._zero) * self._rate)
        if self._shown is not None and slot <= self._shown[0]:
            self.left_out += 1
        else:
            self._repeat_until(slot)
            self._hand_on(slot, frame, segmentation, picture)
            self._shown = (slot, frame, segmentation, picture)
        self._end = time + (frame.duration or 0) * frame.time_base - self._zero

    def close(self) -> None:
        """Repeat the last frame until it ends, and finish the other sink. Raises WriteError."""
        self._repeat_until(math.ceil((self._end - _NEAR) * self._rate))
        self._shown = None
        super().close()

    def abort(self) -> None:
        """Give up. Never raises."""
        self._shown = None
        super().abort()

    def _repeat_until(self, slot: int) -> None:
        if self._shown is None:
            return
        last, frame, segmentation, picture = self._shown
        for missing in range(last + 1, slot):
            self._hand_on(missing, frame, segmentation, picture)
            self.repeated += 1

    def _hand_on(self, slot: int, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        assert self._zero is not None
        unit = Fraction(1, math.lcm(self._rate.numerator, self._zero.denominator))
        pts, duration = ((self._zero + slot / self._rate) / unit, 1 / self._rate / unit)
        at = replace(frame, index=slot, pts=int(pts), time_base=unit, duration=int(duration))
        self._sink.write(at, segmentation, picture)
