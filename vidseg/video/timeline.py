"""Times of frames that never run backwards."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av

from vidseg.saved_state import State

JUMP_SECONDS = 1
"""A time that goes back by more than this starts a new count; by less, it is a frame out of order."""
AHEAD_SECONDS = 10
"""Where a container's clock may start anew, so does a time that is this much later than expected; the same as that of
FFmpeg's programs."""
_TS_DISCONT = 0x200
"""FFmpeg's AVFMT_TS_DISCONT."""


def has_discontinuous_clock(container: av.container.InputContainer) -> bool:
    """True for kinds of container whose clock may start anew in the middle, as that of MPEG-TS."""
    return bool(container.format.flags & _TS_DISCONT)


class FrameTimes:
    """Times of frames as decoded: that of the packet, or where those are in the wrong order the time of decoding.

    AVI and some MP4 files count the packets, whatever the order of their pictures. The rule is that of FFmpeg's
    programs (`guess_correct_pts`), but times that jump far back are no fault of it, and in AVI the time for which the
    decoder holds frames back is taken off, for the audio counts from zero.

    Args:
        ordered: False where the packets' times are known to be a count.
        usual_step: distance of two frames, in units of their time base.
    """

    def __init__(self, *, ordered: bool, usual_step: int, time_base: Fraction) -> None:
        self._step = usual_step
        self._jump = JUMP_SECONDS / time_base
        self._faults = {"pts": 0 if ordered else 1, "dts": 0}
        self._last: dict[str, int] = {}
        self._given: int | None = None
        self._delay = 0

    def begin(self, packets: Sequence[tuple[int | None, bool]], first: Any) -> None:
        """Learn how long the decoder holds frames back for their order: what was first decoded is shown as much later.

        Args:
            packets: time of decoding, and whether it is a key frame, of those up to the first frame and a few more.
            first: the first frame.
        """
        number = next((number for number, (dts, _) in enumerate(packets) if dts == first.dts), None)
        if number is not None:
            keys = [place for place, (_, key) in enumerate(packets[: number + 1]) if key]
            self._delay = (number - keys[-1]) * self._step if keys else 0

    def of(self, frame: Any) -> int | None:
        """The time of the next frame; None where nothing is known of it."""
        for kind, value in (("pts", frame.pts), ("dts", frame.dts)):
            if value is not None:
                last = self._last.get(kind)
                self._faults[kind] += last is not None and 0 <= last - value <= self._jump
                self._last[kind] = value
        chosen: int | None
        if self._faults["pts"] <= self._faults["dts"]:
            chosen = frame.pts
        elif frame.dts is None and self._given is not None:  # one that the decoder held at the end
            chosen = self._given + (frame.duration or self._step)
        else:
            chosen = frame.pts if frame.dts is None else frame.dts - self._delay
        self._given = chosen
        return chosen

    def forget(self) -> None:
        """The next frame is another one."""
        self._last.clear()
        self._given = None

    def state(self) -> State:
        """Which times were wrong so far, and the last ones."""
        return {"faults": dict(self._faults), "last": dict(self._last), "given": self._given, "delay": self._delay}

    def restore(self, state: State) -> None:
        """Go on after the frame of `state`."""
        self._faults, self._last, self._given = dict(state["faults"]), dict(state["last"]), state["given"]
        self._delay = state["delay"]


class Timeline:
    """Gives each frame its own pts wherever that does not run backwards. Remembers the last time and an offset.

    - No pts: continues from the frame before.
    - A little back (up to one second): the time of the frame before is used once more.
    - Far back, or with `discontinuous` far ahead (two recordings joined, a counter that starts anew): this and all
      later times are moved so that they follow the frame before.
    """

    def __init__(self, *, usual_step: int, time_base: Fraction, discontinuous: bool = False) -> None:
        """Args:
        usual_step: distance of two frames, in units of `time_base`, used where no duration is known.
        discontinuous: the container's clock may jump ahead with no time passing, as that of MPEG-TS.
        """
        self.usual_step = usual_step
        self.events: tuple[str, ...] = ()
        """What was done to the last frame's time: "guessed_pts", "non_monotonic_pts", "clock_jumps"."""
        self._jump = JUMP_SECONDS / time_base
        self._ahead = AHEAD_SECONDS / time_base if discontinuous else None
        self._offset = 0
        self._last: int | None = None
        self._next = 0

    @property
    def offset(self) -> int:
        """By how much the last time was moved."""
        return self._offset

    @property
    def following(self) -> int:
        """Where the last frame ends."""
        return self._next

    def place(self, pts: int | None, duration: int | None) -> int:
        """The time of the next frame, not less than that of the one before."""
        self.events = ()
        if pts is None:
            placed = self._next
            self.events = ("guessed_pts",)
        else:
            placed = pts + self._offset
            if self._last is not None and placed < self._last:
                self.events = ("non_monotonic_pts",)
            elif self.jumps(pts):
                self.events = ("clock_jumps",)
            if self.jumps(pts):
                self._offset += self._next - placed
                placed = self._next
            elif self._last is not None:
                placed = max(placed, self._last)
        self._last = placed
        self._next = placed + (duration or self.usual_step)
        return placed

    def jumps(self, pts: int) -> bool:
        """True if a frame of this time would begin another count."""
        placed = pts + self._offset
        if self._last is None:
            return False
        return self._last - placed > self._jump or (self._ahead is not None and placed - self._next > self._ahead)

    def move(self, by: int) -> None:
        """Move the last time, and those that come next."""
        self._offset += by
        self._next += by
        self._last = None if self._last is None else self._last + by

    def state(self) -> State:
        """The last time and the offset."""
        return {"offset": self._offset, "last": self._last, "next": self._next}

    def restore(self, state: State) -> None:
        """Go on after the frame of `state`."""
        self._offset, self._last, self._next = state["offset"], state["last"], state["next"]
