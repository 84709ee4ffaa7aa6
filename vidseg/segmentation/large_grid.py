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
from vidseg.segmentation.upsampled_argmax import grid_positions, winners

LARGE = 3
"""A grid is large that has at least one cell for so many pixels of the frame along both sides."""
_POOLED_CELLS = 160 * 90
"""Cells that smoothing works on: one for 4x4 pixels of 640x360, as the built-in networks have."""
_CHUNK_VALUES = 1 << 24


def is_large(scores: Tensor, size_hw: tuple[int, int]) -> bool:
    """True where the grid of the scores (C, h, w) is large beside a frame of `size_hw`."""
    return scores.shape[1] * LARGE >= size_hw[0] and scores.shape[2] * LARGE >= size_hw[1]


def argmax_of_large(scores: Tensor, size_hw: tuple[int, int], names: UInt8Array) -> UInt8Array:
    """(H, W) name of the largest of the maps (C, h, w), enlarged bilinearly to `size_hw`; the lower one wins a tie."""
    cells = winners(scores)
    if cells.shape == size_hw:
        return np.take(names, cells)
    h, w = cells.shape
    y, below, fy = _sampled(size_hw[0], h)
    x, beside, fx = _sampled(size_hw[1], w)
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


def pooled(scores: Tensor, *, align_corners: bool = False) -> Tensor:
    """The scores on a grid that smoothing can afford, 1/2, 1/3, ... as fine: what they are in the middle of its cells.

    150 maps of 640x360 take 7 ms, of NHWC 2: the mean of two pixels beside the middle is as exact for ramps as that of
    four, which takes 10 and 8; means over cells would take 57 and 300.
    """
    h, w = scores.shape[1:]
    step = int(np.sqrt(h * w / _POOLED_CELLS))
    if step < 2:
        return scores
    if align_corners or h % step or w % step:
        coarse = round(h / step), round(w / step)
        return F.interpolate(scores[None], size=coarse, mode="bilinear", align_corners=align_corners)[0]
    first, second = (scores[:, start::step, start::step] for start in ((step - 1) // 2, step // 2))
    return (first + second).mul_(0.5)


def _sampled(fine: int, coarse: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each pixel along a side: the cell before it, the one after, and how far it is from the first, 0..1."""
    place = np.maximum(grid_positions(fine, coarse), 0)
    low = np.minimum(place.astype(np.int64), coarse - 1)
    return low, np.minimum(low + 1, coarse - 1), (place - low).astype(np.float32)
