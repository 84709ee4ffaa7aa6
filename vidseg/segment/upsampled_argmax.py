"""Which of N coarse maps is largest at every pixel of a fine picture, without enlarging the maps.

The full computation enlarges N maps (N, h, w) bilinearly to (N, H, W) and takes the argmax: at 1280x720 and 150
classes that is 138 million interpolations. But between four neighbouring grid points every enlarged value is a convex
mean of the four corners, hence

- a map that is largest at all four corners is largest everywhere between them: the label is known;
- elsewhere, let L be the largest "minimum over the corners" of any map. The winner is at least L everywhere in the
  cell, so a map whose maximum over the corners is below L cannot win there.

What is left is a few maps in the cells where regions meet. The labels are those of the full computation, but for
pixels where two maps are equal within float rounding. Sampling points are those of
`torch.nn.functional.interpolate(mode="bilinear", align_corners=False)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from vidseg.frames import FloatArray

IntArray = npt.NDArray[np.int64]

DENSE_CHUNK = 16
"""Maps enlarged at once by the dense computation; bounds its memory to 16 pictures of float32."""


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where the pixels of one side fall on the grid: left neighbour, right neighbour, weight of the right one."""

    low: IntArray
    high: IntArray
    weight: FloatArray


def _axis(fine: int, coarse: int) -> _Axis:
    # float32 as in torch, so that weights agree to the last bit wherever possible
    scale = np.float32(coarse) / np.float32(fine)
    position = np.maximum((np.arange(fine, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5), 0)
    low = np.minimum(position.astype(np.int64), coarse - 1)
    high = np.minimum(low + 1, coarse - 1)
    return _Axis(low, high, (position - low).astype(np.float32))


def argmax_upsampled(maps: FloatArray, size_hw: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """(H, W) index of the largest map at every pixel; the lower index wins a tie.

    Args:
        maps: (N, h, w) float32, N at most 256.
        size_hw: (H, W) in pixels; may be smaller than (h, w) too.
    """
    n, h, w = maps.shape
    assert 0 < n <= 256, n
    rows, columns = _axis(size_hw[0], h), _axis(size_hw[1], w)
    winner = maps.argmax(axis=0)
    best = np.take_along_axis(maps, winner[None], axis=0)[0]

    # Cell (y, x) has the corners (y, x), (y, x+1), (y+1, x), (y+1, x+1); the last row and column repeat the edge.
    winners = _corners(winner)
    mixed = (winners != winners[:1]).any(axis=0)
    labels: npt.NDArray[np.uint8] = winner.astype(np.uint8)[rows.low[:, None], columns.low[None, :]]
    cell_y, cell_x = np.nonzero(mixed)
    if len(cell_y) == 0:
        return labels

    # A map is worth looking at only if it reaches, at some corner of a mixed cell, the floor L of that cell.
    # Here L is taken over the maps that win at a corner: lower than over all maps, so nothing is lost, and cheap.
    y = np.stack([cell_y, cell_y, np.minimum(cell_y + 1, h - 1), np.minimum(cell_y + 1, h - 1)])
    x = np.stack([cell_x, np.minimum(cell_x + 1, w - 1), cell_x, np.minimum(cell_x + 1, w - 1)])
    at_corner = winner[y, x]  # (4 winners, cells)
    floor = maps[at_corner[:, None], y[None], x[None]].min(axis=1).max(axis=0)
    lowest = np.full((h, w), np.inf, dtype=np.float32)
    for corner_y, corner_x in zip(y, x, strict=True):
        np.minimum.at(lowest, (corner_y, corner_x), floor)
    alive = np.flatnonzero((maps >= np.minimum(lowest, best + 1)[None]).any(axis=(1, 2)))

    corners = maps[alive[:, None, None], y[None], x[None]]  # (alive, 4, cells)
    candidate = corners.max(axis=1) >= floor  # (alive, cells)
    _decide_mixed(labels, mixed, alive, corners, candidate, rows, columns)
    return labels


def _corners(grid: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(4, h, w): the values at the four corners of each cell."""
    down = np.concatenate([grid[1:], grid[-1:]], axis=0)
    right = np.concatenate([grid[:, 1:], grid[:, -1:]], axis=1)
    both = np.concatenate([down[:, 1:], down[:, -1:]], axis=1)
    return np.stack([grid, right, down, both])


def _decide_mixed(
    labels: npt.NDArray[np.uint8],
    mixed: npt.NDArray[np.bool_],
    alive: IntArray,
    corners: FloatArray,
    candidate: npt.NDArray[np.bool_],
    rows: _Axis,
    columns: _Axis,
) -> None:
    """Write the labels of all pixels in mixed cells, cells with equally many candidates together."""
    cell_number = np.full(mixed.shape, -1, dtype=np.int32)
    cell_number[mixed] = np.arange(candidate.shape[1], dtype=np.int32)
    width = len(columns.low)
    of_pixel = cell_number[rows.low[:, None], columns.low[None, :]].ravel()
    pixel = np.flatnonzero(of_pixel >= 0)
    cell = of_pixel[pixel]
    weight_y, weight_x = rows.weight[pixel // width], columns.weight[pixel % width]

    counts = candidate.sum(axis=0)
    # stable: candidates of a cell come in rising order, so that argmax gives a tie to the lower index
    order = np.argsort(~candidate, axis=0, kind="stable")
    for count in np.unique(counts):
        chosen = np.flatnonzero(counts[cell] == count)
        cells = cell[chosen]
        wy, wx = weight_y[chosen], weight_x[chosen]
        best = np.full(len(chosen), -np.inf, dtype=np.float32)
        best_map = np.zeros(len(chosen), dtype=np.int64)
        for rank in range(count):
            which = order[rank][cells]
            c00, c01, c10, c11 = (corners[which, corner, cells] for corner in range(4))
            top = c00 + wx * (c01 - c00)
            bottom = c10 + wx * (c11 - c10)
            value = top + wy * (bottom - top)
            better = value > best
            best = np.where(better, value, best)
            best_map = np.where(better, which, best_map)
        labels.reshape(-1)[pixel[chosen]] = alive[best_map]


def argmax_upsampled_dense(maps: Tensor, size_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The same by enlarging the maps, some at a time: for GPUs, and where the winning value is needed.

    Args:
        maps: (N, h, w) float.
    Returns:
        labels (H, W) uint8 and the winning values (H, W), on the device of `maps`.
    """
    best: Tensor | None = None
    labels: Tensor | None = None
    for start in range(0, maps.shape[0], DENSE_CHUNK):
        fine = F.interpolate(maps[None, start : start + DENSE_CHUNK], size=size_hw, mode="bilinear")[0]
        value, index = fine.max(dim=0)
        index = index.add_(start).to(torch.uint8)
        if best is None or labels is None:
            best, labels = value, index
        else:
            better = value > best
            best, labels = torch.where(better, value, best), torch.where(better, index, labels)
    assert best is not None and labels is not None, "no maps"
    return labels, best
