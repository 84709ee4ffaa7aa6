"""Scores by class on the coarse grid, of those classes only that can still win.

Of 150 classes some 10 to 30 can be the largest anywhere. A query model gives a bound for each class before any map is
computed: the sum over queries of class probability x the largest mask probability. Classes whose bound is below what
the winners surely reach are left out, which gives the same labels in a fraction of the time.
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
    """What a map (h, w) has to reach somewhere to be largest anywhere, () by some or all of the maps (K, h, w), >= 0.

    Between four points the largest map is at least a quarter of the smallest winner of the four: one point has a weight
    of a quarter or more. With more maps the floor rises, so that of some of them holds for all.
    """
    return maps.amax(dim=0).min() / 4


def alive(maps: Tensor) -> Tensor:
    """Indices (N,), rising, of those maps (K, h, w), all >= 0, that can be largest at or between the grid points.

    The floor of `floor_of`, but for each point by itself and its neighbours.
    """
    padded = F.pad(maps.amax(dim=0)[None], (1, 1, 1, 1), mode="replicate")[0]
    low = torch.minimum(torch.minimum(padded[2:], padded[1:-1]), padded[:-2])
    low = torch.minimum(torch.minimum(low[:, 2:], low[:, 1:-1]), low[:, :-2])
    return torch.nonzero((maps - low / 4).amax(dim=(1, 2)) >= 0)[:, 0]


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
        reaching = torch.nonzero(self._maps.amax(dim=(1, 2)) >= floor_of(self._maps))[:, 0]  # few, and soon found
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
        classes = torch.nonzero(bound >= floor_of(maps))[:, 0]
        others = classes[torch.isin(classes, first, invert=True)]
        if len(others):
            (first, order), maps = torch.cat([first, others]).sort(), torch.cat([maps, self.of(others)])
            maps = maps[order]
        kept = alive(maps)
        return first[kept], maps[kept]
