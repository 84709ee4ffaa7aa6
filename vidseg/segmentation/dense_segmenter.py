"""Frames in, segmentations out, with a network that scores every class in every cell, as most networks do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vidseg.frames import Frame, Segmentation, UInt8Array
from vidseg.saved_state import State
from vidseg.segmentation.preprocess import to_network
from vidseg.segmentation.temporal import ScoreSmoother
from vidseg.segmentation.upsampled_argmax import argmax_upsampled
from vidseg.timing import StageTimers


class ScoreRuntime(Protocol):
    """Runs one network that scores classes. Called by one thread; results lie on the CPU."""

    @property
    def gives_labels(self) -> bool:
        """True where the network has chosen the labels already."""
        ...

    @property
    def align_corners(self) -> bool:
        """True where the corner scores lie on the corner pixels of what the network sees."""
        ...

    @property
    def class_of_channel(self) -> UInt8Array:
        """(C,) class id of each channel, or `NO_LABEL`; known after the first `run`."""
        ...

    def run(self, images: Tensor) -> Tensor:
        """(B, C, h', w') float32 scores of (B, 3, h, w) uint8 RGB; or (B, h', w') uint8 labels."""
        ...

    def weights(self, scores: Tensor) -> Tensor:
        """Of scores (C, h, w): the same >= 0, so that they can be averaged."""
        ...


class DenseSegmenter:
    """Satisfies `vidseg.interfaces.SteppedSegmenter` with a network that gives scores by class, or labels.

    Scores are enlarged to the frame's size and the largest wins; labels are enlarged without interpolation.

    Args:
        runtime: runs the network.
        imgsz: long side in pixels of what the network sees.
        network_size: (height, width, imgsz) -> height and width of what the network sees.
        smoother: makes labels calm over time; frames have to come in order then. Needs a network that gives scores.
        timers: told the cost of "preprocess", "model", "smooth" and "postprocess".
    """

    def __init__(
        self,
        runtime: ScoreRuntime,
        *,
        imgsz: int,
        network_size: Callable[[int, int, int], tuple[int, int]],
        smoother: ScoreSmoother | None = None,
        timers: StageTimers | None = None,
    ) -> None:
        if smoother is not None and runtime.gives_labels:
            raise ValueError("labels cannot be smoothed, scores can")
        self._runtime = runtime
        self._imgsz = imgsz
        self._network_size = network_size
        self._smoother = smoother
        self._timers = timers or StageTimers()

    def segment(self, frames: Sequence[Frame]) -> list[Segmentation]:
        """One Segmentation per frame, in order. All frames of one call have the same size."""
        return [finish() for finish in self.begin(frames)]

    @torch.inference_mode()
    def begin(self, frames: Sequence[Frame]) -> list[Callable[[], Segmentation]]:
        """Preprocess and run the network; what comes back smooths and enlarges the scores of one frame each."""
        if not frames:
            return []
        return [partial(self.finish, *each) for each in zip(frames, self.infer(self.prepare(frames)), strict=True)]

    def prepare(self, frames: Sequence[Frame]) -> Tensor:
        """What the network sees of them, (B, 3, h, w) uint8."""
        with self._timers.measure("preprocess", len(frames)):
            size = self._network_size(*frames[0].size_hw, self._imgsz)
            return torch.cat([to_network(frame.image, size) for frame in frames])

    def infer(self, images: Tensor) -> list[Tensor]:
        """The network's output for each of the images; they may be of several segmenters with one network."""
        with self._timers.measure("model", len(images)):
            return list(self._runtime.run(images))

    def finish(self, frame: Frame, output: Tensor) -> Segmentation:
        """What is in the frame, by the network's output for it. Frames have to come in order."""
        if self._runtime.gives_labels:
            return self._enlarged(frame, output)
        return self._segmentation(frame, output, self._network_size(*frame.size_hw, self._imgsz))

    def state(self) -> State:
        """What the smoother remembers; without one, a segmenter has no memory."""
        return {"smoother": None if self._smoother is None else self._smoother.state()}

    def restore(self, state: State) -> None:
        """Go on after the frame of `state`."""
        if self._smoother is not None:
            self._smoother.restore(state["smoother"])

    def _enlarged(self, frame: Frame, labels: Tensor) -> Segmentation:
        with self._timers.measure("postprocess"):
            return Segmentation(_nearest(labels.numpy(), frame.size_hw), frame.index)

    @torch.inference_mode()
    def _segmentation(self, frame: Frame, scores: Tensor, seen_hw: tuple[int, int]) -> Segmentation:
        runtime, class_of_map = self._runtime, self._runtime.class_of_channel
        if self._smoother is not None:
            with self._timers.measure("smooth"):
                scores, channels = self._smoother.smooth(frame, runtime.weights(scores))
                class_of_map = class_of_map[channels]
        with self._timers.measure("postprocess"):
            aligned_hw = seen_hw if runtime.align_corners else None
            winner = argmax_upsampled(scores.numpy(), frame.size_hw, aligned_hw=aligned_hw)
            return Segmentation(class_of_map[winner], frame.index)


def _nearest(labels: UInt8Array, size_hw: tuple[int, int]) -> UInt8Array:
    """(H, W) the label of the cell that each pixel's centre lies in."""
    rows, columns = (
        np.minimum(((np.arange(fine) + 0.5) * coarse / fine).astype(np.intp), coarse - 1)
        for fine, coarse in zip(size_hw, labels.shape, strict=True)
    )
    return np.ascontiguousarray(labels[rows[:, None], columns])
