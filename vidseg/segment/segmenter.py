"""Frames in, segmentations out: the steps of this folder composed around a runtime."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vidseg.frames import Frame, Segmentation
from vidseg.labels import LabelSet, ade20k
from vidseg.runtimes.base import Runtime
from vidseg.segment.postprocess import LABEL_RULES, QueryOutput
from vidseg.segment.preprocess import network_size, to_network
from vidseg.timing import StageTimers


class QuerySegmenter:
    """Satisfies `vidseg.interfaces.Segmenter` with a query model (Mask2Former, BisenetFormer).

    Args:
        runtime: runs the network.
        imgsz: long side in pixels of what the network sees.
        rule: one of `postprocess.LABEL_RULES`.
        confidence: also give the winner's share of the scores per pixel.
        keep_queries: let segmentations answer `query_masks()` and `detections()`; costs some MB a frame.
        timers: told the cost of "preprocess", "model" and "postprocess".
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        imgsz: int,
        rule: str = "semantic",
        confidence: bool = False,
        keep_queries: bool = False,
        labels: LabelSet | None = None,
        timers: StageTimers | None = None,
    ) -> None:
        if rule not in LABEL_RULES:
            raise ValueError(f"unknown label rule '{rule}'; known: {', '.join(LABEL_RULES)}")
        self._runtime = runtime
        self._imgsz = imgsz
        self._rule = rule
        self._confidence = confidence
        self._keep_queries = keep_queries
        self._labels = labels or ade20k()
        self._timers = timers or StageTimers()

    @torch.inference_mode()
    def segment(self, frames: Sequence[Frame]) -> list[Segmentation]:
        """One Segmentation per frame, in order. All frames of one call have the same size."""
        if not frames:
            return []
        count = len(frames)
        with self._timers.measure("preprocess", count):
            size = network_size(*frames[0].size_hw, self._imgsz)
            images = torch.cat([to_network(frame.image, size) for frame in frames])
        with self._timers.measure("model", count):
            class_logits, mask_logits = self._runtime.run(images)
        with self._timers.measure("postprocess", count):
            return [
                self._segmentation(frame, QueryOutput.from_logits(classes, masks, frame.size_hw))
                for frame, classes, masks in zip(frames, class_logits, mask_logits, strict=True)
            ]

    def _segmentation(self, frame: Frame, output: QueryOutput) -> Segmentation:
        if self._confidence:
            label_map, confidence = output.labels_and_confidence(self._rule)
        else:
            label_map, confidence = output.labels(self._rule), None
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
