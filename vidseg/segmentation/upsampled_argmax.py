"""Which of N coarse maps is largest at every pixel of a fine picture, without enlarging the maps.

The full computation enlarges N maps (N, h, w) bilinearly to (N, H, W) and takes the argmax: at 1280x720 and 150
classes that is 138 million interpolations. But between four neighbouring grid points every enlarged value is a convex
mean of the four corners. So where one map is largest at all four, it is largest everywhere in the cell between them:
nine of ten cells, and more, get their label without any interpolation.

In the others the maps that can win, mostly two or three, are enlarged. With L the largest "minimum over the corners" of
any map, the winner is at least L everywhere in the cell, and a map whose maximum over the corners is below L cannot
win there. All cells with equally many such maps are enlarged in one go.

The labels are those of the full computation, but for pixels where two maps are equal within float rounding. Sampling
points are those of `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)`, unless the maps were made
to be enlarged with `align_corners=True` to what the network saw; then the pixels of the frame are looked up through
the network's input.

How large a share of all scores the winner has is found in the same go: in a cell with one winner its scores and their
sum are enlarged, in the others the winner's score is there already.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from vidseg.confidence import STEPS
from vidseg.frames import NO_LABEL, FloatArray, UInt8Array

CHUNK_VALUES = 2**20
"""Values held at once; bounds the memory where many maps compete in many cells."""
MANY = 64
"""From so many maps on `winners` is faster than torch."""
_ROWS_VALUES = 1 << 15
"""Cells looked at together: they stay in the processor's cache while the maps go by."""
STRIP_VALUES = 2**17
"""Pixels of which shares are computed at once; they stay in the processor's cache."""
DENSE_CHUNK = 16
"""Maps enlarged at once by the dense computation; bounds its memory to 16 pictures of float32."""


@dataclass(frozen=True, slots=True)
class _Side:
    """How the cells along one side of the grid become pixels.

    A cell lies between two grid points; the first and the last lie outside of the grid, where its edge repeats. Each
    yields `pixels` pixels at most. `shares` (cells, pixels) says how far each pixel is from the cell's first point to
    its second, and `place` where each pixel of the picture is in the row of all cells' pixels.
    """

    cells: int
    pixels: int
    shares: Tensor
    place: slice | npt.NDArray[np.int64]


