"""Large frames in overlapping windows, each seen at the network's own size; their scores are blended at the seams.

For 4K, where a whole frame brought to the size of a network loses what is small, and for networks whose makers cut
pictures into windows themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidseg.frames import Frame, Segmentation, UInt8Array
from vidseg.runtimes.base import Runtime
from vidseg.runtimes.geometry import Placement, Size
from vidseg.segmentation.dense_segmenter import DenseSegmenter, ScoreRuntime

OVERLAP = 0.25
"""Share of a window, along each side, that the next one sees too."""


def windows_of(tiles: str | None) -> tuple[int, int]:
    """Columns and rows of "2x1"; one of each for None."""
    columns, rows = (tiles or "1x1").split("x")
    return int(columns), int(rows)


def windows(length: int, count: int) -> list[slice]:
    """Places of `count` windows of one length that cover `length` pixels and overlap by `OVERLAP`."""
    size = max(1, round(length / (count - (count - 1) * OVERLAP)))
    starts = np.linspace(0, length - size, count).round().astype(int).tolist()
    return [slice(start, start + size) for start in starts]


class QueryScoreRuntime:
    """Satisfies `ScoreRuntime` with the class scores of a query network.

    Args:
        activated: softmax without "no object", and sigmoid, are in the network already.
    """

    gives_labels = False
    gives_logits = False
    align_corners = False

    def __init__(self, runtime: Runtime, classes: int, *, activated: bool) -> None:
        self.class_of_channel: UInt8Array = np.arange(classes, dtype=np.uint8)
        self._runtime = runtime
        self._activated = activated

    def run(self, images: Tensor) -> Tensor:
        """(B, K, h', w') float32 scores >= 0 of (B, 3, h, w) uint8 RGB."""
        classes, masks = self._runtime.run(images)
        if not self._activated:
            classes, masks = classes.softmax(dim=-1)[..., :-1], masks.sigmoid()
        return torch.einsum("bqk,bqhw->bkhw", classes.float(), masks.float()).cpu()

    def weights(self, scores: Tensor) -> Tensor:
        """The same (B, K, h', w'): they are >= 0."""
        return scores


class _Blended:
    """The runtime, as what comes out of it is once windows are blended: averaged weights, cells of equal size."""

    gives_logits = False
    align_corners = False

    def __init__(self, runtime: ScoreRuntime) -> None:
        self._runtime = runtime
        self.run = runtime.run

    @property
    def gives_labels(self) -> bool:
        return self._runtime.gives_labels

    @property
    def class_of_channel(self) -> UInt8Array:
        return self._runtime.class_of_channel

    def weights(self, scores: Tensor) -> Tensor:
        return scores


class TiledSegmenter(DenseSegmenter):
    """A segmenter that shows the network each frame in `tiles` (columns, rows) windows.

    Scores are averaged where windows overlap, weighted by how far inside of the window a pixel lies; of labels that of
    the window where it lies farthest inside wins. The others are those of `DenseSegmenter`.
    """

    def __init__(self, runtime: ScoreRuntime, *, tiles: tuple[int, int], **options: Any) -> None:
        super().__init__(_Blended(runtime), **options)
        self._inner = runtime
        self._tiles = tiles

    def prepare(self, frames: Sequence[Frame]) -> Tensor:
        """What the network sees of them, (B * T, 3, h, w) uint8, the windows of a frame one after the other."""
        return super().prepare([self._part(frame, *place) for frame in frames for place in self._places(frame)])

    def infer(self, images: Tensor) -> list[Tensor]:
        """(T, C, h, w) scores, or (T, h, w) labels, of the windows of each frame."""
        count = self._tiles[0] * self._tiles[1]
        with self._timers.measure("model", len(images) // count):
            found = self._run(images)
        return [found[start : start + count] for start in range(0, len(found), count)]

    @torch.inference_mode()
    def finish(self, frame: Frame, output: Tensor) -> Segmentation:
        """The segmentation of a frame from what `infer` found in its windows."""
        with self._timers.measure("postprocess", frames=0):
            blended = self._blended(frame, output)
        return super().finish(frame, blended)

    def _placement_of_output(self, frame: Frame) -> Placement:
        return Placement(frame.size_hw, frame.size_hw)

    def _places(self, frame: Frame) -> list[tuple[slice, slice]]:
        columns, rows = self._tiles
        height, width = frame.size_hw
        return [(y, x) for y in windows(height, rows) for x in windows(width, columns)]

    def _part(self, frame: Frame, rows: slice, columns: slice) -> Frame:
        return replace(frame, image=np.ascontiguousarray(frame.image[rows, columns]))

    def _blended(self, frame: Frame, output: Tensor) -> Tensor:
        """(C, H', W') scores, or (H', W') labels, of the whole frame, its cells as large as those of a window."""
        places = self._places(frame)
        part = self._part(frame, *places[0])
        labels = self._inner.gives_labels
        output = _on_part(
            output if labels else torch.stack([self._inner.weights(each) for each in output]),
            self._placement(part),
            part.size_hw,
            aligned=self._inner.align_corners,
            labels=labels,
        )
        grid = output.shape[-2], output.shape[-1]
        height, width = (
            max(cells, round(most * cells / pixels))
            for most, pixels, cells in zip(frame.size_hw, part.size_hw, grid, strict=True)
        )
        share = _inside(grid)
        total = torch.zeros(height, width)
        blended = output.new_zeros(*output.shape[1:-2], height, width)
        for (rows, columns), each in zip(places, output, strict=True):
            y = min(round(rows.start * grid[0] / part.size_hw[0]), height - grid[0])
            x = min(round(columns.start * grid[1] / part.size_hw[1]), width - grid[1])
            target, weight = blended[..., y : y + grid[0], x : x + grid[1]], total[y : y + grid[0], x : x + grid[1]]
            if labels:
                target.copy_(torch.where(share > weight, each, target))
                weight.copy_(torch.maximum(weight, share))
            else:
                target += share * each
                weight += share
        return blended if labels else blended.div_(total)


def _inside(grid: Size) -> Tensor:
    """(h, w) above 0, how far inside of a window each cell lies: it rises to 1 over what the next window sees too."""
    rows, columns = (
        ((torch.arange(cells) + 0.5).minimum(cells - torch.arange(cells) - 0.5) / (cells * OVERLAP)).clamp(max=1)
        for cells in grid
    )
    return rows[:, None] * columns


def _on_part(output: Tensor, placement: Placement, part_hw: Size, *, aligned: bool, labels: bool) -> Tensor:
    """(T, C, h', w') or (T, h', w'): cells of the whole window alone, without padding, with their centres inside."""
    cells = output.shape[-2], output.shape[-1]
    if not placement.padded and (labels or not aligned):
        return output
    sides = [
        _places_of(*each, aligned=aligned and not labels)
        for each in zip(placement.canvas_hw, placement.content_hw, placement.corner_hw, cells, strict=True)
    ]
    if labels:
        y, x = (side.round().long().clamp(0, most - 1) for side, most in zip(sides, cells, strict=True))
        return output[:, y[:, None], x]
    y, x = (2 * side / max(most - 1, 1) - 1 for side, most in zip(sides, cells, strict=True))
    where = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    return F.grid_sample(
        output, where.expand(len(output), -1, -1, -1), padding_mode="border", align_corners=True, mode="bilinear"
    )


def _places_of(canvas: int, content: int, corner: int, cells: int, *, aligned: bool) -> Tensor:
    """(n,) along one side: where, in cells, the centres of n equal parts of the content lie."""
    count = max(1, round(cells * content / canvas))
    pixels = corner + (torch.arange(count) + 0.5) * content / count  # of what the network sees, edges at whole numbers
    return (pixels - 0.5) * (cells - 1) / max(canvas - 1, 1) if aligned else pixels * cells / canvas - 0.5
