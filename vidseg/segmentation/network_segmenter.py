"""What segmenters have in common, whatever their network says: frames go in, a network is run, masks are made of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from vidseg.frames import Frame, Segmentation
from vidseg.interfaces import Remembers
from vidseg.runtimes.base import Queued, Running
from vidseg.runtimes.geometry import Placement
from vidseg.runtimes.model_format import InputFormat
from vidseg.saved_state import State
from vidseg.segmentation.preprocess import on_canvas, to_network
from vidseg.timing import StageTimers

Output = TypeVar("Output")
"""What the network says about one frame."""


class NetworkSegmenter(ABC, Generic[Output]):
    """Satisfies `vidseg.interfaces.SteppedSegmenter`; what the network is and says, a subclass knows.

    Args:
        imgsz: long side in pixels of what the network sees.
        network_size: (height, width, imgsz) -> height and width of what the network sees.
        given: how a network file is fed; instead of `network_size`.
        smoother: makes labels calm over time; frames have to come in order then.
        timers: told the cost of "preprocess", "model", "smooth" and "postprocess".
        queue: the network's runtime, where frames are to be begun while it is at those before.
    """

    def __init__(
        self,
        *,
        imgsz: int,
        network_size: Callable[[int, int, int], tuple[int, int]],
        smoother: Remembers | None,
        timers: StageTimers | None,
        given: InputFormat | None = None,
        queue: Queued | None = None,
    ) -> None:
        self._queue = queue
        self._given = given
        self._imgsz = imgsz
        self._size = network_size
        self._memory = smoother
        self._timers = timers or StageTimers()

    @torch.inference_mode()
    def segment(self, frames: Sequence[Frame]) -> list[Segmentation]:
        """One Segmentation per frame, in order. All frames of one call have the same size."""
        return [finish() for finish in self._begin_together(frames)] if frames else []

    @torch.inference_mode()
    def begin(self, frames: Sequence[Frame]) -> list[Callable[[], Segmentation]]:
        """Preprocess and run the network, or start it; what comes back makes the masks of one frame each."""
        if not frames:
            return []
        if self._queue is None:
            return self._begin_together(frames)
        return [partial(self._finish_started, frame, self._queue.start(self.prepare([frame]))) for frame in frames]

    def _begin_together(self, frames: Sequence[Frame]) -> list[Callable[[], Segmentation]]:
        return [partial(self.finish, *each) for each in zip(frames, self.infer(self.prepare(frames)), strict=True)]

    def _finish_started(self, frame: Frame, running: Running[Any]) -> Segmentation:
        (output,) = self._each(running.result())
        self._timers.add("model", running.seconds())
        return self.finish(frame, output)

    def prepare(self, frames: Sequence[Frame]) -> Tensor:
        """What the network sees of them, (B, 3, h, w) uint8."""
        with self._timers.measure("preprocess", len(frames)):
            placement = self._placement(frames[0])
            if self._given is not None:
                return torch.cat([on_canvas(frame.image, placement, self._given) for frame in frames])
            return torch.cat([to_network(frame.image, placement.canvas_hw) for frame in frames])

    def infer(self, images: Tensor) -> list[Output]:
        """The network's output for each of the images; they may be of several segmenters with one network."""
        with self._timers.measure("model", len(images)):
            return self._each(self._run(images))

    @abstractmethod
    def finish(self, frame: Frame, output: Output) -> Segmentation:
        """What is in the frame, by the network's output for it. Frames have to come in order."""

    @abstractmethod
    def _run(self, images: Tensor) -> Any:
        """What the runtime says of the images (B, 3, h, w)."""

    @abstractmethod
    def _each(self, found: Any) -> list[Output]:
        """What the runtime says, image by image."""

    def state(self) -> State:
        """What the smoother remembers; without one, a segmenter has no memory."""
        return {"smoother": None if self._memory is None else self._memory.state()}

    def restore(self, state: State) -> None:
        """Go on after the frame of `state`."""
        if self._memory is not None:
            self._memory.restore(state["smoother"])

    def _placement(self, frame: Frame) -> Placement:
        """Where the frame lies on what the network sees."""
        if self._given is not None:
            return self._given.place(*frame.size_hw, self._imgsz)
        whole = self._size(*frame.size_hw, self._imgsz)
        return Placement(whole, whole)