def grid_positions(fine: int, coarse: int, seen: int | None = None) -> npt.NDArray[np.float32]:
    """(fine,) where each pixel along a side lies among its `coarse` grid points; the first ones may be below 0.

    Args:
        seen: pixels of the network's input along this side, where its corners are those of the grid.
    """
    # float32 as in torch, so that weights agree to the last bit wherever possible
    scale = np.float32(seen or coarse) / np.float32(fine)
    position = (np.arange(fine, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    if seen is not None:
        position = np.clip(position, 0, seen - 1) * np.float32((coarse - 1) / max(1, seen - 1))
    return np.asarray(position, np.float32)


@lru_cache(maxsize=32)  # the same for every frame of a video, and 0.2 ms each
def _side(fine: int, coarse: int, seen: int | None = None) -> _Side:
    position = grid_positions(fine, coarse, seen)
    low = np.minimum(np.floor(position).astype(np.int64), coarse - 1)
    share = np.maximum(position, 0) - np.maximum(low, 0)
    cell = low + 1
    number = np.arange(fine) - np.searchsorted(cell, cell)  # of the pixel in its cell
    pixels = int(number.max()) + 1
    outside = int((cell == 0).sum())
    number[:outside] += pixels - outside  # next to those of the second cell: often no place is left out, then
    shares = np.zeros((coarse + 1, pixels), dtype=np.float32)
    shares[cell, number] = share
    place = cell * pixels + number
    first, last = int(place[0]), int(place[-1])
    return _Side(
        coarse + 1, pixels, torch.from_numpy(shares), slice(first, last + 1) if last - first == fine - 1 else place
    )


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


@dataclass(frozen=True, slots=True)
class _Shares:
    """The winner's share of all scores in steps, `STEPS` times and 1/2 more: cut off, it is rounded.

    At the grid points: `scores` (N, h, w) of the maps, None where they are the maps themselves, and `total` (h, w).
    Below `least` a pixel gets no label. `steps` (cells, pixels, cells, pixels) uint8 are cut off, None if not wanted.
    """

    scores: Tensor | None
    total: Tensor
    least: float
    steps: UInt8Array | None

    @classmethod
    def of(cls, sureness: Sureness, shape: tuple[int, ...]) -> _Shares:
        """Not known yet; `shape` is that of the labels by cell."""
        total = sureness.total.clamp_min(torch.finfo(sureness.total.dtype).tiny)
        steps = None if sureness.table is None else np.empty(shape, dtype=np.uint8)
        values = None if sureness.values is None else sureness.values.contiguous()  # NHWC: else copied for each chunk
        return cls(values, total, STEPS * sureness.least + 0.5 if sureness.least > 0 else 0.0, steps)

    def of_one_winner(self, labels: UInt8Array, grid: Tensor, winner: Tensor, rows: _Side, columns: _Side) -> None:
        """As in cells with one winner, by the `winner` (h, w) at the points of the maps (N, h, w)."""
        scores = grid if self.scores is None else self.scores
        # both are linear between the points: scaled and limited here they need not be at every pixel
        score = torch.minimum(scores.gather(0, winner[None])[0], self.total)
        both = torch.stack([score * STEPS + self.total / 2, self.total])
        # (2, h, w) -> with a border (2, h + 2, w + 2) -> (2, h + 2, (w + 1) * q) -> (2, some cells, p, (w + 1) * q)
        both = F.pad(both[None], (1, 1, 1, 1), mode="replicate")[0]
        across = torch.lerp(both[:, :, :-1, None], both[:, :, 1:, None], columns.shares).flatten(2)
        strip = max(1, STRIP_VALUES // (rows.pixels * across.shape[2]))
        pixels = across.new_empty(2, strip, rows.pixels, across.shape[2])  # once: new pages take longer than the sums
        for start in range(0, rows.cells, strip):
            some = slice(start, min(start + strip, rows.cells))
            upper, lower = across[:, some, None], across[:, start + 1 : some.stop + 1, None]
            score, total = torch.lerp(upper, lower, rows.shares[some, :, None], out=pixels[:, : some.stop - start])
            share = score.div_(total).view(-1, rows.pixels, columns.cells, columns.pixels)
            labels[some] = self.sure(labels[some], share)
            if self.steps is not None:
                self.steps[some] = share.numpy()  # cut off

    def sure(self, labels: UInt8Array, share: Tensor) -> UInt8Array:
        """The labels without those that are not sure enough."""
        if self.least <= 0:
            return labels
        # a tenth of the time of a masked assignment
        found: UInt8Array = labels | (share < self.least).numpy().view(np.uint8) * np.uint8(NO_LABEL)
        return found


def argmax_upsampled(
    maps: FloatArray,
    size_hw: tuple[int, int],
    *,
    names: UInt8Array | None = None,
    aligned_hw: tuple[int, int] | None = None,
) -> UInt8Array:
    """(H, W) index, or name, of the largest map at every pixel; the lower index wins a tie.

    Args:
        maps: (N, h, w) float32, N at most 256.
        size_hw: (H, W) in pixels; may be smaller than (h, w) too.
        names: (N,) what to put out instead of the index of a map.
        aligned_hw: size of the network's input, where the corners of the maps lie on its corner pixels.
    """
    return _decided(maps, size_hw, None, names, aligned_hw)[0]


def sure_argmax_upsampled(
    maps: FloatArray,
    size_hw: tuple[int, int],
    sureness: Sureness,
    *,
    names: UInt8Array | None = None,
    aligned_hw: tuple[int, int] | None = None,
) -> tuple[UInt8Array, UInt8Array | None]:
    """`argmax_upsampled`, `NO_LABEL` where the winner's share is too small; and (H, W) levels where they are wanted."""
    return _decided(maps, size_hw, sureness, names, aligned_hw)


def winners(scores: Tensor) -> UInt8Array:
    """(h, w) number of the largest of the maps (C, h, w), the lower one of a tie.

    For 150 maps of 640x360 in 23 ms, of NHWC 11; torch takes 84 and 31, `numpy.argmax` over the first axis 124. Of 151
    maps of 128x128 in 2.0 ms; torch takes 5.5.
    """
    if scores.stride(0) == 1 and len(scores) > 1:
        last: UInt8Array = scores.permute(1, 2, 0).numpy().argmax(axis=-1).astype(np.uint8)
        return last
    maps = scores.numpy()
    winner = np.zeros(maps.shape[1:], dtype=np.uint8)
    rows = max(1, _ROWS_VALUES // maps.shape[2])
    for start in range(0, maps.shape[1], rows):
        part = maps[:, start : start + rows]
        best, number = part[0].copy(), winner[start : start + rows]
        larger = np.empty(best.shape, dtype=bool)
        for channel in range(1, len(maps)):
            np.greater(part[channel], best, out=larger)
            np.copyto(number, np.uint8(channel), where=larger)
            np.maximum(part[channel], best, out=best)
    return winner


def translated(steps: UInt8Array, table: UInt8Array) -> UInt8Array:
    """(H, W) what the table (256,) says of every byte."""
    # a third of the time of np.take
    return np.frombuffer(bytearray(steps).translate(table.tobytes()), np.uint8).reshape(steps.shape)


def _decided(
    maps: FloatArray,
    size_hw: tuple[int, int],
    sureness: Sureness | None,
    names: UInt8Array | None,
    aligned_hw: tuple[int, int] | None,
) -> tuple[UInt8Array, UInt8Array | None]:
    grid = torch.from_numpy(np.ascontiguousarray(maps))
    n, h, w = grid.shape
    assert 0 < n <= 256, n
    called = np.arange(n, dtype=np.uint8) if names is None else names
    seen_h, seen_w = aligned_hw or (None, None)
    rows, columns = _side(size_hw[0], h, seen_h), _side(size_hw[1], w, seen_w)

    # (N, h, w) -> winners at the grid points (h, w) -> with a border (h + 2, w + 2), so that the edge has cells too
    # -> first corners of the cells (h + 1, w + 1) -> pixels by cell (h + 1, p, w + 1, q) -> (H, W)
    best = grid.max(dim=0).indices if n < MANY else torch.from_numpy(winners(grid)).long()
    winner = np.pad(best.to(torch.uint8).numpy(), 1, mode="edge")
    # every cell gets the label of its first corner, then those between different winners are decided pixel by pixel
    corner = winner[:-1, :-1]
    labels = np.empty((rows.cells, rows.pixels, columns.cells, columns.pixels), dtype=np.uint8)
    in_rows = labels.reshape(rows.cells, rows.pixels, -1)
    in_rows[:] = np.repeat(called[corner], columns.pixels, axis=1)[:, None]
    y, x = np.nonzero((corner != winner[1:, 1:]) | (corner != winner[1:, :-1]) | (corner != winner[:-1, 1:]))
    shares = None if sureness is None else _Shares.of(sureness, labels.shape)
    if shares is not None:
        shares.of_one_winner(labels, grid, best, rows, columns)
    chunk = max(1, CHUNK_VALUES // (4 * n))
    for start in range(0, len(y), chunk):
        _decide(labels, grid, called, (y[start : start + chunk], x[start : start + chunk]), rows, columns, shares)

    def in_picture(by_cell: UInt8Array) -> UInt8Array:
        flat = by_cell.reshape(rows.cells * rows.pixels, columns.cells * columns.pixels)[rows.place]
        if isinstance(columns.place, slice):
            return np.ascontiguousarray(flat[:, columns.place])
        return np.take(flat, columns.place, axis=1)

    if sureness is None or sureness.table is None or shares is None or shares.steps is None:
        return in_picture(labels), None
    return in_picture(labels), translated(in_picture(shares.steps), sureness.table)


def _decide(
    labels: UInt8Array,
    grid: Tensor,
    called: UInt8Array,
    cells: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
    rows: _Side,
    columns: _Side,
    shares: _Shares | None,
) -> None:
    """Put into `labels` (down, pixels, across, pixels), for the cells (y, x), the name of the largest map per pixel.

    Args:
        grid: (N, h, w).
        called: (N,) names of the maps.
        shares: where to put those of the winners too.
    """
    h, w = grid.shape[1:]
    y, x = cells
    top, bottom = np.maximum(y - 1, 0) * w, np.minimum(y, h - 1) * w
    left, right = np.maximum(x - 1, 0), np.minimum(x, w - 1)
    points = torch.from_numpy(np.concatenate([top + left, top + right, bottom + left, bottom + right]))

    def at_corners(maps: Tensor) -> Tensor:
        return maps.reshape(-1, h * w).index_select(1, points).view(-1, 4, len(y))  # maps, corners, cells

    corners = at_corners(grid)
    scores = None if shares is None or shares.scores is None else at_corners(shares.scores)
    total = None if shares is None else at_corners(shares.total)[0].T.reshape(-1, 2, 2)  # (cells, 2, 2)
    floor = corners.amin(dim=1).amax(dim=0)  # (cells,): the winner has this much everywhere in its cell
    # what the floor loses to rounding when values are computed must not cost a map its place
    competing = (corners.amax(dim=1) >= floor - 1e-6 * floor.abs()).numpy()
    counts = competing.sum(axis=0)
    chunk = max(1, CHUNK_VALUES // (4 * rows.pixels * columns.pixels))
    for count in range(2, int(counts.max(initial=0)) + 1):
        alike = np.nonzero(counts == count)[0]
        for start in range(0, len(alike), chunk):
            some = alike[start : start + chunk]
            which = np.nonzero(competing[:, some].T)[1].reshape(-1, count).T  # (C, G), rising
            # (N, 4, cells) -> (C, G, 2, 2): of the G cells with C maps, these maps alone
            these = torch.from_numpy(which), slice(None), torch.from_numpy(some)
            down, across = rows.shares[y[some]][:, :, None], columns.shares[x[some]][:, None]
            own = None if scores is None else scores[these].view(count, -1, 2, 2)
            values = corners[these].view(count, -1, 2, 2)
            winner, score = _largest(values, called[which], down, across, own)
            if shares is not None and total is not None:
                share = score.mul_(STEPS).div_(_down(_across(total[some], across), down)).add_(0.5)
                winner = shares.sure(winner, share)
                if shares.steps is not None:
                    shares.steps[y[some], :, x[some]] = share.clamp_(max=STEPS).numpy()
            labels[y[some], :, x[some]] = winner


def _largest(
    corners: Tensor, names: UInt8Array, down: Tensor, across: Tensor, scores: Tensor | None
) -> tuple[UInt8Array, Tensor]:
    """(G, p, q) name of the largest map in G cells, and its score; of the `names` (C, G) the first one wins a tie.

    Args:
        corners: (C, G, 2, 2) of the maps.
        down, across: (G, p, 1) and (G, 1, q), 0..1, places of the pixels.
        scores: as `corners`, where they are not the maps.
    """
    edges = _across(corners, across)
    own_edges = None if scores is None else _across(scores, across)
    best = _down(edges[0], down)
    score = best if own_edges is None else _down(own_edges[0], down)
    winner = names[0][:, None, None]
    for rank in range(1, len(names)):
        challenger = _down(edges[rank], down)
        better = challenger > best
        # a fraction of the time of where()
        winner = winner ^ (winner ^ names[rank][:, None, None]) * better.numpy().view(np.uint8)
        best = torch.maximum(best, challenger, out=best)
        if own_edges is not None:
            score = torch.where(better, _down(own_edges[rank], down), score)
    return np.asarray(winner), best if own_edges is None else score


def _across(corners: Tensor, share: Tensor) -> Tensor:
    """(..., 2, q) along the edges between the corners (..., 2, 2)."""
    return torch.lerp(corners[..., :1], corners[..., 1:], share)


def _down(edges: Tensor, share: Tensor) -> Tensor:
    """(G, p, q) between the edges (G, 2, q)."""
    return torch.lerp(edges[:, :1], edges[:, 1:], share)


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
