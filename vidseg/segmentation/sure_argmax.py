"""Which of N coarse maps is largest at every pixel of a fine picture, and how large a share of all it has there.

Where only the winner is wanted, `upsampled_argmax` is faster: of cells with one winner it computes nothing. Here they
have a share of their own at every pixel. Why the corners of a cell tell which maps can win is explained there; labels
and sampling points are the same.

The grid is cut into tiles of a few cells. Most have one map that can win: their label is known. In the others the
maps that can win somewhere, mostly two or three, are enlarged, all tiles with equally many of them in one go.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import lru_cache, reduce

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from vidseg.confidence import STEPS
from vidseg.frames import NO_LABEL, FloatArray, UInt8Array
from vidseg.segmentation.upsampled_argmax import grid_positions

TILE = 4
"""Cells along a side of a tile: smaller ones have fewer maps to enlarge, larger ones less work around it."""
CHUNK_VALUES = 2**18
"""Enlarged values held at once; they stay in the processor's cache, and the same memory is used again."""


@dataclass(frozen=True, slots=True)
class _Side:
    """How the tiles along one side of the grid become pixels.

    A tile yields `pixels` pixels at most. `weights` (tiles, pixels, TILE + 1) turns its grid points into them, and
    `place` (fine,) says where each pixel of the picture is in the row of all tiles' pixels.
    """

    tiles: int
    pixels: int
    weights: Tensor
    place: npt.NDArray[np.int64]


