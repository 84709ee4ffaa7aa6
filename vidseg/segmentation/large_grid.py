"""Labels of scores whose grid is about as fine as the frame, as networks give that enlarge their scores themselves.

`upsampled_argmax` spares enlarging the maps, which costs as much as it saves where there is little to enlarge. Here the
winner of every cell comes first. A pixel between four cells with one winner is of that class, for an enlarged value is
a convex mean of its four corners; only pixels along borders are computed, with every class.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidseg.frames import UInt8Array

LARGE = 3
"""A grid is large that has at least one cell for so many pixels of the frame along both sides."""
_POOLED_CELLS = 160 * 160
"""Cells that smoothing works on: as the bundled networks have, which give a cell for 4x4 pixels of 640."""
_CHUNK_VALUES = 1 << 24


def is_large(scores: Tensor, size_hw: tuple[int, int]) -> bool:
    """True where the grid of the scores (C, h, w) is large beside a frame of `size_hw`."""
    return scores.shape[1] * LARGE >= size_hw[0] and scores.shape[2] * LARGE >= size_hw[1]


def argmax_of_large(scores: Tensor, size_hw: tuple[int, int], names: UInt8Array) -> UInt8Array:
    """(H, W) name of the largest of the maps (C, h, w), enlarged bilinearly to `size_hw`; the lower one wins a tie."""
    winner = scores.max(dim=0).indices.to(torch.uint8)
    if winner.shape == size_hw:
        return np.take(names, winner.numpy())
    h, w = winner.shape
    y, below, fy = _sampled(size_hw[0], h)
    x, beside, fx = _sampled(size_hw[1], w)
    cells = winner.numpy()
    upper, lower = cells[y], cells[below]
    first = upper[:, x]
    mixed = (first != upper[:, beside]) | (first != lower[:, x]) | (first != lower[:, beside])
    labels = first.astype(np.uint8)
    rows, columns = np.nonzero(mixed)
    chunk = max(1, _CHUNK_VALUES // len(scores))
    for start in range(0, len(rows), chunk):
        r, c = rows[start : start + chunk], columns[start : start + chunk]
        share_y, share_x = torch.from_numpy(fy[r]), torch.from_numpy(fx[c])
        corner = [
            scores[:, torch.from_numpy(a), torch.from_numpy(b)] for a in (y[r], below[r]) for b in (x[c], beside[c])
        ]
        top = torch.lerp(corner[0], corner[1], share_x)
        values = top.lerp_(torch.lerp(corner[2], corner[3], share_x), share_y)
        labels[r, c] = values.max(dim=0).indices.numpy()
    named: UInt8Array = np.take(names, labels)
    return named


def pooled(scores: Tensor) -> Tensor:
    """The scores on a grid that smoothing can afford: means of 2x2, 3x3, ... cells where it is finer than that."""
    h, w = scores.shape[1:]
    step = int(np.sqrt(h * w / _POOLED_CELLS))
    if step < 2:
        return scores
    if h % step == 0 and w % step == 0:
        return F.avg_pool2d(scores[None], step)[0]
    return F.adaptive_avg_pool2d(scores, (round(h / step), round(w / step)))


def _sampled(fine: int, coarse: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each pixel along a side: the cell before it, the one after, and how far it is from the first, 0..1."""
    place = np.maximum(
        (np.arange(fine, dtype=np.float32) + np.float32(0.5)) * np.float32(coarse / fine) - np.float32(0.5), 0
    )
    low = np.minimum(place.astype(np.int64), coarse - 1)
    return low, np.minimum(low + 1, coarse - 1), (place - low).astype(np.float32)
