"""Which query answers for which true region: the assignment of least cost.

Paper: Mask2Former (arXiv:2112.01527), after DETR (arXiv:2005.12872).
Reference: github.com/FocoosAI/focoos (MIT).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

CLASS_COST, MASK_COST, DICE_COST = 2.0, 5.0, 5.0


@torch.no_grad()
def matching_cost(class_logits: Tensor, mask_logits: Tensor, classes: Tensor, masks: Tensor) -> Tensor:
    """(Q, T) what it costs to let a query answer for a region.

    2 x minus the probability of the region's class, 5 x binary cross-entropy and 5 x dice loss over the points.

    Args:
        class_logits: (Q, K+1), last column is "no object".
        mask_logits: (Q, P) at points that all masks share.
        classes: (T,) int64 class of each region.
        masks: (T, P) in 0..1 at the same points.
    """
    class_cost = -class_logits.softmax(dim=-1)[:, classes]
    # y * softplus(-x) + (1 - y) * softplus(x) = softplus(x) - x * y: one product for all pairs
    points = mask_logits.shape[1]
    mask_cost = (F.softplus(mask_logits).sum(dim=1, keepdim=True) - mask_logits @ masks.T) / points
    probs = mask_logits.sigmoid()
    overlap = 2 * probs @ masks.T
    dice_cost = 1 - (overlap + 1) / (probs.sum(dim=1, keepdim=True) + masks.sum(dim=1)[None] + 1)
    return CLASS_COST * class_cost + MASK_COST * mask_cost + DICE_COST * dice_cost


def assign(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Query numbers and region numbers, (min(Q, T),) int64 each, of the pairs with the least sum of costs.

    NaN counts as very dear, so that the loss and not the assignment tells of it.
    """
    from scipy.optimize import linear_sum_assignment  # an extra: only training needs it

    finite = torch.nan_to_num(cost.float(), nan=1e6, posinf=1e6, neginf=-1e6).cpu().numpy()
    queries, regions = linear_sum_assignment(finite)
    return torch.as_tensor(queries, dtype=torch.int64), torch.as_tensor(regions, dtype=torch.int64)
