"""Which frames go on and which are segmented: decided from frame identity and time, nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

from vidseg.frames import Frame
from vidseg.saved_state import State


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

    def state(self) -> State:
        """The moment that is due next."""
        return {"due": self._due}

    def restore(self, state: State) -> None:
        """Go on after the frame of `state`."""
        self._due = state["due"]


def cover(kept: Frame, left_out: Frame) -> None:
    """Lengthen a kept frame's time on screen to the end of one that was left out behind it."""
    if left_out.pts > kept.pts:
        kept.duration = left_out.pts + (left_out.duration or 0) - kept.pts


@dataclass(slots=True)
class InferenceStride:
    """Says which frames are segmented: the first, then every `stride`-th, and any that cannot reuse the last result.

    Remembers how many frames ago the last inference was, the size of that frame, and whether a new scene had brought
    it forward: that happens once until the next regular one, so that a picture in which nothing can be followed costs
    at most twice as many inferences.
    """

    stride: int
    limit: RateLimit = field(default_factory=lambda: RateLimit(None))
    """Of inferences per second of source time, beside the stride."""
    _since: int | None = None
    _size_hw: tuple[int, int] | None = None
    _brought_forward: bool = False

    @property
    def every_frame(self) -> bool:
        """True where no frame is left out."""
        return self.stride == 1 and self.limit.max_fps is None

    def wants(self, size_hw: tuple[int, int], seconds: float = 0.0, *, new_scene: bool = False) -> bool:
        """True if the frame of this size is to be segmented; False if the last masks serve it.

        Args:
            seconds: presentation time of the frame.
            new_scene: the last masks are known to have nothing to do with it; brings nothing forward under a `limit`.
        """
        first = self._since is None or size_hw != self._size_hw
        turn = first or (self._since is not None and self._since + 1 >= self.stride)
        due = turn and (self.limit.keep(seconds) or first)
        early = new_scene and not due and not self._brought_forward and self.limit.max_fps is None
        if due or early:
            self._since, self._size_hw, self._brought_forward = 0, size_hw, early
            return True
        assert self._since is not None
        self._since += 1
        return False

    def state(self) -> State:
        """Where in the stride the last frame was."""
        size = None if self._size_hw is None else list(self._size_hw)
        return {"since": self._since, "size_hw": size, "brought_forward": self._brought_forward, **self.limit.state()}

    def restore(self, state: State) -> None:
        """Go on after the frame of `state`."""
        size = state["size_hw"]
        self.limit.restore(state)
        self._since, self._brought_forward = state["since"], state["brought_forward"]
        self._size_hw = None if size is None else (size[0], size[1])
