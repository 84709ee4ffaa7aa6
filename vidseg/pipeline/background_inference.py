"""Inference beside the picture: frames pass at their own rate, the model takes the newest whenever it is free."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from vidseg.frames import Frame, Segmentation
from vidseg.interfaces import Propagator, Segmenter
from vidseg.pipeline.closed import own_masks
from vidseg.pipeline.policy import RateLimit

PATIENCE = 0.7
"""Share of the distance between frames for which a frame waits for masks of its own. A machine that is fast enough
shows every frame with its own masks; on any other a frame is delayed by less than one frame."""
LONGEST_DISTANCE = 0.2
"""Seconds; frames farther apart than this are not waited for any longer."""


class BackgroundInference:
    """Gives every frame masks at once: its own where the model is done in time, else its last ones, carried along.

    Only the very first frame, and the first after `reset`, waits for the model as long as it takes. A context manager:
    leaving it waits for the model and ends the thread.

    Remembers the last masks, and two propagators that see every frame: one leads back to the frame of those masks, the
    other to the frame that the model is at. They change places when it is done.

    Args:
        propagators: two alike, or none to hold masks as they are.
        infer_fps: frames per second of source time that the model sees at most; None for as many as it can.
        fail_closed: a frame gets its own masks, or carried ones, or none: never those of another frame as they are.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        propagators: tuple[Propagator, Propagator] | None = None,
        *,
        infer_fps: float | None = None,
        fail_closed: bool = False,
    ) -> None:
        self._segmenter = segmenter
        self._propagators = propagators
        self._limit = RateLimit(infer_fps)
        self._fail_closed = fail_closed
        self._changed = threading.Condition()
        self._task: Frame | None = None
        self._found: Segmentation | None = None
        self._error: BaseException | None = None
        self._ended = False
        self._last: Segmentation | None = None
        self._seconds: float | None = None
        self.inferred = 0
        """Frames given to the model."""
        self._worker = threading.Thread(target=self._work, name="vidseg-infer", daemon=True)

    def __enter__(self) -> Self:
        self._worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._worker.join()

    def segmentation(self, frame: Frame) -> Segmentation:
        """Masks for the next frame. Raises what the segmenter raised, for this frame or one before."""
        distance = 0.0 if self._seconds is None else frame.seconds - self._seconds
        self._seconds = frame.seconds
        self._take(0)
        if self._last is not None and self._last.label_map.shape != frame.size_hw:
            self.reset()
        shown, coming = self._propagators or (None, None)
        carry = shown.follow(frame) if shown is not None else None
        if coming is not None:
            coming.follow(frame)
        if self._idle() and (self._limit.keep(frame.seconds) or self._last is None):
            if coming is not None:
                coming.anchor()
            self._give(frame)
            patience = PATIENCE * min(max(distance, 0.0), LONGEST_DISTANCE)
            if self._take(None if self._last is None else patience):
                carry = None
        assert self._last is not None
        if carry is not None:
            return carry(self._last)
        return own_masks(frame, self._last) if self._fail_closed else self._last

    def reset(self) -> None:
        """Forget all masks: what comes next has nothing to do with what came before."""
        with self._changed:
            self._changed.wait_for(lambda: self._task is None)
            self._found = self._last = None

    def _idle(self) -> bool:
        with self._changed:  # a result that came since the last look waits for the next frame, with its own propagator
            return self._task is None and self._found is None

    def _give(self, frame: Frame) -> None:
        with self._changed:
            self._task = frame
            self.inferred += 1
            self._changed.notify_all()

    def _take(self, timeout: float | None) -> bool:
        """Make the result that is there, or comes in time, the last one; False where there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._found is not None or self._error is not None, timeout)
            if self._error is not None:
                raise self._error
            if self._found is None:
                return False
            self._last, self._found = self._found, None
        if self._propagators is not None:
            shown, coming = self._propagators
            self._propagators = coming, shown
        return True

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._task is not None or self._ended)
                frame = self._task
            if frame is None or self._ended:
                return
            try:
                found, error = self._segmenter.segment([frame])[0], None
            except BaseException as raised:
                found, error = None, raised
            with self._changed:
                self._task, self._found, self._error = None, found, error
                self._changed.notify_all()
            if error is not None:
                return
