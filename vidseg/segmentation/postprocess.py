"""From query outputs at mask stride to labels, full-size masks and detections of one frame.

Two label rules, both of the reference:

- semantic: the class with the largest sum over queries of class probability x mask probability
  (Mask2Former, arXiv:2112.01527, `semantic_inference`);
- winner-query: the class of the query with the largest best-class probability x mask probability
  (the reference's `predict_all_pixels`).

Sigmoid first, then enlarge, as the reference does. Enlarging is linear, so sums over queries are taken on the coarse
grid, and only what can still win is enlarged (`upsampled_argmax`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidseg.confidence import STEPS
from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, Detection, DetectionMode, QueryMasks, UInt8Array
from vidseg.segmentation.class_scores import ClassScores, GivenScores, QueryScores
from vidseg.segmentation.upsampled_argmax import (
    Sureness,
    argmax_upsampled,
    argmax_upsampled_dense,
    sure_argmax_upsampled,
    translated,
)

LABEL_RULES = ("semantic", "winner-query")
DETECTION_MODES: tuple[str, ...] = get_args(DetectionMode)


def labels_of(maps: Tensor, class_of_map: UInt8Array | None, size_hw: tuple[int, int]) -> UInt8Array:
    """(H, W) class ids: of the largest of the maps (N, h, w) at each pixel. `class_of_map` (N,); None: its number."""
    if maps.device.type == "cpu":
        return argmax_upsampled(maps.numpy(), size_hw, names=class_of_map)
    winner = argmax_upsampled_dense(maps, size_hw)[0].cpu().numpy()
    return winner if class_of_map is None else class_of_map[winner]


def sure_labels_of(
    maps: Tensor, class_of_map: UInt8Array, size_hw: tuple[int, int], sureness: Sureness
) -> tuple[UInt8Array, UInt8Array | None]:
    """`labels_of`, `NO_LABEL` where the winner's share is too small; and (H, W) levels where they are wanted."""
    if maps.device.type == "cpu":
        return sure_argmax_upsampled(maps.numpy(), size_hw, sureness, names=class_of_map)
    winner, best = argmax_upsampled_dense(maps, size_hw)
    total = F.interpolate(sureness.total[None, None], size=size_hw, mode="bilinear")[0, 0]
    shares = (best / total.clamp_min(torch.finfo(total.dtype).tiny)).clamp(0, 1).float().cpu().numpy()
    labels = class_of_map[winner.cpu().numpy()]
    labels[shares < sureness.least] = NO_LABEL
    if sureness.table is None:
        return labels, None
    return labels, translated((shares * np.float32(STEPS) + np.float32(0.5)).astype(np.uint8), sureness.table)


