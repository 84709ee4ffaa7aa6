"""Frames in, segmentations out: the steps of this folder composed around a runtime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from vidseg.frames import NO_LABEL, Frame, Segmentation
from vidseg.labels import LabelSet, ade20k
from vidseg.runtimes.base import Queued, Runtime
from vidseg.runtimes.model_format import InputFormat
from vidseg.segmentation.doubt import Doubt
from vidseg.segmentation.network_segmenter import NetworkSegmenter
from vidseg.segmentation.postprocess import LABEL_RULES, QueryOutput, labels_of, sure_labels_of
from vidseg.segmentation.preprocess import network_size
from vidseg.segmentation.temporal import ScoreSmoother
from vidseg.timing import StageTimers


class QuerySegmenter(NetworkSegmenter[tuple[Tensor, Tensor]]):
    """A segmenter with a query model (Mask2Former, BisenetFormer).

    Args:
        runtime: runs the network.
        network_size: another than `preprocess`'s for networks that take one size only.
        rule: one of `postprocess.LABEL_RULES`.
        least: by "winner-query", what a query's score has to exceed to give its pixels a label.
        mask_score: as in `QueryOutput.scores`; of detections too.
        doubt: how sure it has to be, and whether segmentations say how sure it is.
        keep_queries: let segmentations answer `query_masks()` and `detections()`; costs some MB a frame.
        smoother: makes labels (and confidence) calm over time; queries and detections stay those of the single frame.
            The others are those of `NetworkSegmenter`.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        imgsz: int,
        network_size: Callable[[int, int, int], tuple[int, int]] = network_size,
        rule: str = "semantic",
        least: float | None = None,
        mask_score: bool = False,
        doubt: Doubt | None = None,
        keep_queries: bool = False,
        labels: LabelSet | None = None,
        smoother: ScoreSmoother | None = None,
        timers: StageTimers | None = None,
        given: InputFormat | None = None,
        activated: bool = False,
        queue: Queued | None = None,
    ) -> None:
        if rule not in LABEL_RULES:
            raise ValueError(f"unknown label rule '{rule}'; known: {', '.join(LABEL_RULES)}")
        super().__init__(
            imgsz=imgsz, network_size=network_size, smoother=smoother, timers=timers, given=given, queue=queue
        )
        self._smoother = smoother
        self._activated = activated
        self._runtime = runtime
        self._rule = rule
        self._least = least
        self._mask_score = mask_score
        self._doubt = doubt or Doubt()
        self._keep_queries = keep_queries
        self._labels = labels or ade20k()

    @torch.inference_mode()
    def finish(self, frame: Frame, output: tuple[Tensor, Tensor]) -> Segmentation:
        """Of class_logits (Q, K+1) and mask_logits (Q, h, w)."""
        smoother, asked = self._smoother, self._doubt.asked
        classes, masks = output
        if masks.device.type == "cuda":  # it is still at it; the time is not that of the first step that needs a number
            with self._timers.measure("model", frames=0):
                torch.cuda.current_stream(masks.device).synchronize()
        window = self._placement(frame).window((masks.shape[-2], masks.shape[-1]), frame.size_hw)
        masks = masks[..., window.rows, window.columns]
        with self._timers.measure("postprocess"):
            make = QueryOutput if self._activated else QueryOutput.from_logits
            queries = make(classes, masks, frame.size_hw)
            total = queries.total(self._rule) if asked else None
            if smoother is None:
                maps, class_of_map = queries.competing(self._rule, self._least, mask_score=self._mask_score)
            else:
                scores = queries.class_scores(self._rule, self._least, mask_score=self._mask_score)
        if smoother is not None:
            with self._timers.measure("smooth"):
                maps, class_of_map = smoother.smooth(frame, scores, total)
                class_of_map[class_of_map == queries.class_probs.shape[1]] = NO_LABEL  # the map after the classes
        with self._timers.measure("postprocess", frames=0):
            part = window.of_frame(frame.size_hw)
            if total is None:
                label_map, levels = labels_of(maps, class_of_map, window.fine_hw), None
            else:
                sureness = self._doubt.of(total if smoother is None else smoother.total)
                label_map, levels = sure_labels_of(maps, class_of_map, window.fine_hw, sureness)
            label_map = np.ascontiguousarray(label_map[part])
            levels = None if levels is None else np.ascontiguousarray(levels[part])
        if not self._keep_queries:
            return Segmentation(label_map, frame.index, levels)
        names, mask_score = self._labels.names, self._mask_score
        return Segmentation(
            label_map,
            frame.index,
            levels,
            _query_masks=queries.query_masks,
            _detections=lambda threshold, mode: queries.detections(names, threshold, mode, mask_score=mask_score),
        )

    def _run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self._runtime.run(images)

    def _each(self, found: tuple[Tensor, Tensor]) -> list[tuple[Tensor, Tensor]]:
        return list(zip(*found, strict=True))
