"""What the network thread and the masks thread do: which frames the model sees, and how each gets its masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from vidseg.frames import Frame, Segmentation
from vidseg.interfaces import FrameSegmenter, Propagator, SteppedSegmenter
from vidseg.pipeline.background_inference import BackgroundInference
from vidseg.pipeline.buffer import Buffer, Closed
from vidseg.pipeline.fail_closed import own_masks
from vidseg.pipeline.inference_worker import InferenceWorker
from vidseg.pipeline.options import Carried, PipelineOptions, Result, inference_stride, nothing_found
from vidseg.pipeline.policy import InferenceStride


@dataclass(frozen=True, slots=True)
class BegunFrame:
    """A frame that the network is done with or works on, and what makes its masks; to be called in frame order."""

    frame: Frame
    masks: Callable[[], Segmentation]

    def finish(self) -> Result:
        """The frame with its masks."""
        return Result(self.frame, self.masks())


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A frame not yet handed on, and how it gets its masks."""

    frame: Frame
    needs_model: bool
    carry: Callable[[Segmentation], Segmentation] | None
    """Brings the last masks onto it; None: its own, or the last as they are."""


def _same(segmentation: Segmentation) -> Segmentation:
    return segmentation


class MaskStages:
    """From frames that come in to results: the network begins them on one thread, their masks are made on another.

    Args:
        still: separate pictures, of which the model sees every one.
    """

    def __init__(
        self,
        segmenter: FrameSegmenter | None,
        propagators: tuple[Propagator | None, Propagator | None],
        options: PipelineOptions,
        carried: Carried,
        *,
        still: bool,
        incoming: Buffer[Frame],
        begun: Buffer[BegunFrame],
        results: Buffer[Result],
    ) -> None:
        self._segmenter = segmenter
        self._propagator, self._second_propagator = propagators
        self._options = options
        self._carried = carried
        self._still = still
        self._incoming, self._begun, self._results = incoming, begun, results

    def infer(self) -> None:
        """The network's thread: choose frames, run the network on them, hand on what finishes their masks."""
        if self._options.stride == "auto":
            self._infer_beside()
            return
        wants = self._carried.stride
        waiting: list[_Waiting] = []
        while True:
            try:
                # a frame at hand joins the batch; when none is, nothing is gained by waiting
                frame = self._incoming.get(timeout=0 if waiting else None)
            except TimeoutError:
                self._hand_on(waiting)
                continue
            except Closed:
                if not self._incoming.cancelled:
                    self._hand_on(waiting)
                raise
            if waiting and (frame.placeholder or frame.size_hw != waiting[0].frame.size_hw):
                self._hand_on(waiting)
            if frame.segmentation is not None:
                self._begun.put(BegunFrame(frame, partial(_same, frame.segmentation)))
                continue
            if frame.placeholder:
                self._begun.put(BegunFrame(frame, partial(nothing_found, frame)))
                # what comes after it is not what came before: its first frame is segmented
                wants = inference_stride(self._options, still=self._still)
                continue
            waiting.append(self._planned(frame, wants))
            needed = sum(item.needs_model for item in waiting)
            if needed in (0, self._options.batch) or len(waiting) >= self._in_flight():
                self._hand_on(waiting)

    def _infer_beside(self) -> None:
        """As `infer`, but no frame waits for the model."""
        pair = (self._propagator, self._second_propagator)
        both = (pair[0], pair[1]) if pair[0] is not None and pair[1] is not None else None
        assert self._segmenter is not None, "frames without masks need a segmenter"
        segment, options = self._segmenter.segment, self._options
        with InferenceWorker(lambda asked: segment([frame for _, frame in asked])) as worker:
            inference = BackgroundInference(
                worker.slots[0], both, infer_fps=options.infer_fps, fail_closed=options.fail_closed
            )
            while True:
                frame = self._incoming.get()
                if frame.placeholder:
                    inference.reset()
                    found = nothing_found(frame)
                else:
                    found = inference.segmentation(frame)
                self._carried.stats.inferred = inference.inferred
                self._begun.put(BegunFrame(frame, partial(_same, found)))

    def _planned(self, frame: Frame, wants: InferenceStride) -> _Waiting:
        """How the frame gets its masks. Decided as frames come, so that it does not depend on the batch."""
        propagator = self._propagator
        if propagator is None or wants.every_frame:
            return _Waiting(frame, wants.wants(frame.size_hw, frame.seconds), None)
        carry = propagator.follow(frame)
        needs_model = wants.wants(frame.size_hw, frame.seconds, new_scene=carry is None)
        needs_model = needs_model or (self._options.fail_closed and carry is None)
        if needs_model:
            propagator.anchor()
            carry = None
        return _Waiting(frame, needs_model, carry)

    def _hand_on(self, waiting: list[_Waiting]) -> None:
        """Run the network on what needs it, and pass all on in order."""
        chosen = [item.frame for item in waiting if item.needs_model]
        finishers = iter(self._begin(chosen) if chosen else ())
        self._carried.stats.inferred += len(chosen)
        for item in waiting:
            finish = next(finishers) if item.needs_model else None
            self._begun.put(BegunFrame(item.frame, partial(self._masks, item, finish)))
        waiting.clear()

    def _begin(self, frames: list[Frame]) -> list[Callable[[], Segmentation]]:
        assert self._segmenter is not None, "frames without masks need a segmenter"
        if isinstance(self._segmenter, SteppedSegmenter):
            return self._segmenter.begin(frames)
        return [partial(_same, found) for found in self._segmenter.segment(frames)]

    def finish_masks(self) -> None:
        """The thread of the masks: finish what the network has begun, in order."""
        while True:
            self._results.put(self._begun.get().finish())

    def _masks(self, item: _Waiting, finish: Callable[[], Segmentation] | None) -> Segmentation:
        """The masks of a frame: its own by `finish`, else the last ones. On the masks thread, in frame order."""
        if finish is not None:
            self._carried.last = finish()
        found = self._carried.last
        assert found is not None  # the first frame always needs the model
        if item.carry is not None:
            return item.carry(found)
        return own_masks(item.frame, found) if self._options.fail_closed else found

    def _in_flight(self) -> int:
        return max(self._options.queue_size, self._options.batch)
