"""Scores by class on the coarse grid, of those classes only that can still win.

Of 150 classes some 5 to 20 can be the largest anywhere. A query model gives a bound for each class before any map is
computed: the sum over queries of class probability x the largest mask probability, of the picture or of a part of it.
Classes that are nowhere near what the winners surely reach are left out, which gives the same labels in a fraction of
the time.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

FIRST = 12
"""Classes with the highest bounds, computed first: they say what the others have to reach. Where the model is sure,
about 10 are all that can win; with fewer the rest has little to reach."""
TILE = 8
"""Points along the sides of the parts for which bounds are computed."""
COUNTS = 0.75
"""Share of what is sure to be reached that a class has to have."""
SLACK = 1e-3
"""Share by which a bound is raised, because a map's sums are rounded otherwise than the bound's."""


class ClassScores(Protocol):
    """What a frame says about every class: K maps of h x w scores, >= 0, some of them never computed."""

    @property
    def count(self) -> int:
        """K."""
        ...

    @property
    def grid_hw(self) -> tuple[int, int]:
        """(h, w) of every map."""
        ...

    def contenders(self) -> tuple[Tensor, Tensor]:
        """Classes (N,), rising, that can be largest at or between the grid points, and their maps (N, h, w)."""
        ...

    def of(self, classes: Tensor) -> Tensor:
        """(N, h, w) maps of these classes (N,)."""
        ...


def floor_of(maps: Tensor) -> Tensor:
    """(h, w) what a map has to reach at some point to count there or around it, by some or all of the maps (N, h, w).

    Two things are sure of the winner anywhere between four points. It has at least a quarter of the smallest winner of
    the four: one point has a weight of a quarter or more. And it has what any map has at all four; some less is enough
    to count, for what can win in no single frame may do so in a mean over time.
    """
    best = _least_around(maps.amax(dim=0))
    if len(maps) < FIRST or min(best.shape) < 2:  # few are left out of few
        return best / 4
    # of each cell between four points, then the least of the four cells around each point
    cells = torch.minimum(maps[:, 1:], maps[:, :-1])
    between = torch.minimum(cells[:, :, 1:], cells[:, :, :-1]).amax(dim=0)
    padded = F.pad(between[None], (1, 1, 1, 1), mode="replicate")[0]
    padded = torch.minimum(padded[1:], padded[:-1])
    sure = torch.minimum(padded[:, 1:], padded[:, :-1])
    return torch.maximum(best / 4, sure * COUNTS)


def alive(maps: Tensor) -> Tensor:
    """Indices (N,), rising, of those maps (K, h, w), all >= 0, that count somewhere: all that can be largest."""
    return _reaching(maps, floor_of(maps))


def _reaching(maps: Tensor, floor: Tensor) -> Tensor:
    """Indices (N,), rising, of the maps (K, h, w) that reach the floor (h, w) somewhere."""
    return torch.nonzero((maps - floor).amax(dim=(1, 2)) >= 0)[:, 0]


def _least_around(picture: Tensor) -> Tensor:
    """(h, w) the smallest of each point of (h, w) and its eight neighbours."""
    padded = F.pad(picture[None], (1, 1, 1, 1), mode="replicate")[0]
    low = torch.minimum(torch.minimum(padded[2:], padded[1:-1]), padded[:-2])
    return torch.minimum(torch.minimum(low[:, 2:], low[:, 1:-1]), low[:, :-2])


class GivenScores:
    """Satisfies `ClassScores` with maps (K, h, w) that are there already."""

    def __init__(self, maps: Tensor) -> None:
        # half precision may overflow; in a memory of scores it would stay for good
        self._maps = maps.nan_to_num(nan=0.0) if maps.sum().isnan() else maps

    @property
    def count(self) -> int:
        return len(self._maps)

    @property
    def grid_hw(self) -> tuple[int, int]:
        return self._maps.shape[1], self._maps.shape[2]

    def contenders(self) -> tuple[Tensor, Tensor]:
        least = self._maps.amax(dim=0).min() / 4
        reaching = torch.nonzero(self._maps.amax(dim=(1, 2)) >= least)[:, 0]  # few, and soon found
        maps = self._maps[reaching]
        kept = alive(maps)
        return reaching[kept], maps[kept]

    def of(self, classes: Tensor) -> Tensor:
        return self._maps[classes]


class LogitScores:
    """Satisfies `ClassScores` with the softmax of logits (K, h, w) on the CPU.

    Taken are those classes whose probability comes anywhere to a 4K-th of the winner's there, so that none is missing
    that can win. The others count 0 in the softmax, too. Of 150 maps of 160x90 in 2 ms, where all of them take 6.
    """

    def __init__(self, logits: Tensor) -> None:
        best = logits.amax(dim=0)
        if not best.isfinite().all():
            logits = logits.nan_to_num(nan=0.0)
            best = logits.amax(dim=0)
        near = logits >= best - math.log(4 * len(logits))
        self._logits, self._best = logits, best
        self._classes = torch.from_numpy(np.flatnonzero(near.numpy().any(axis=(1, 2))))  # 0.2 ms; torch takes 1 to 2
        maps = self._above(self._classes)
        self._sum = maps.sum(dim=0)
        self._maps = maps.div_(self._sum)

    @property
    def count(self) -> int:
        return len(self._logits)

    @property
    def grid_hw(self) -> tuple[int, int]:
        return self._logits.shape[1], self._logits.shape[2]

    def contenders(self) -> tuple[Tensor, Tensor]:
        kept = alive(self._maps)
        return self._classes[kept], self._maps[kept]

    def of(self, classes: Tensor) -> Tensor:
        return self._above(classes).div_(self._sum)

    def _above(self, classes: Tensor) -> Tensor:
        return (self._logits[classes] - self._best).exp_()


class QueryScores:
    """Satisfies `ClassScores` with the sum over queries of class probability x mask probability.

    Args:
        class_probs: (Q, K), "no object" left out.
        mask_probs: (Q, h, w) in 0..1.

    Source: Mask2Former (arXiv:2112.01527) `semantic_inference`.
    """

    def __init__(self, class_probs: Tensor, mask_probs: Tensor) -> None:
        peaks = mask_probs.amax(dim=(1, 2))
        if (class_probs.sum() + peaks.sum()).isnan():  # half precision may overflow
            class_probs, mask_probs = class_probs.nan_to_num(nan=0.0), mask_probs.nan_to_num(nan=0.0)
            peaks = mask_probs.amax(dim=(1, 2))
        self._class_probs = class_probs
        self._mask_probs = mask_probs
        self._contenders = self._find_contenders(peaks)  # everybody asks for them

    @property
    def count(self) -> int:
        return self._class_probs.shape[1]

    @property
    def grid_hw(self) -> tuple[int, int]:
        return self._mask_probs.shape[1], self._mask_probs.shape[2]

    def contenders(self) -> tuple[Tensor, Tensor]:
        return self._contenders

    def of(self, classes: Tensor) -> Tensor:
        q, h, w = self._mask_probs.shape
        return (self._class_probs[:, classes].T @ self._mask_probs.reshape(q, h * w)).reshape(-1, h, w)

    def _find_contenders(self, peaks: Tensor) -> tuple[Tensor, Tensor]:
        """Args: peaks: (Q,) largest probability of each mask."""
        bound = (self._class_probs.T @ peaks) * (1 + SLACK)
        first = bound.topk(min(FIRST, self.count)).indices.sort().values
        maps = self.of(first)
        floor = floor_of(maps)
        classes = torch.nonzero(bound >= floor.min())[:, 0]
        if len(classes) > 2 * FIRST:  # to look closer takes as long as a few maps
            classes = classes[self._reach_in_tiles(classes, floor)]
        others = classes[torch.isin(classes, first, invert=True)]
        if len(others):
            (first, order), maps = torch.cat([first, others]).sort(), torch.cat([maps, self.of(others)])
            maps = maps[order]
            floor = floor_of(maps)
        kept = _reaching(maps, floor)
        return first[kept], maps[kept]

    def _reach_in_tiles(self, classes: Tensor, floor: Tensor) -> Tensor:
        """(N,) bool: which of the classes may reach the floor (h, w), by their bounds in tiles of the picture."""
        q, h, w = self._mask_probs.shape
        whole = h - h % TILE
        # (Q, h, w) -> rows of tiles (Q, h', w) -> tiles (Q, h', w'); a fifth of the time of max_pool2d
        rows = self._mask_probs[:, :whole].reshape(q, -1, TILE, w).amax(dim=2)
        if whole < h:
            rows = torch.cat([rows, self._mask_probs[:, whole:].amax(dim=1, keepdim=True)], dim=1)
        peaks = F.pad(rows, (0, -w % TILE)).reshape(q, rows.shape[1], -1, TILE).amax(dim=3)
        bounds = (self._class_probs[:, classes].T @ peaks.flatten(1)) * (1 + SLACK)  # (N, h' * w')
        least = -F.max_pool2d(-floor[None, None], TILE, ceil_mode=True).flatten()
        reached: Tensor = (bounds >= least).any(dim=1)
        return reached
