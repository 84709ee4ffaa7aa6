"""Frames in, segmentations out, with a network that scores every class in every cell, as most networks do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vidseg.frames import Detection, DetectionMode, Frame, Segmentation, UInt8Array
from vidseg.runtimes.base import Queued
from vidseg.runtimes.geometry import Placement
from vidseg.runtimes.model_format import InputFormat
from vidseg.segmentation.class_scores import LogitScores
from vidseg.segmentation.doubt import Doubt
from vidseg.segmentation.label_votes import LabelVotes
from vidseg.segmentation.large_grid import argmax_of_large, is_large, pooled
from vidseg.segmentation.network_segmenter import NetworkSegmenter
from vidseg.segmentation.temporal import ScoreSmoother
from vidseg.segmentation.upsampled_argmax import argmax_upsampled, sure_argmax_upsampled
from vidseg.timing import StageTimers


class ScoreRuntime(Protocol):
    """Runs one network that scores classes. Called by one thread; results lie on the CPU."""

    @property
    def gives_labels(self) -> bool:
        """True where the network has chosen the labels already."""
        ...

    @property
    def gives_logits(self) -> bool:
        """True where the scores are logits; else they are >= 0, or labels."""
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


FindDetections = Callable[[float, DetectionMode], list[Detection]]
"""(threshold, mode) -> regions of a frame."""


class DenseSegmenter(NetworkSegmenter[Tensor]):
    """A segmenter with a network that gives scores by class, or labels.

    Scores are enlarged to the frame's size and the largest wins; labels are enlarged without interpolation.

    Args:
        runtime: runs the network. Where it has to be sure, it has to give scores.
        doubt: how sure it has to be, and whether segmentations say how sure it is.
        smoother: the one for what comes out, scores or labels.
        regions: (label map, levels of confidence or None) -> what `Segmentation.detections` does; None: nothing. The
            others are those of `NetworkSegmenter`.
    """

    def __init__(
        self,
        runtime: ScoreRuntime,
        *,
        imgsz: int,
        network_size: Callable[[int, int, int], tuple[int, int]],
        doubt: Doubt | None = None,
        smoother: ScoreSmoother | LabelVotes | None = None,
        timers: StageTimers | None = None,
        given: InputFormat | None = None,
        regions: Callable[[UInt8Array, UInt8Array | None], FindDetections] | None = None,
        queue: Queued | None = None,
    ) -> None:
        super().__init__(
            imgsz=imgsz, network_size=network_size, smoother=smoother, timers=timers, given=given, queue=queue
        )
        if smoother is not None and isinstance(smoother, LabelVotes) != runtime.gives_labels:
            raise ValueError("labels are smoothed by LabelVotes, scores by ScoreSmoother")
        self._smoother = smoother
        self._doubt = doubt or Doubt()
        if self._doubt.asked and runtime.gives_labels:
            raise ValueError("labels carry no confidence, scores do")
        self._runtime = runtime
        self._regions = regions

    @torch.inference_mode()
    def finish(self, frame: Frame, output: Tensor) -> Segmentation:
        """Of scores (C, h, w), or labels (h, w)."""
        runtime = self._runtime
        placement = self._placement_of_output(frame)
        whole = runtime.align_corners and not runtime.gives_labels
        window = placement.window((output.shape[-2], output.shape[-1]), frame.size_hw, whole=whole)
        output = output[..., window.rows, window.columns]
        if runtime.gives_labels:
            if isinstance(self._smoother, LabelVotes):
                with self._timers.measure("smooth"):
                    output = self._smoother.smooth(frame, output)
            with self._timers.measure("postprocess"):
                labels = _nearest(output.numpy(), window.fine_hw)
                return self._segmentation(labels[window.of_frame(frame.size_hw)], frame)
        class_of_map, sureness = runtime.class_of_channel, None
        smoother = self._smoother if isinstance(self._smoother, ScoreSmoother) else None
        if smoother is not None or self._doubt.asked:
            with self._timers.measure("postprocess", frames=0):
                scores = output if smoother is None else pooled(output, align_corners=whole)
                weights = total = None
                if self._doubt.asked or not runtime.gives_logits:
                    weights = runtime.weights(scores)
                    total = weights.sum(dim=0) if self._doubt.asked else None
            if smoother is not None:
                with self._timers.measure("smooth"):
                    given = LogitScores(scores) if weights is None else weights
                    output, channels = smoother.smooth(frame, given, total)
                    class_of_map = class_of_map[channels]
                sureness = None if total is None else self._doubt.of(smoother.total)
            elif total is not None:
                sureness = self._doubt.of(total, weights)
        with self._timers.measure("postprocess"):
            levels, aligned_hw = None, placement.canvas_hw if whole else None
            if sureness is not None:
                labels, levels = sure_argmax_upsampled(
                    output.numpy(), window.fine_hw, sureness, names=class_of_map, aligned_hw=aligned_hw
                )
            elif whole or not is_large(output, window.fine_hw):
                labels = argmax_upsampled(output.numpy(), window.fine_hw, names=class_of_map, aligned_hw=aligned_hw)
            else:
                labels = argmax_of_large(output, window.fine_hw, class_of_map)
            part = window.of_frame(frame.size_hw)
            return self._segmentation(labels[part], frame, None if levels is None else levels[part])

    def _segmentation(self, labels: UInt8Array, frame: Frame, levels: UInt8Array | None = None) -> Segmentation:
        label_map = np.ascontiguousarray(labels)
        levels = None if levels is None else np.ascontiguousarray(levels)
        detections = None if self._regions is None else self._regions(label_map, levels)
        return Segmentation(label_map, frame.index, levels, _detections=detections)

    def _placement_of_output(self, frame: Frame) -> Placement:
        """Where the frame lies on what comes out of the network."""
        return self._placement(frame)

    def _run(self, images: Tensor) -> Tensor:
        return self._runtime.run(images)

    def _each(self, found: Tensor) -> list[Tensor]:
        return list(found)


def _nearest(labels: UInt8Array, size_hw: tuple[int, int]) -> UInt8Array:
    """(H, W) the label of the cell that each pixel's centre lies in."""
    if labels.shape == size_hw:
        return labels
    rows, columns = (
        np.minimum(((np.arange(fine) + 0.5) * coarse / fine).astype(np.intp), coarse - 1)
        for fine, coarse in zip(size_hw, labels.shape, strict=True)
    )
    return np.ascontiguousarray(labels[rows[:, None], columns])
