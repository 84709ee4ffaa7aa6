"""What a network is trained to make small: set losses over matched queries, and a loss on the semantic map.

Paper: Mask2Former (arXiv:2112.01527). Reference: github.com/FocoosAI/focoos (MIT).
Differences:
- With `points=0` masks are compared at every cell of the mask grid, truth averaged over the cell: on small crops that
  is less work than 12,544 points and leaves nothing to chance.
- `loss_semantic` is added: cross-entropy between the normalised semantic map, which is what `vidseg run` shows, and
  the classes that a teacher found (distillation) or the labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from vidseg.frames import NO_LABEL
from vidseg.models import QueryLogits
from vidseg.train.matcher import assign, matching_cost
from vidseg.train.points import random_points, sample_points, uncertain_points

CE_WEIGHT, MASK_WEIGHT, DICE_WEIGHT = 2.0, 5.0, 5.0
NO_OBJECT_WEIGHT = 0.1
SCORE_FLOOR = 1e-6
"""Added to every class's score in the semantic map."""
POINTS, OVERSAMPLE, IMPORTANCE = 12_544, 3.0, 0.75


@dataclass(frozen=True, eq=False)
class Regions:
    """The true regions of one image: one per class, as in semantic segmentation.

    `classes` (T,) int64; `masks` (T, H, W) float32, 0 or 1. T may be 0.
    """

    classes: Tensor
    masks: Tensor

    @classmethod
    def from_labels(cls, labels: Tensor) -> Regions:
        """Of a label map (H, W) uint8; pixels without label belong to no region."""
        classes = torch.unique(labels).long()
        classes = classes[classes != NO_LABEL]
        return cls(classes, (labels[None] == classes[:, None, None]).float())


def dice_loss(mask_logits: Tensor, masks: Tensor, num_masks: float) -> Tensor:
    """Sum over N masks of 1 - (2 overlap + 1) / (areas + 1), divided by `num_masks`; both inputs are (N, P)."""
    probs = mask_logits.sigmoid()
    overlap = 2 * (probs * masks).sum(dim=1)
    return (1 - (overlap + 1) / (probs.sum(dim=1) + masks.sum(dim=1) + 1)).sum() / num_masks


def mask_loss(mask_logits: Tensor, masks: Tensor, num_masks: float) -> Tensor:
    """Sum over N masks of the mean binary cross-entropy, divided by `num_masks`; both inputs are (N, P)."""
    return F.binary_cross_entropy_with_logits(mask_logits, masks, reduction="none").mean(dim=1).sum() / num_masks


def semantic_loss(class_logits: Tensor, mask_logits: Tensor, ids: Tensor, probs: Tensor) -> Tensor:
    """Mean cross-entropy of the semantic map, normalised over the classes, against given class probabilities.

    Args:
        class_logits: (B, Q, K+1).
        mask_logits: (B, Q, h, w).
        ids: (B, N, h, w) int64, up to N classes per cell.
        probs: (B, N, h, w) their probabilities; cells where all are 0 do not count.
    """
    class_probs = class_logits.softmax(dim=-1)[..., :-1]
    mask_probs = mask_logits.sigmoid()
    # with the floor queries that all say "no object" give all classes alike, not nothing divided by nothing
    totals = torch.einsum("bq,bqhw->bhw", class_probs.sum(dim=-1), mask_probs) + class_probs.shape[-1] * SCORE_FLOOR
    known = (probs.sum(dim=1) > 0).sum().clamp_min(1)
    loss = probs.new_zeros(())
    for classes_of, masks, total, names, shares in zip(class_probs, mask_probs, totals, ids, probs, strict=True):
        # of 150 classes a picture has some ten: the scores of the others are in the total only
        present, places = torch.unique(names, return_inverse=True)
        scores = torch.einsum("qk,qhw->khw", classes_of[:, present], masks)
        loss = loss - (shares * torch.log((scores.gather(0, places) + SCORE_FLOOR) / total)).sum()
    return loss / known


