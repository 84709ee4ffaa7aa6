"""Inference in the background: frames pass at their own rate, the model takes the newest whenever it is free."""

from __future__ import annotations

from vidseg.frames import Frame, Segmentation
from vidseg.interfaces import Propagator
from vidseg.pipeline.fail_closed import own_masks
from vidseg.pipeline.inference_worker import Slot
from vidseg.pipeline.policy import RateLimit

PATIENCE = 0.7
"""Share of the distance between frames for which a frame waits for masks of its own. A machine that is fast enough
shows every frame with its own masks; on any other a frame is delayed by less than one frame."""
LONGEST_DISTANCE = 0.2
"""Seconds; frames farther apart than this are not waited for any longer."""


class BackgroundInference:
    """Gives every frame masks at once: its own where the model is done in time, else its last ones, carried along.

    Only the very first frame, and the first after `reset`, waits for the model as long as it takes.

    Remembers the last masks, and two propagators that see every frame: one leads back to the frame of those masks, the
    other to the frame that the model is at. They change places when it is done.

    Args:
        slot: where the model is asked for masks.
        propagators: two alike, or none to hold masks as they are.
        infer_fps: frames per second of source time that the model sees at most; None for as many as it can.
        fail_closed: a frame gets its own masks, or carried ones, or none: never those of another frame as they are.
        stride: of so many frames the model sees at most one.
        shared: the worker serves others too: a frame waits for its turn, and a newer one takes its place meanwhile.
    """

    def __init__(
        self,
        slot: Slot,
        propagators: tuple[Propagator, Propagator] | None = None,
        *,
        infer_fps: float | None = None,
        fail_closed: bool = False,
        stride: int = 1,
        shared: bool = False,
    ) -> None:
        self._propagators = propagators
        self._limit = RateLimit(infer_fps)
        self._fail_closed = fail_closed
        self._stride = stride
        self._since = stride
        self._shared = shared
        self.slot = slot
        self._last: Segmentation | None = None
        self._seconds: float | None = None
        self.inferred = 0
        """Frames given to the model."""

    def segmentation(self, frame: Frame) -> Segmentation:
        """Masks for the next frame. Raises what the segmenter raised, for this frame or one before."""
        distance = 0.0 if self._seconds is None else frame.seconds - self._seconds
        self._seconds = frame.seconds
        self._since += 1
        self._take(0)
        if self._last is not None and self._last.label_map.shape != frame.size_hw:
            self.reset()
        shown, coming = self._propagators or (None, None)
        carry = shown.follow(frame) if shown is not None else None
        if coming is not None:
            coming.follow(frame)
        if self._shared and self.slot.replace(frame):
            if coming is not None:
                coming.anchor()
        elif self.slot.idle and (self._due(frame) or self._last is None):
            # idle: a result that came since the last look waits for the next frame, with its own propagator
            if coming is not None:
                coming.anchor()
            self._since = 0
            self.inferred += 1
            self.slot.give(frame)
            patience = PATIENCE * min(max(distance, 0.0), LONGEST_DISTANCE)
            if self._take(None if self._last is None else patience):
                carry = None
        assert self._last is not None
        if carry is not None:
            return carry(self._last)
        return own_masks(frame, self._last) if self._fail_closed else self._last

    def reset(self) -> None:
        """Forget all masks: what comes next has nothing to do with what came before."""
        self.slot.reset()
        self._last = None

    def _due(self, frame: Frame) -> bool:
        return self._since >= self._stride and self._limit.keep(frame.seconds)

    def _take(self, timeout: float | None) -> bool:
        """Make the result that is there, or comes in time, the last one; False where there is none."""
        found = self.slot.take(timeout)
        if found is None:
            return False
        self._last = found
        if self._propagators is not None:
            shown, coming = self._propagators
            self._propagators = coming, shown
        return True
