"""Times of live frames on one clock that continues across connections, stalls and jumping clocks."""

from __future__ import annotations

from fractions import Fraction

JUMP_SECONDS = 5.0
"""A time that goes on by this much more than the clock has no cause in the network: the camera set its clock."""
BACK_SECONDS = 1.0
"""A time that goes back by more is a count that starts anew; by less, frames out of order."""
LEAD_SECONDS = 1.0
"""Frames that were held up come in a burst; they run ahead of the clock by this much at most."""
DRIFT_SECONDS = 60.0
"""In this time a camera's clock that runs a little differently is followed by 63 %: it is no lead."""


class LiveTimeline:
    """Places frames and cards on one count of `time_base` units that always grows.

    The first frame keeps its own time, and those after it their distances. After `restart` (another connection, or a
    silence that was filled with cards) the next frame comes as much later than the last one as the clock says.

    Remembers the last frame's place and arrival, and how far places run ahead of the clock.
    """

    def __init__(self, time_base: Fraction) -> None:
        self.time_base = time_base
        self.jumps = 0
        """Times that were not believed."""
        self._offset: int | None = None
        self._last: int | None = None
        self._frame = 0
        self._arrived: float | None = None
        self._ahead = 0.0

    @property
    def offset(self) -> int:
        """By how much the times of the frames that come now are moved."""
        return self._offset or 0

    def restart(self) -> None:
        """Frames that come next have their own count: only the clock says when they are."""
        self._offset = None

    def place(self, pts: int, now: float) -> int:
        """The time of a frame.

        Args:
            pts: its own time, in units of `time_base`.
            now: the clock when it arrived, in seconds.
        """
        if self._arrived is None:
            return self._put(pts, pts, now)
        waited = now - self._arrived
        by_clock = self._frame + self._units(waited)
        if self._offset is None:
            return self._put(by_clock, pts, now)
        placed = pts + self._offset
        step = self._seconds(placed - self._frame)
        if step > waited + JUMP_SECONDS or step < -BACK_SECONDS:
            self.jumps += 1
            return self._put(by_clock, pts, now)
        lead = self._seconds(placed) - now - self._ahead
        self._ahead += lead * min(1.0, waited / DRIFT_SECONDS)
        if lead > LEAD_SECONDS:
            placed -= self._units(lead)
            self._offset = placed - pts
        self._frame, self._arrived = placed, now
        return self._grown(placed)

    def place_card(self, now: float) -> int:
        """The time of a picture that stands in for frames that do not come."""
        waited = 0.0 if self._arrived is None else now - self._arrived
        return self._grown(self._frame + self._units(waited))

    def _put(self, placed: int, pts: int, now: float) -> int:
        """Begin a count: this frame stands at `placed`, and those after it at their distances from it."""
        if self._last is not None:
            placed = max(placed, self._last + 1)
        self._offset = placed - pts
        self._frame, self._arrived = placed, now
        self._ahead = self._seconds(placed) - now
        return self._grown(placed)

    def _grown(self, placed: int) -> int:
        self._last = placed if self._last is None else max(placed, self._last + 1)
        return self._last

    def _units(self, seconds: float) -> int:
        return round(Fraction(seconds) / self.time_base)

    def _seconds(self, units: int) -> float:
        return float(units * self.time_base)