@lru_cache(maxsize=32)  # the same for every frame of a video, and 0.2 ms each
def _side(fine: int, coarse: int, seen: int | None = None) -> _Side:
    position = np.maximum(grid_positions(fine, coarse, seen), 0)
    low = np.minimum(position.astype(np.int64), coarse - 1)
    share = (position - low).astype(np.float32)
    tile, point = np.divmod(low, TILE)
    number = np.arange(fine) - np.searchsorted(tile, tile)  # of the pixel in its tile
    tiles, pixels = -(-coarse // TILE), int(number.max()) + 1
    weights = np.zeros((tiles, pixels, TILE + 1), dtype=np.float32)
    weights[tile, number, point] = 1 - share
    weights[tile, number, point + 1] += share
    return _Side(tiles, pixels, torch.from_numpy(weights), tile * pixels + number)


@dataclass(frozen=True, slots=True)
class Sureness:
    """What the winner's share of all scores is made of, and what follows from it.

    `total` (h, w) is the sum of the scores of all classes, also of those that do not compete. `values` (N, h, w) are
    the scores of those that do, where the maps that decide are others (logits); None: the maps. Below the share `least`
    a pixel is `NO_LABEL`. `table` is that of a `Calibration`, where levels of confidence are wanted.
    """

    total: Tensor
    values: Tensor | None = None
    least: float = 0.0
    table: UInt8Array | None = None


def sure_argmax_upsampled(
    maps: FloatArray,
    size_hw: tuple[int, int],
    sureness: Sureness,
    *,
    names: UInt8Array | None = None,
    aligned_hw: tuple[int, int] | None = None,
) -> tuple[UInt8Array, UInt8Array | None]:
    """`argmax_upsampled`, `NO_LABEL` where the winner's share is too small; and (H, W) levels where they are wanted.

    Args as of `argmax_upsampled`.
    """
    grid = torch.from_numpy(np.ascontiguousarray(maps))
    n, h, w = grid.shape
    assert 0 < n <= 256, n
    alive = _anywhere(grid)
    called = (torch.arange(n, dtype=torch.uint8) if names is None else torch.from_numpy(names))[alive]
    seen_h, seen_w = aligned_hw or (None, None)
    rows, columns = _side(size_hw[0], h, seen_h), _side(size_hw[1], w, seen_w)
    # (N, h, w) -> (M, down * TILE + 1, across * TILE + 1), M maps that can win at all, whole tiles -> which can win in
    # each tile (M, down, across) -> pixels by tile (down, p, across, q) -> (H, W)
    margin = (0, columns.tiles * TILE + 1 - w, 0, rows.tiles * TILE + 1 - h)
    points = F.pad(grid[alive][None], margin, mode="replicate")[0]
    competing = _in_tiles(points)
    counts = competing.sum(dim=0)

    # every tile gets the label of its first map, then those with several are decided pixel by pixel
    first = called[competing.to(torch.uint8).max(dim=0).indices]  # argmax takes ten times as long
    shape = (rows.tiles, rows.pixels, columns.tiles, columns.pixels)
    labels = first[:, None, :, None].expand(shape).contiguous()
    given = sureness.values
    own = points if given is None else F.pad(given[alive][None], margin, mode="replicate")[0]
    total = F.pad(sureness.total[None, None], margin, mode="replicate")[0]
    found = None if sureness.table is None else torch.empty(shape, dtype=torch.uint8)
    doubt = _Doubt(own, total, sureness.least, found)
    for count in sorted(set(counts.flatten().tolist())):
        tiles = torch.nonzero(counts == count)
        if count == 1:
            tiles = doubt.of_one_map(tiles, competing, labels)
        chunk = max(1, CHUNK_VALUES // (count * rows.pixels * columns.pixels))
        for start in range(0, len(tiles), chunk):
            y, x = tiles[start : start + chunk].unbind(dim=1)
            which = torch.nonzero(competing[:, y, x].T)[:, 1].view(-1, count)  # rising

            # (G, 1, p, 5) @ (G, C, 5, 5) @ (G, 1, 5, q) -> (G, C, p, q): C maps in each of G tiles, down, then across
            def enlarged(maps: Tensor, which: Tensor, y: Tensor = y, x: Tensor = x) -> Tensor:
                return rows.weights[y][:, None] @ _patches(maps, which, y, x) @ columns.weights[x][:, None].mT

            values = enlarged(points, which)
            scores = values if doubt.scores is points else enlarged(doubt.scores, which)
            winner, score = _largest_with(values, called[which], scores)
            labels[y, :, x] = doubt.decided(winner, score, enlarged(doubt.total, torch.zeros_like(which[:, :1])), y, x)

    def in_picture(tiled: Tensor) -> UInt8Array:
        flat = tiled.view(rows.tiles * rows.pixels, columns.tiles * columns.pixels).numpy()
        return np.take(flat[rows.place], columns.place, axis=1)  # numpy takes a fifth of torch's time

    if doubt.found is None or sureness.table is None:
        return in_picture(labels), None
    return in_picture(labels), translated(in_picture(doubt.found), sureness.table)


def translated(steps: UInt8Array, table: UInt8Array) -> UInt8Array:
    """(H, W) what the table (256,) says of every byte."""
    # a third of the time of np.take
    return np.frombuffer(bytearray(steps.tobytes().translate(table.tobytes())), np.uint8).reshape(steps.shape)


@dataclass(frozen=True, slots=True)
class _Doubt:
    """How sure winners are: `scores` (M, ...) and `total` (1, ...) at the points, `found` shares in steps by tile."""

    scores: Tensor
    total: Tensor
    least: float
    found: Tensor | None

    def of_one_map(self, tiles: Tensor, competing: Tensor, labels: Tensor) -> Tensor:
        """Those of the tiles (T, 2) with one map that have to be looked at pixel by pixel; the others are settled.

        What a score has beyond the least share is enlarged linearly too, so its corners bound it.
        """
        if self.found is not None:
            return tiles
        y, x = tiles.unbind(dim=1)
        which = torch.nonzero(competing[:, y, x].T)[:, 1].view(-1, 1)
        total = _patches(self.total, torch.zeros_like(which), y, x)
        beyond = (_patches(self.scores, which, y, x) - self.least * total).flatten(1)
        unsure = beyond.amax(dim=1) < 0
        labels[y[unsure], :, x[unsure]] = NO_LABEL
        return tiles[~unsure & (beyond.amin(dim=1) < 0)]

    def decided(self, winner: Tensor, score: Tensor, total: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """`winner` (G, h, w) without the unsure ones; shares go where they belong. `total` (G, 1, h, w)."""
        total = total[:, 0]
        if self.least > 0:
            winner = winner.masked_fill(score < self.least * total, NO_LABEL)
        if self.found is not None:
            share = torch.div(score, total.clamp_min_(torch.finfo(total.dtype).tiny)).clamp_(0, 1)
            self.found[y, :, x] = share.mul_(STEPS).add_(0.5).to(torch.uint8)
        return winner


def _patches(points: Tensor, which: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """(G, C, TILE + 1, TILE + 1) the maps `which` (G, C) of the points (N, ...) around the tiles (y, x), (G,) each."""
    corner = torch.arange(TILE + 1)
    return points[
        which[:, :, None, None],
        (y[:, None] * TILE + corner)[:, None, :, None],
        (x[:, None] * TILE + corner)[:, None, None, :],
    ]


def _anywhere(grid: Tensor) -> Tensor:
    """Indices (M,), rising, of the maps (N, h, w) that can win at all, by a cheap bound.

    Of the four points around a pixel one has a weight of a quarter or more, so a winner gets at least a quarter of the
    way from the lowest value of all to the smallest winner of the grid.
    """
    lowest = grid.min()
    floor = lowest + (grid.amax(dim=0).min() - lowest) / 4
    return torch.nonzero(grid.amax(dim=(1, 2)) >= floor)[:, 0]


def _in_tiles(points: Tensor) -> Tensor:
    """(N, tiles down, tiles across) bool: which maps can win in a tile; `points` (N, down * TILE + 1, ...)."""
    high = torch.maximum(points[:, 1:], points[:, :-1])
    high = torch.maximum(high[:, :, 1:], high[:, :, :-1])
    low = torch.minimum(points[:, 1:], points[:, :-1])
    low = torch.minimum(low[:, :, 1:], low[:, :, :-1])
    # what the floor loses to rounding when values are computed must not cost a map its place
    floor = low.amax(dim=0)
    can_win = high >= floor - 1e-6 * floor.abs()
    # a fifth of the time of any()
    rows = reduce(operator.or_, (can_win[:, row::TILE] for row in range(TILE)))
    return reduce(operator.or_, (rows[:, :, column::TILE] for column in range(TILE)))


def _largest_with(values: Tensor, names: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """`_largest`, and the winner's one of the scores (G, C, h, w)."""
    best, score = values[:, 0], scores[:, 0]
    winner = names[:, 0, None, None].expand_as(best)
    for rank in range(1, values.shape[1]):
        better = values[:, rank] > best
        winner = torch.where(better, names[:, rank, None, None], winner)
        score = torch.where(better, scores[:, rank], score)
        best = torch.maximum(values[:, rank], best)
    return winner, score