@dataclass(frozen=True, slots=True)
class QueryOutput:
    """What the network says about one frame, at mask stride.

    `class_probs` (Q, K) without "no object"; `mask_probs` (Q, h, w) in 0..1; `size_hw` of the frame in pixels.
    """

    class_probs: Tensor
    mask_probs: Tensor
    size_hw: tuple[int, int]

    @classmethod
    def from_logits(cls, class_logits: Tensor, mask_logits: Tensor, size_hw: tuple[int, int]) -> QueryOutput:
        """Of class_logits (Q, K+1), last column "no object", and mask_logits (Q, h, w)."""
        return cls(class_logits.softmax(dim=-1)[:, :-1], mask_logits.sigmoid(), size_hw)

    def best_class(self) -> tuple[Tensor, Tensor]:
        """Scores (Q,) and class ids (Q,): each query's likeliest class."""
        scores, class_ids = self.class_probs.max(dim=-1)
        return scores, class_ids

    def scores(self, mode: str = "all_pixels", *, mask_score: bool = False) -> Tensor:
        """(Q,) of each query's likeliest class, 0..1; with `mask_score` times the mean of its mask where that counts.

        Args:
            mode: one of `DETECTION_MODES`: the mask counts where the query wins, or where it is 0.5 or more.

        Source: focoos, `models/fai_mf/processor.py`, `use_mask_score`.
        """
        best = self.best_class()[0]
        if not mask_score:
            return best
        if mode == "all_pixels":
            owner = (best[:, None, None] * self.mask_probs).argmax(dim=0)
            inside = owner == torch.arange(len(best), device=owner.device)[:, None, None]
        else:
            inside = self.mask_probs >= 0.5
        cells = inside.sum(dim=(1, 2)) + 1e-5 / 1e-3  # as theirs, so that none is not divided by
        return best * (inside * self.mask_probs).sum(dim=(1, 2)) / cells

    def labels(self, rule: str) -> UInt8Array:
        """(H, W) class ids by one of `LABEL_RULES`."""
        return labels_of(*self.competing(rule), self.size_hw)

    def competing(
        self, rule: str, least: float | None = None, *, mask_score: bool = False
    ) -> tuple[Tensor, UInt8Array]:
        """Maps (N, h, w) of which the largest wins, and the class (N,) of each.

        Args:
            least: by "winner-query", what the score of a query has to exceed; else its pixels get `NO_LABEL`.
            mask_score: as in `scores`.
        """
        if rule == "semantic":
            alive, maps = QueryScores(self.class_probs, self.mask_probs).contenders()
            return maps, alive.cpu().numpy().astype(np.uint8)
        if rule != "winner-query":
            raise ValueError(f"unknown label rule '{rule}'; known: {', '.join(LABEL_RULES)}")
        scores, class_ids = self.best_class()
        classes = class_ids.cpu().numpy().astype(np.uint8)
        if least is not None:
            classes[(self.scores(mask_score=mask_score) <= least).cpu().numpy()] = NO_LABEL
        maps = scores[:, None, None] * self.mask_probs
        # half precision may overflow; a query that is no number would win everywhere
        return maps.nan_to_num(nan=0.0) if maps.sum().isnan() else maps, classes

    def total(self, rule: str) -> Tensor:
        """(h, w) sum of all scores, also of those that `competing` leaves out."""
        share = self.class_probs.sum(dim=1) if rule == "semantic" else self.best_class()[0]
        total = (share @ self.mask_probs.flatten(1)).view(self.mask_probs.shape[1:])
        return total.nan_to_num(nan=0.0)  # half precision may overflow; in a memory it would stay for good

    def class_scores(self, rule: str, least: float | None = None, *, mask_score: bool = False) -> ClassScores:
        """Score, >= 0, of every class by one of `LABEL_RULES`; the largest wins. Arguments as in `competing`.

        Unlike queries, classes are the same from frame to frame. By "winner-query" a class has the score of its best
        query in each cell: the same winners as `competing` at the grid points. With `least` a map more, of what gets no
        label, comes after the classes.
        """
        if rule == "semantic":
            return QueryScores(self.class_probs, self.mask_probs)
        maps, class_of_map = self.competing(rule, least, mask_score=mask_score)
        classes = self.class_probs.shape[1]
        best = maps.new_zeros(classes + (least is not None), *maps.shape[1:])
        index = torch.from_numpy(class_of_map).to(maps.device, torch.int64).clamp_(max=classes)
        return GivenScores(best.scatter_reduce(0, index[:, None, None].expand_as(maps), maps, "amax"))

    def full_masks(self) -> Tensor:
        """(Q, H, W) mask probabilities at the frame's size. Heavy: 100 masks of a 720p frame are 369 MB."""
        return F.interpolate(self.mask_probs[None], size=self.size_hw, mode="bilinear")[0]

    def query_masks(self) -> QueryMasks:
        """Class, score and full-size mask of every query, in query order."""
        scores, class_ids = self.best_class()
        return QueryMasks(class_ids.cpu().numpy(), scores.cpu().numpy(), self.full_masks().cpu().numpy())

    def detections(
        self,
        names: tuple[str, ...],
        threshold: float = 0.5,
        mode: DetectionMode = "all_pixels",
        *,
        mask_score: bool = False,
    ) -> list[Detection]:
        """Regions of the queries whose score is above `threshold`, in query order, as the reference gives them.

        Args:
            names: class names by id.
            threshold: 0..1; a query stays if its score is above it.
            mask_score: as in `scores`.
            mode: "all_pixels": each pixel belongs to the query with the largest score x mask probability, whether
                that query stays or not. "per_mask": each query keeps its pixels with mask probability >= 0.5.
        Returns:
            Detections with masks at the frame's size; a mask of one pixel or none is left out.
        """
        best, class_ids = self.best_class()
        scores = self.scores(mode, mask_score=mask_score)
        keep = torch.nonzero(scores > threshold)[:, 0].tolist()
        if mode == "all_pixels":
            owner = argmax_upsampled(
                (best[:, None, None] * self.mask_probs).cpu().numpy().astype(np.float32), self.size_hw
            )
            masks = (owner == query for query in keep)
        elif mode == "per_mask":
            masks = ((self._full_mask(query) >= 0.5).cpu().numpy() for query in keep)
        else:
            raise ConfigError(f"unknown mode '{mode}'; known: {', '.join(DETECTION_MODES)}")
        found = []
        for query, mask in zip(keep, masks, strict=True):
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            if mask.sum() <= 1:
                continue
            class_id = int(class_ids[query])
            bbox = (int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1]))
            found.append(Detection(bbox, float(scores[query]), class_id, names[class_id], mask))
        return found

    def _full_mask(self, query: int) -> Tensor:
        return F.interpolate(self.mask_probs[None, query : query + 1], size=self.size_hw, mode="bilinear")[0, 0]
