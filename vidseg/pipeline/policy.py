"""Which frames go on and which are segmented: decided from frame identity and time, nothing else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class RateLimit:
    """Keeps at most `max_fps` frames per second of the source's own time.

    Remembers the next moment that is due; the moments form a grid, so 30 fps limited to 20 gives 20 and not 15.
    """

    max_fps: float | None
    _due: float | None = None

    def keep(self, seconds: float) -> bool:
        """True if the frame at this presentation time goes on."""
        if self.max_fps is None:
            return True
        period = 1.0 / self.max_fps
        # A little early is on time: presentation times are rounded, in Matroska to milliseconds.
        tolerance = min(1e-3, 0.1 * period)
        if self._due is not None and -period < seconds - self._due < -tolerance:
            return False
        if self._due is None or abs(seconds - self._due) > period:
            self._due = seconds  # first frame, or a gap or jump in time: start the grid here
        self._due += period
        return True


@dataclass(slots=True)
class InferenceStride:
    """Says which frames are segmented: the first, then every `stride`-th, and any that cannot reuse the last result.

    Remembers how many frames ago the last inference was and the size of that frame.
    """

    stride: int
    _since: int | None = None
    _size_hw: tuple[int, int] | None = None

    def wants(self, size_hw: tuple[int, int]) -> bool:
        """True if the frame of this size is to be segmented; False if the last masks are held on it."""
        if self._since is None or self._since + 1 >= self.stride or size_hw != self._size_hw:
            self._since, self._size_hw = 0, size_hw
            return True
        self._since += 1
        return False
