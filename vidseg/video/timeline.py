"""Times of frames that never run backwards."""

from __future__ import annotations

from fractions import Fraction

from vidseg.saved_state import State

JUMP_SECONDS = 1
"""A time that goes back by more than this starts a new count; by less, it is a frame out of order."""


class Timeline:
    """Gives each frame its own pts wherever that does not run backwards. Remembers the last time and an offset.

    - No pts: continues from the frame before.
    - A little back (up to one second): the time of the frame before is used once more.
    - Far back (two recordings joined, a counter that starts anew): this and all later times are moved so that they
      follow the frame before.
    """

    def __init__(self, *, usual_step: int, time_base: Fraction) -> None:
        self.usual_step = usual_step
        """Distance of two frames, in units of `time_base`, used where no duration is known."""
        self.events: tuple[str, ...] = ()
        """What was done to the last frame's time: "guessed_pts", "non_monotonic_pts"."""
        self._jump = JUMP_SECONDS / time_base
        self._offset = 0
        self._last: int | None = None
        self._next = 0

    @property
    def offset(self) -> int:
        """By how much the last time was moved."""
        return self._offset

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
                if self._last - placed > self._jump:
                    self._offset += self._next - placed
                    placed = self._next
                else:
                    placed = self._last
        self._last = placed
        self._next = placed + (duration or self.usual_step)
        return placed

    def state(self) -> State:
        """The last time and the offset."""
        return {"offset": self._offset, "last": self._last, "next": self._next}

    def restore(self, state: State) -> None:
        """Go on after the frame of `state`."""
        self._offset, self._last, self._next = state["offset"], state["last"], state["next"]
