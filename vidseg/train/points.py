"""Sampling of mask points: random, with more of them where the network is unsure.

Papers: PointRend (arXiv:1912.08193); Mask2Former (arXiv:2112.01527), section 3.3.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def random_points(count: int, points: int, generator: torch.Generator) -> Tensor:
    """(count, points, 2) places (x, y) in 0..1, on the generator's device."""
    return torch.rand(count, points, 2, generator=generator, device=generator.device)


def sample_points(maps: Tensor, places: Tensor) -> Tensor:
    """(N, P) values of N maps at their own points, bilinear between cell centres, 0 outside the map.

    Args:
        maps: (N, h, w) float.
        places: (N, P, 2), (x, y) in 0..1 over the whole map.
    """
    grid = 2 * places[:, :, None] - 1  # (N, P, 1, 2)
    return F.grid_sample(maps[:, None], grid, mode="bilinear", align_corners=False)[:, 0, :, 0]


@torch.no_grad()
def uncertain_points(
    mask_logits: Tensor, points: int, generator: torch.Generator, *, oversample: float, importance: float
) -> Tensor:
    """(N, points, 2) places where to compare masks: mostly those with logits near 0, the rest anywhere.

    Args:
        mask_logits: (N, h, w).
        oversample: candidates per point; the candidates are sampled first, then judged.
        importance: share of the points taken from the least certain candidates, 0..1.
    """
    count = mask_logits.shape[0]
    candidates = random_points(count, int(points * oversample), generator)
    certainty = sample_points(mask_logits, candidates).abs()
    wanted = int(importance * points)
    least = certainty.topk(wanted, dim=1, largest=False).indices
    chosen = candidates.gather(1, least[..., None].expand(-1, -1, 2))
    return torch.cat([chosen, random_points(count, points - wanted, generator)], dim=1)
