"""Training losses: set losses over matched queries, and a loss on the semantic map.

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
MOST_CLASSES_OF_A_REGION = 20
"""Label values that stand for more ("none of the things") teach the semantic map only."""
POINTS, OVERSAMPLE, IMPORTANCE = 12_544, 3.0, 0.75


@dataclass(frozen=True, eq=False)
class Regions:
    """The true regions of one image: one per label value, as in semantic segmentation.

    `values` (T,) int64; `masks` (T, H, W) float32, 0 or 1; `known` (T, H, W) float32, 0 where a pixel may or may not
    belong to the region: its label is unknown or shares a class with the region's. `ground` (H, W) float32 is 1 where
    some region is. T may be 0.
    """

    values: Tensor
    masks: Tensor
    known: Tensor
    ground: Tensor

    @classmethod
    def from_labels(cls, labels: Tensor, member: Tensor) -> Regions:
        """Of a label map (H, W) uint8; pixels without label belong to no region.

        Args:
            member: (256, K) bool, the classes that each label value allows; values with many are no regions.
        """
        values = torch.unique(labels).long()
        values = values[values != NO_LABEL]
        labels = labels.long()
        counts = member[values].sum(dim=1)
        values = values[(counts > 0) & (counts <= MOST_CLASSES_OF_A_REGION)]
        masks = labels[None] == values[:, None, None]
        shares = (member[values].float() @ member.float().T) > 0  # (T, 256) values that have a class in common
        known = masks | ~(shares[:, labels] | (labels == NO_LABEL))
        return cls(values, masks.float(), known.float(), masks.any(dim=0).float())

    def on_cells(self, size_hw: Sequence[int]) -> Regions:
        """The same on a coarser grid: shares of the cells."""
        masks, known, ground = (cell_means(part, size_hw) for part in (self.masks, self.known, self.ground[None]))
        return Regions(self.values, masks, known, ground[0])


def dice_loss(mask_logits: Tensor, masks: Tensor, num_masks: float, known: Tensor | None = None) -> Tensor:
    """Sum over N masks of 1 - (2 overlap + 1) / (areas + 1), divided by `num_masks`.

    Args:
        mask_logits, masks: (N, P).
        known: (N, P) in 0..1, how much each point counts; `masks` is at most that. None: all points count.
    """
    probs = mask_logits.sigmoid()
    overlap = 2 * (probs * masks).sum(dim=1)
    area = (probs if known is None else probs * known).sum(dim=1)
    return (1 - (overlap + 1) / (area + masks.sum(dim=1) + 1)).sum() / num_masks


def mask_loss(mask_logits: Tensor, masks: Tensor, num_masks: float, known: Tensor | None = None) -> Tensor:
    """Sum over N masks of the mean binary cross-entropy of the points that count, divided by `num_masks`.

    Args as of `dice_loss`.
    """
    if known is None:
        known = torch.ones_like(masks)
    # for a point that counts in part, `masks` is what of that part is true
    losses = known * F.softplus(mask_logits) - masks * mask_logits
    return (losses.sum(dim=1) / known.sum(dim=1).clamp_min(1e-6)).sum() / num_masks


def semantic_loss(
    class_logits: Tensor, mask_logits: Tensor, ids: Tensor, probs: Tensor, member: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy of the semantic map, normalised over the classes, against given probabilities.

    Args:
        class_logits: (B, Q, K+1).
        mask_logits: (B, Q, h, w).
        ids: (B, N, h, w) int64, up to N label values per cell.
        probs: (B, N, h, w) their probabilities; cells where all are 0 do not count.
        member: (256, K) bool, the classes that a value stands for, whose probabilities add up; None: values are ids.
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
        if member is None:
            said, floors = classes_of[:, present], torch.full_like(present, SCORE_FLOOR, dtype=total.dtype)
        else:
            said = classes_of @ member[present].to(classes_of.dtype).T
            floors = SCORE_FLOOR * member[present].sum(dim=1).clamp_min(1).to(total.dtype)  # one for each class
        scores = torch.einsum("qk,qhw->khw", said, masks) + floors[:, None, None]
        loss = loss - (shares * torch.log(scores.gather(0, places) / total)).sum()
    return loss / known


class SetLoss:
    """The losses of a batch by name, weighted, ready to be added up.

    Args:
        num_classes: K, without "no object".
        points: how many points masks are compared at, for matching and for the loss; 0 takes every cell.
        semantic_weight: of `loss_semantic`; 0 leaves it out.
        member: (256, K) bool, the classes that a label value stands for; None: values are class ids.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        points: int = POINTS,
        semantic_weight: float = 0.0,
        no_object_weight: float = NO_OBJECT_WEIGHT,
        member: Tensor | None = None,
    ) -> None:
        self._points = points
        self._semantic_weight = semantic_weight
        self._no_object_weight = no_object_weight
        self._member = torch.eye(256, dtype=torch.bool)[:, :num_classes] if member is None else member

    def __call__(
        self,
        output: QueryLogits,
        labels: Tensor,
        generator: torch.Generator,
        semantic: tuple[Tensor, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """`loss_ce`, `loss_mask`, `loss_dice`, the same with `_0`, `_1`, ... per `aux`; and perhaps `loss_semantic`.

        Args:
            output: of the network; `aux` outputs are judged like the last one (deep supervision).
            labels: (B, H, W) uint8 label maps.
            generator: draws the points, on the device of `output`.
            semantic: ids and probs as `semantic_loss` takes them.
        """
        self._member = self._member.to(labels.device)
        regions = [Regions.from_labels(one, self._member) for one in labels]
        num_masks = float(max(1, sum(len(one.values) for one in regions)))
        cells = [one.on_cells(output.mask_logits.shape[-2:]) for one in regions]
        if self._points == 0:
            regions = cells
        losses = {}
        for suffix, layer in (("", output), *((f"_{n}", aux) for n, aux in enumerate(output.aux))):
            classes, masks = _sure(layer.class_logits), _sure(layer.mask_logits)
            pairs = [self._match(classes[n], masks[n], one, generator) for n, one in enumerate(regions)]
            losses[f"loss_ce{suffix}"] = CE_WEIGHT * self._class_loss(classes, masks, cells, pairs)
            logits, truth, known = self._matched(masks, regions, pairs, generator)
            losses[f"loss_mask{suffix}"] = MASK_WEIGHT * mask_loss(logits, truth, num_masks, known)
            losses[f"loss_dice{suffix}"] = DICE_WEIGHT * dice_loss(logits, truth, num_masks, known)
        if semantic is not None and self._semantic_weight:
            last = semantic_loss(_sure(output.class_logits), _sure(output.mask_logits), *semantic, self._member)
            losses["loss_semantic"] = self._semantic_weight * last
        return losses

    @torch.no_grad()
    def _match(
        self, class_logits: Tensor, mask_logits: Tensor, regions: Regions, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        if self._points == 0:
            logits, truth, known = mask_logits.flatten(1), regions.masks.flatten(1), regions.known.flatten(1)
        else:  # all masks of an image are compared at the same points
            places = random_points(1, self._points, generator)
            logits, truth, known = (
                sample_points(maps, places.expand(len(maps), -1, -1))
                for maps in (mask_logits, regions.masks, regions.known)
            )
        said = self._log_probs(class_logits, regions.values).exp()
        queries, numbers = assign(matching_cost(said, logits, truth, known))
        return queries.to(class_logits.device), numbers.to(class_logits.device)

    def _log_probs(self, class_logits: Tensor, values: Tensor) -> Tensor:
        """(Q, T) logarithm of the probability that queries give to the classes of label values together."""
        outside = ~self._member[values]  # (T, K)
        each = class_logits.log_softmax(dim=-1)[:, None, :-1].masked_fill(outside[None], -torch.inf)
        return each.logsumexp(dim=-1)

    def _class_loss(
        self,
        class_logits: Tensor,
        mask_logits: Tensor,
        cells: Sequence[Regions],
        pairs: Sequence[tuple[Tensor, Tensor]],
    ) -> Tensor:
        """Mean cross-entropy of all queries, weighted.

        Those without a region are to say "no object", at a tenth of the weight times the share of their mask that lies
        on the ground of some region: elsewhere they may be right.
        """
        total, weight = class_logits.new_zeros(()), class_logits.new_zeros(())
        for classes, masks, one, (queries, numbers) in zip(class_logits, mask_logits, cells, pairs, strict=True):
            probs = masks.detach().sigmoid()
            weights = (
                self._no_object_weight * (probs * one.ground).sum(dim=(1, 2)) / probs.sum(dim=(1, 2)).clamp_min(1e-6)
            )
            weights = weights.index_fill(0, queries, 0)
            said = self._log_probs(classes[queries], one.values)
            matched = said[torch.arange(len(queries), device=said.device), numbers]
            total = total - matched.sum() - (weights * classes.log_softmax(dim=-1)[:, -1]).sum()
            weight = weight + len(queries) + weights.sum()
        return total / weight.clamp_min(1e-6)

    def _matched(
        self,
        mask_logits: Tensor,
        regions: Sequence[Regions],
        pairs: Sequence[tuple[Tensor, Tensor]],
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, truth and what counts, each (N, P), of all matched masks of the batch."""
        logits = torch.cat([masks[queries] for masks, (queries, _) in zip(mask_logits, pairs, strict=True)])
        truth = torch.cat([one.masks[numbers] for one, (_, numbers) in zip(regions, pairs, strict=True)])
        known = torch.cat([one.known[numbers] for one, (_, numbers) in zip(regions, pairs, strict=True)])
        if self._points == 0:
            return logits.flatten(1), truth.flatten(1), known.flatten(1)
        places = uncertain_points(
            logits.detach(), self._points, generator, oversample=OVERSAMPLE, importance=IMPORTANCE
        )
        with torch.no_grad():
            truth, known = sample_points(truth, places), sample_points(known, places)
        return sample_points(logits, places), truth, known


def _sure(logits: Tensor) -> Tensor:
    """In float32 at least."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def cell_means(masks: Tensor, size_hw: Sequence[int]) -> Tensor:
    """(T, h, w) share of each cell that a mask (T, H, W) covers."""
    return F.adaptive_avg_pool2d(masks, (size_hw[0], size_hw[1]))
