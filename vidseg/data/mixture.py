"""The order of pictures: several datasets shuffled into one endless sequence, reproducible by seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from vidseg.data.augment import AugmentOptions, Sample, augment
from vidseg.data.folder import FolderDataset, Item
from vidseg.data.label_sets import membership, merged_sets
from vidseg.frames import FloatArray

Repeats = Sequence[float] | FloatArray


def draw_order(
    sizes: Sequence[int], shares: Sequence[float], count: int, seed: int, repeats: Sequence[Repeats] | None = None
) -> npt.NDArray[np.int64]:
    """(count, 2) dataset and picture numbers. A longer row starts with the shorter one.

    Each dataset goes through all its pictures in random order before it starts again.

    Args:
        sizes: pictures in each dataset.
        shares: how often each dataset is drawn, relative to the others.
        repeats: for each dataset how often each picture comes in a round, 1 or more; fractions by chance.
    """
    edges = np.cumsum(np.asarray(shares, dtype=np.float64))
    draws = np.random.default_rng([seed, 0]).random(count) * edges[-1]
    which = np.minimum(np.searchsorted(edges, draws, side="right"), len(sizes) - 1)
    order = np.empty((count, 2), dtype=np.int64)
    order[:, 0] = which
    for number, size in enumerate(sizes):
        places = np.flatnonzero(which == number)
        rng = np.random.default_rng([seed, 1, number])
        rounds: list[npt.NDArray[np.int64]] = []
        while sum(map(len, rounds)) < len(places):
            if repeats is None:
                rounds.append(rng.permutation(size))
            else:
                times = np.floor(np.asarray(repeats[number]) + rng.random(size)).astype(np.int64)
                rounds.append(rng.permutation(np.repeat(np.arange(size), times)))
        order[places, 1] = np.concatenate(rounds)[: len(places)] if rounds else []
    return order


def rare_class_repeats(pictures: Sequence[frozenset[int]], share: float) -> FloatArray:
    """(N,) how often each picture should come, so that classes in few pictures are seen more often; 1 or more.

    The square root of `share` divided by the share of pictures that have the class, for the rarest class in a picture:
    with 0.1 a class in one of a thousand pictures comes ten times as often, one in a tenth of them as often as before.

    Source: repeat factor sampling of LVIS (arXiv:1908.03195).
    """
    counts = Counter(value for picture in pictures for value in picture)
    rarest = [min((counts[value] for value in picture), default=len(pictures)) for picture in pictures]
    return np.sqrt(np.maximum(1, share * len(pictures) / np.maximum(1, rarest))).astype(np.float32)


class Mixture:
    """Augmented crops of several datasets, by number. The same number always gives the same crop.

    Label values of a crop are class ids, K + n for `sets[n]`, and 255.

    Args:
        shares: as in `draw_order`; None draws every picture equally often.
        count: how many crops there are.
        repeats: as in `draw_order`.
    Raises:
        ConfigError: the datasets have more sets of classes than fit beside the classes.
    """

    def __init__(
        self,
        datasets: Sequence[FolderDataset],
        options: AugmentOptions,
        *,
        count: int,
        seed: int,
        num_classes: int = 150,
        shares: Sequence[float] | None = None,
        repeats: Sequence[Repeats] | None = None,
    ) -> None:
        sizes = [len(dataset) for dataset in datasets]
        self.sets, self._tables = merged_sets([dataset.label_sets for dataset in datasets], num_classes)
        """The sets of classes that label values from K on stand for."""
        self._member = membership(num_classes, self.sets)
        self._datasets = datasets
        self._options = options
        self._seed = seed
        self._order = draw_order(sizes, sizes if shares is None else shares, count, seed, repeats)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, number: int) -> Sample:
        """One crop. Raises ConfigError for a bad file, as `FolderDataset` does."""
        rng = np.random.default_rng([self._seed, 2, number])

        def another() -> Item:
            return self._item(int(rng.integers(len(self._order))))

        return augment(self._item(number), self._options, rng, member=self._member, another=another)

    def _item(self, number: int) -> Item:
        dataset, picture = self._order[number]
        item = self._datasets[dataset][int(picture)]
        changed: Item = replace(item, labels=self._tables[dataset][item.labels])
        return changed
