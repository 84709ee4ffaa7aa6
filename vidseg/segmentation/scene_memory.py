"""The labels of a place over the last seconds, so that a region does not change class for a moment.

The memory of `ScoreSmoother` ends after a fraction of a second: a network that takes a road for the sea for two seconds
wins. Here a coarse mean of the scores is kept for seconds, along the motion, and what it differs by from the present
one is added in part, where neighbouring cells differ alike: a whole region, and not a thing that comes into a cell or
passes through it. Where both agree nothing is added, so edges and thin things are left as they are; where the picture
is not what the motion says, nothing is remembered; and a region that goes on being something else becomes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from vidseg.segmentation.class_scores import alive

SECONDS = 2.0
"""After this time a frame counts 1/e."""
SHARE = 0.8
"""Of the difference between then and now, that is added to the scores."""
IGNORED = 0.05
"""So much of a difference is none: scores waver."""
ACROSS = 12
"""Cells along the longer side: regions count, not things, which come nearer and are seen better. With 48 the sample's
mIoU was .54 instead of .56."""
REGION = 2
"""Cells along the sides of the smallest region, of 16:9 some 5 % of the picture. Cells by themselves cost CamVid val
.007 of mIoU."""
RESIDUAL_LIMIT = 20.0
"""Grey levels by which a cell may miss what the motion says before its memory counts 1/e; half of that is no matter."""


@dataclass(frozen=True, slots=True)
class SceneMemory:
    """Mean scores (N, h, w) on the coarse grid, of those classes (N,), rising, that may win by them."""

    scores: Tensor
    classes: Tensor

    @classmethod
    def of(cls, scores: Tensor, classes: Tensor) -> SceneMemory:
        """Of the first frame of a scene, with scores (N, h, w)."""
        return cls._of_alive(coarse(scores, _side(scores)), classes)

    @classmethod
    def _of_alive(cls, mean: Tensor, classes: Tensor) -> SceneMemory:
        kept = alive(mean)
        return cls(mean[kept], classes[kept])

    def moved_on(
        self, scores: Tensor, classes: Tensor, flow: Tensor, residual: Tensor, seconds: float
    ) -> tuple[SceneMemory, Tensor, Tensor]:
        """The memory after the next frame, and what it adds to the scores of some maps (M,): (M, h, w).

        Args:
            scores: (N, h, w) of the classes (N,), rising, all that are remembered among them.
            flow: (h, w, 2) as (x, y) in cells, from each cell back to where it was.
            residual: (h, w) grey levels by which the frame before, moved along, misses the new one.
            seconds: since the frame before.
        """
        side = _side(scores)
        now = coarse(scores, side)
        h, w = now.shape[1:]
        place = cells(h, w, now.device) + coarse(flow.movedim(-1, 0), side).movedim(0, -1) / side
        span = place.new_tensor([max(w - 1, 1), max(h - 1, 1)])
        grid = place * 2 / span - 1
        moved = F.grid_sample(self.scores[None], grid[None], padding_mode="border", align_corners=True)[0]
        before = now.new_zeros(len(classes), h, w)
        before[torch.searchsorted(classes, self.classes)] = moved
        inside = (place > -0.5).all(dim=-1) & (place < span + 0.5).all(dim=-1)
        weight = _belief(coarse(residual[None], side)[0]) * inside * math.exp(-seconds / SECONDS)
        mean = torch.lerp(now, before, weight)
        difference = _of_regions(F.softshrink(mean - now, IGNORED))
        which = torch.nonzero(difference.flatten(1).any(dim=1))[:, 0]  # mostly a few
        added = F.interpolate(difference[which][:, None], size=scores.shape[1:], mode="bilinear")[:, 0]
        return SceneMemory._of_alive(mean, classes), which, added * _belief(residual)


@lru_cache(maxsize=4)
def cells(h: int, w: int, device: torch.device) -> Tensor:
    """(h, w, 2) each cell's own place, as (x, y)."""
    y, x = torch.meshgrid(torch.arange(h, device=device), torch.arange(w, device=device), indexing="ij")
    return torch.stack([x, y], dim=-1).float()


def coarse(maps: Tensor, side: int) -> Tensor:
    """(N, h', w') means of squares of `side` cells of maps (N, h, w); the last ones may be smaller."""
    return F.avg_pool2d(maps[None], side, ceil_mode=True)[0]


def _of_regions(difference: Tensor) -> Tensor:
    """(N, h, w) what all cells of some square of `REGION` x `REGION` have of one sign: the opening of both signs."""
    size = [min(REGION, side) for side in difference.shape[1:]]
    both = torch.cat([difference, -difference]).clamp_(min=0)
    common = -F.max_pool2d(-both, size, stride=1)
    more, less = F.max_pool2d(common, size, stride=1, padding=[side - 1 for side in size]).chunk(2)
    return more - less


def _belief(residual: Tensor) -> Tensor:
    return torch.exp(-((residual / RESIDUAL_LIMIT) ** 4))


def _side(maps: Tensor) -> int:
    """Cells of the maps (N, h, w) along the side of one of the memory's."""
    return -(-max(maps.shape[1:]) // ACROSS)
