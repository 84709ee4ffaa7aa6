"""Which picture comes when: several datasets shuffled into one endless row that a seed repeats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vidseg.data.augment import AugmentOptions, Sample, augment
from vidseg.data.folder import FolderDataset


def draw_order(sizes: Sequence[int], shares: Sequence[float], count: int, seed: int) -> npt.NDArray[np.int64]:
    """(count, 2) dataset and picture numbers. A longer row starts with the shorter one.

    Each dataset goes through all its pictures in random order before it starts again.

    Args:
        sizes: pictures in each dataset.
        shares: how often each dataset is drawn, relative to the others.
    """
    edges = np.cumsum(np.asarray(shares, dtype=np.float64))
    draws = np.random.default_rng([seed, 0]).random(count) * edges[-1]
    which = np.minimum(np.searchsorted(edges, draws, side="right"), len(sizes) - 1)
    order = np.empty((count, 2), dtype=np.int64)
    order[:, 0] = which
    for number, size in enumerate(sizes):
        places = np.flatnonzero(which == number)
        rng = np.random.default_rng([seed, 1, number])
        rounds = [rng.permutation(size) for _ in range(-(-len(places) // size))]
        order[places, 1] = np.concatenate(rounds)[: len(places)] if rounds else []
    return order


class Mixture:
    """Augmented crops of several datasets, by number. The same number always gives the same crop.

    Args:
        shares: as in `draw_order`; None draws every picture equally often.
        count: how many crops there are.
    """

    def __init__(
        self,
        datasets: Sequence[FolderDataset],
        options: AugmentOptions,
        *,
        count: int,
        seed: int,
        shares: Sequence[float] | None = None,
    ) -> None:
        sizes = [len(dataset) for dataset in datasets]
        self._datasets = datasets
        self._options = options
        self._seed = seed
        self._order = draw_order(sizes, sizes if shares is None else shares, count, seed)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, number: int) -> Sample:
        """One crop. Raises ConfigError for a bad file, as `FolderDataset` does."""
        dataset, picture = self._order[number]
        rng = np.random.default_rng([self._seed, 2, number])
        return augment(self._datasets[dataset][int(picture)], self._options, rng)
