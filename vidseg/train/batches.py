"""Crops out of datasets, as batches of tensors, read ahead by worker processes where there are some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vidseg.data.folder import use_one_thread
from vidseg.data.mixture import Mixture
from vidseg.errors import VidsegError
from vidseg.signals import kept_from_children, leave_group


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step sees.

    `images` (B, 3, H, W) uint8 RGB, `labels` (B, H, W) uint8, `target_ids` (B, 3, h, w) uint8 and `target_probs`
    (B, 3, h, w) float32 on the mask grid.
    """

    images: Tensor
    labels: Tensor
    target_ids: Tensor
    target_probs: Tensor


class _Batches(Dataset[tuple[Tensor, ...] | VidsegError]):
    """Batch n is made of crops n * size up to (n + 1) * size.

    A bad file comes as a value: an error raised in a worker would bring the worker's traceback as its text.
    """

    def __init__(self, mixture: Mixture, size: int) -> None:
        self._mixture = mixture
        self._size = size

    def __getitem__(self, number: int) -> tuple[Tensor, ...] | VidsegError:
        try:
            samples = [self._mixture[n] for n in range(number * self._size, (number + 1) * self._size)]
        except VidsegError as error:
            return error
        arrays = (
            np.stack([s.image for s in samples]).transpose(0, 3, 1, 2),
            np.stack([s.labels for s in samples]),
            np.stack([s.target_ids for s in samples]),
            np.stack([s.target_probs for s in samples]),
        )
        return tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)


def _begin_worker(number: int) -> None:
    """A signal for the whole group is the trainer's to heed: it saves what was learnt, and ends its workers, with
    SIGTERM where an error left them behind."""
    use_one_thread(number)
    leave_group()


def batches(mixture: Mixture, size: int, *, first: int, workers: int, pinned: bool) -> Iterator[Batch]:
    """Batches from number `first` on to the end of the mixture. The number of workers does not change them.

    Args:
        workers: processes that read ahead; 0 reads here.
        pinned: copy into page-locked memory, for a GPU.
    Raises:
        ConfigError: a bad file in a dataset, when it is its batch's turn.
    """
    loader: DataLoader[tuple[Tensor, ...] | VidsegError] = DataLoader(
        _Batches(mixture, size),
        batch_size=None,
        sampler=range(first, len(mixture) // size),
        num_workers=workers,
        pin_memory=pinned,
        worker_init_fn=_begin_worker,
        prefetch_factor=4 if workers else None,
    )
    with kept_from_children():
        numbered = iter(loader)
    for tensors in numbered:
        if isinstance(tensors, VidsegError):
            raise tensors
        yield Batch(*tensors)
