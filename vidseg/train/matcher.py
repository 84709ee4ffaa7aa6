"""Matches queries to true regions: the assignment of least cost.

Paper: Mask2Former (arXiv:2112.01527), after DETR (arXiv:2005.12872).
Reference: github.com/FocoosAI/focoos (MIT).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

CLASS_COST, MASK_COST, DICE_COST = 2.0, 5.0, 5.0
_LEAST = 1e-6


@torch.no_grad()
def matching_cost(class_probs: Tensor, mask_logits: Tensor, masks: Tensor, known: Tensor) -> Tensor:
    """(Q, T) what it costs to let a query answer for a region.

    2 x minus the probability of the region's class, 5 x binary cross-entropy and 5 x dice loss over the known points.

    Args:
        class_probs: (Q, T) what each query gives to the class, or to the classes together, of each region.
        mask_logits: (Q, P) at points that all masks share.
        masks: (T, P) in 0..1 at the same points.
        known: (T, P) in 0..1, how much of a point counts for the region; `masks` is at most that.
    """
    # known * softplus(-x) where true, known * softplus(x) elsewhere = known * softplus(x) - x * mask: two products
    points = known.sum(dim=1).clamp_min(_LEAST)
    mask_cost = (F.softplus(mask_logits) @ known.T - mask_logits @ masks.T) / points
    probs = mask_logits.sigmoid()
    overlap = 2 * probs @ masks.T
    dice_cost = 1 - (overlap + 1) / (probs @ known.T + masks.sum(dim=1)[None] + 1)
    return -CLASS_COST * class_probs + MASK_COST * mask_cost + DICE_COST * dice_cost


def assign(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Query numbers and region numbers, (min(Q, T),) int64 each, of the pairs with the least sum of costs.

    NaN counts as very dear, so that the loss and not the assignment tells of it.
    """
    from scipy.optimize import linear_sum_assignment  # an extra: only training needs it

    finite = torch.nan_to_num(cost.float(), nan=1e6, posinf=1e6, neginf=-1e6).cpu().numpy()
    queries, regions = linear_sum_assignment(finite)
    return torch.as_tensor(queries, dtype=torch.int64), torch.as_tensor(regions, dtype=torch.int64)