class SetLoss:
    """The losses of a batch by name, weighted, ready to be added up.

    Args:
        num_classes: K, without "no object".
        points: how many points masks are compared at, for matching and for the loss; 0 takes every cell.
        semantic_weight: of `loss_semantic`; 0 leaves it out.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        points: int = POINTS,
        semantic_weight: float = 0.0,
        no_object_weight: float = NO_OBJECT_WEIGHT,
    ) -> None:
        self._num_classes = num_classes
        self._points = points
        self._semantic_weight = semantic_weight
        self._class_weights = torch.ones(num_classes + 1)
        self._class_weights[-1] = no_object_weight

    def __call__(
        self,
        output: QueryLogits,
        regions: Sequence[Regions],
        generator: torch.Generator,
        semantic: tuple[Tensor, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """`loss_ce`, `loss_mask`, `loss_dice`, the same with `_0`, `_1`, ... per `aux`; and perhaps `loss_semantic`.

        Args:
            output: of the network; `aux` outputs are judged like the last one (deep supervision).
            regions: one per image.
            generator: draws the points, on the device of `output`.
            semantic: ids and probs as `semantic_loss` takes them.
        """
        num_masks = float(max(1, sum(len(one.classes) for one in regions)))
        if self._points == 0:
            regions = [Regions(one.classes, cell_means(one.masks, output.mask_logits.shape[-2:])) for one in regions]
        losses = {}
        for suffix, layer in (("", output), *((f"_{n}", aux) for n, aux in enumerate(output.aux))):
            classes, masks = layer.class_logits.float(), layer.mask_logits.float()
            pairs = [self._match(classes[n], masks[n], one, generator) for n, one in enumerate(regions)]
            losses[f"loss_ce{suffix}"] = CE_WEIGHT * self._class_loss(classes, regions, pairs)
            logits, truth = self._matched(masks, regions, pairs, generator)
            losses[f"loss_mask{suffix}"] = MASK_WEIGHT * mask_loss(logits, truth, num_masks)
            losses[f"loss_dice{suffix}"] = DICE_WEIGHT * dice_loss(logits, truth, num_masks)
        if semantic is not None and self._semantic_weight:
            last = semantic_loss(output.class_logits.float(), output.mask_logits.float(), *semantic)
            losses["loss_semantic"] = self._semantic_weight * last
        return losses

    @torch.no_grad()
    def _match(
        self, class_logits: Tensor, mask_logits: Tensor, regions: Regions, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        if self._points == 0:
            logits, truth = mask_logits.flatten(1), regions.masks.flatten(1)
        else:  # all masks of an image are compared at the same points
            places = random_points(1, self._points, generator)
            logits = sample_points(mask_logits, places.expand(len(mask_logits), -1, -1))
            truth = sample_points(regions.masks, places.expand(len(regions.masks), -1, -1))
        queries, numbers = assign(matching_cost(class_logits, logits, regions.classes, truth))
        return queries.to(class_logits.device), numbers.to(class_logits.device)

    def _class_loss(
        self, class_logits: Tensor, regions: Sequence[Regions], pairs: Sequence[tuple[Tensor, Tensor]]
    ) -> Tensor:
        """Cross-entropy of all queries; those without a region are to say "no object", at a tenth of the weight."""
        truth = torch.full(class_logits.shape[:2], self._num_classes, dtype=torch.int64, device=class_logits.device)
        for row, one, (queries, numbers) in zip(truth, regions, pairs, strict=True):
            row[queries] = one.classes[numbers]
        weights = self._class_weights.to(class_logits.device)
        return F.cross_entropy(class_logits.transpose(1, 2), truth, weights)

    def _matched(
        self,
        mask_logits: Tensor,
        regions: Sequence[Regions],
        pairs: Sequence[tuple[Tensor, Tensor]],
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Logits and truth (N, P) of all matched masks of the batch."""
        logits = torch.cat([masks[queries] for masks, (queries, _) in zip(mask_logits, pairs, strict=True)])
        truth = torch.cat([one.masks[numbers] for one, (_, numbers) in zip(regions, pairs, strict=True)])
        if self._points == 0:
            return logits.flatten(1), truth.flatten(1)
        places = uncertain_points(
            logits.detach(), self._points, generator, oversample=OVERSAMPLE, importance=IMPORTANCE
        )
        with torch.no_grad():
            truth = sample_points(truth, places)
        return sample_points(logits, places), truth


def cell_means(masks: Tensor, size_hw: Sequence[int]) -> Tensor:
    """(T, h, w) share of each cell that a mask (T, H, W) covers."""
    return F.adaptive_avg_pool2d(masks, (size_hw[0], size_hw[1]))
