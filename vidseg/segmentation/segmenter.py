"""Frames in, segmentations out: the steps of this folder composed around a runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from vidseg.frames import Frame, Segmentation
from vidseg.labels import LabelSet, ade20k
from vidseg.runtimes.base import Runtime
from vidseg.saved_state import State
from vidseg.segmentation.postprocess import LABEL_RULES, QueryOutput, labels_and_confidence_of, labels_of
from vidseg.segmentation.preprocess import network_size, to_network
from vidseg.segmentation.temporal import ScoreSmoother
from vidseg.timing import StageTimers


class QuerySegmenter:
    """Satisfies `vidseg.interfaces.SteppedSegmenter` with a query model (Mask2Former, BisenetFormer).

    Args:
        runtime: runs the network.
        imgsz: long side in pixels of what the network sees.
        network_size: (height, width, imgsz) -> height and width of what the network sees; another than `preprocess`'s
            for networks that take one size only.
        rule: one of `postprocess.LABEL_RULES`.
        confidence: also give the winner's share of the scores per pixel.
        keep_queries: let segmentations answer `query_masks()` and `detections()`; costs some MB a frame.
        smoother: makes labels (and confidence) calm over time; queries and detections stay those of the single frame.
            Frames have to come in order then.
        timers: told the cost of "preprocess", "model", "smooth" and "postprocess".
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        imgsz: int,
        network_size: Callable[[int, int, int], tuple[int, int]] = network_size,
        rule: str = "semantic",
        confidence: bool = False,
        keep_queries: bool = False,
        labels: LabelSet | None = None,
        smoother: ScoreSmoother | None = None,
        timers: StageTimers | None = None,
    ) -> None:
        if rule not in LABEL_RULES:
            raise ValueError(f"unknown label rule '{rule}'; known: {', '.join(LABEL_RULES)}")
        self._runtime = runtime
        self._imgsz = imgsz
        self._network_size = network_size
        self._rule = rule
        self._confidence = confidence
        self._keep_queries = keep_queries
        self._labels = labels or ade20k()
        self._smoother = smoother
        self._timers = timers or StageTimers()

    def segment(self, frames: Sequence[Frame]) -> list[Segmentation]:
        """One Segmentation per frame, in order. All frames of one call have the same size."""
        return [finish() for finish in self.begin(frames)]

    @torch.inference_mode()
    def begin(self, frames: Sequence[Frame]) -> list[Callable[[], Segmentation]]:
        """Preprocess and run the network; what comes back smooths and chooses the labels of one frame each."""
        if not frames:
            return []
        return [partial(self.finish, *each) for each in zip(frames, self.infer(self.prepare(frames)), strict=True)]

    def prepare(self, frames: Sequence[Frame]) -> Tensor:
        """What the network sees of them, (B, 3, h, w) uint8."""
        with self._timers.measure("preprocess", len(frames)):
            size = self._network_size(*frames[0].size_hw, self._imgsz)
            return torch.cat([to_network(frame.image, size) for frame in frames])

    def infer(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The network's output for each of the images; they may be of several segmenters with one network."""
        with self._timers.measure("model", len(images)):
            class_logits, mask_logits = self._runtime.run(images)
        return list(zip(class_logits, mask_logits, strict=True))

    def finish(self, frame: Frame, output: tuple[Tensor, Tensor]) -> Segmentation:
        """What is in the frame, by the network's output for it. Frames have to come in order."""
        return self._segmentation(frame, *output)

    def state(self) -> State:
        """What the smoother remembers; without one, a segmenter has no memory."""
        return {"smoother": None if self._smoother is None else self._smoother.state()}

    def restore(self, state: State) -> None:
        """Go on after the frame of `state`."""
        if self._smoother is not None:
            self._smoother.restore(state["smoother"])

    @torch.inference_mode()
    def _segmentation(self, frame: Frame, class_logits: Tensor, mask_logits: Tensor) -> Segmentation:
        smoother = self._smoother
        with self._timers.measure("postprocess"):
            output = QueryOutput.from_logits(class_logits, mask_logits, frame.size_hw)
            if smoother is None:
                maps, class_of_map = output.competing(self._rule)
            else:
                scores = output.class_scores(self._rule)
        if smoother is not None:
            with self._timers.measure("smooth"):
                maps, class_of_map = smoother.smooth(frame, scores)
        with self._timers.measure("postprocess", frames=0):
            confidence = None
            if self._confidence:
                total = output.total(self._rule) if smoother is None else None
                label_map, confidence = labels_and_confidence_of(maps, class_of_map, output.size_hw, total=total)
            else:
                label_map = labels_of(maps, class_of_map, output.size_hw)
        if not self._keep_queries:
            return Segmentation(label_map, frame.index, confidence)
        names = self._labels.names
        return Segmentation(
            label_map,
            frame.index,
            confidence,
            _query_masks=output.query_masks,
            _detections=lambda threshold, mode: output.detections(names, threshold, mode),
        )
