"""Where a frame lies on what a network sees, and how what comes out of the network lies on the frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

Size = tuple[int, int]
"""Height and width in pixels or cells."""


@dataclass(frozen=True, slots=True)
class Window:
    """The cells of a network's output that show the frame, and how they are enlarged to it.

    Cells `rows` by `columns` are enlarged to `fine_hw`; the frame begins there at `skip_hw`.
    """

    rows: slice
    columns: slice
    fine_hw: Size
    skip_hw: Size

    def of_frame(self, frame_hw: Size) -> tuple[slice, slice]:
        """The frame's own pixels among those of `fine_hw`."""
        top, left = self.skip_hw
        return slice(top, top + frame_hw[0]), slice(left, left + frame_hw[1])


@dataclass(frozen=True, slots=True)
class Placement:
    """A frame, resized to `content_hw`, begins at `corner_hw` of a canvas of `canvas_hw`; the rest is padding."""

    canvas_hw: Size
    content_hw: Size
    corner_hw: Size = (0, 0)

    @property
    def padded(self) -> bool:
        return self.content_hw != self.canvas_hw

    def window(self, grid_hw: Size, frame_hw: Size, *, whole: bool = False) -> Window:
        """What of an output of `grid_hw` cells over the whole canvas shows the frame.

        Cells that padding and frame share are kept, so that what is enlarged is right to half a pixel of the frame.

        Args:
            whole: keep all cells, as grids need whose corners lie on those of the canvas.
        """
        parts = [
            _along(*each, whole=whole)
            for each in zip(self.canvas_hw, self.content_hw, self.corner_hw, grid_hw, frame_hw, strict=True)
        ]
        (rows, fine_h, top), (columns, fine_w, left) = parts
        return Window(rows, columns, (fine_h, fine_w), (top, left))


def _along(canvas: int, content: int, start: int, cells: int, frame: int, *, whole: bool) -> tuple[slice, int, int]:
    """Cells, pixels that they become, and pixels before the frame, along one side."""
    stride = canvas / cells
    first, last = 0, cells
    if not whole:
        first = math.floor(start / stride + 1e-6)
        last = min(cells, math.ceil((start + content) / stride - 1e-6))
    skip = round((start - first * stride) * frame / content)
    fine = max(round((last - first) * stride * frame / content), skip + frame)
    return slice(first, last), fine, skip


def letterboxed(height: int, width: int, canvas_hw: Size, *, centred: bool) -> Placement:
    """The frame as large as it fits, in the middle (the smaller half of the padding first) or in the top left."""
    ratio = min(canvas_hw[0] / height, canvas_hw[1] / width)
    content = min(canvas_hw[0], max(1, round(height * ratio))), min(canvas_hw[1], max(1, round(width * ratio)))
    spare = canvas_hw[0] - content[0], canvas_hw[1] - content[1]
    corner = (spare[0] // 2, spare[1] // 2) if centred else (0, 0)
    return Placement(canvas_hw, content, corner)
