"""The pictures of several lanes in one: equal cells in rows, each with its lane's name above."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, log

import cv2
import numpy as np

from vidseg.frames import NO_LABEL, Box, UInt8Array
from vidseg.render.offline_card import offline_card
from vidseg.render.text import draw_text, line_height, text_size_px, text_width

LARGEST_HW = (1080, 1920)
"""Of the whole picture, names and gaps aside."""
SMALLEST_CELL_HW = (72, 128)
"""Names and cards have to be readable."""
_GREY = 16
_DEFAULT_HW = (720, 1280)


class TiledPainter:
    """Satisfies `vidseg.interfaces.GridPainter`. Pictures keep their proportions, in the middle of their cells.

    Cells have the shape of most lanes and are not larger than the largest one.

    Args:
        names: of the lanes.
        sizes_hw: (height, width) of each; None where unknown.
        plain: cards without the last picture, for where it must not be seen as it is.
    """

    def __init__(
        self, names: Sequence[str], sizes_hw: Sequence[tuple[int, int] | None], *, plain: bool = False
    ) -> None:
        self._plain = plain
        self._names = tuple(names)
        known = [size for size in sizes_hw if size is not None] or [_DEFAULT_HW]
        self.rows, self.columns, cell = layout(len(names), known)
        self.cell_hw = cell
        text_px = text_size_px(*cell, share=1 / 22)
        self._strip = _even(line_height(text_px) + 2)
        self._gap = 4
        height = self.rows * (cell[0] + self._strip)
        width = self.columns * cell[1] + (self.columns - 1) * self._gap
        self._base = np.full((_even(height), _even(width), 3), _GREY, np.uint8)
        for number, name in enumerate(names):
            top, left = self._corner(number)
            draw_text(self._base, _shortened(name, text_px, cell[1] - 8), left + 4, top - self._strip + 1, text_px)
        self._card = lru_cache(maxsize=4 * len(names))(self._words_alone)

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) of the whole picture."""
        return self._base.shape[0], self._base.shape[1]

    def tile_box(self, number: int, size_hw: tuple[int, int]) -> Box:
        """Where a picture of this size, out of `fit`, stands."""
        top, left = self._corner(number)
        top += (self.cell_hw[0] - size_hw[0]) // 2
        left += (self.cell_hw[1] - size_hw[1]) // 2
        return top, left, top + size_hw[0], left + size_hw[1]

    @property
    def cells(self) -> tuple[tuple[str, Box], ...]:
        """Each lane's name, and the box in which its picture is."""
        height, width = self.cell_hw
        corners = [self._corner(number) for number in range(len(self._names))]
        return tuple(
            (name, (top, left, top + height, left + width))
            for name, (top, left) in zip(self._names, corners, strict=True)
        )

    def _corner(self, number: int) -> tuple[int, int]:
        row, column = divmod(number, self.columns)
        return row * (self.cell_hw[0] + self._strip) + self._strip, column * (self.cell_hw[1] + self._gap)

    def fit(self, picture: UInt8Array) -> UInt8Array:
        """(H, W, 3) -> (h, w, 3) as large as fits into a cell; the picture itself where it has that size."""
        height, width = picture.shape[:2]
        scale = min(self.cell_hw[0] / height, self.cell_hw[1] / width)
        if scale == 1:
            return picture
        size = max(1, round(width * scale)), max(1, round(height * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)

    def card(self, picture: UInt8Array | None, words: str) -> UInt8Array:
        """(h, w, 3): `picture` dark, or a grey cell, with the words in it."""
        return self._card(words) if picture is None else offline_card(picture, words, plain=self._plain)

    def _words_alone(self, words: str) -> UInt8Array:
        return offline_card(np.zeros((*self.cell_hw, 3), np.uint8), words, plain=True)

    def compose(
        self, tiles: Sequence[tuple[UInt8Array, UInt8Array | None]]
    ) -> tuple[UInt8Array, UInt8Array, tuple[Box, ...]]:
        """As `GridPainter.compose`; what is no tile has no label."""
        image = self._base.copy()
        label_map = np.full(self.size_hw, NO_LABEL, np.uint8)
        boxes: list[Box | None] = [None] * (self.rows * self.columns)
        for number, (picture, labels) in enumerate(tiles):
            box = top, left, bottom, right = self.tile_box(number, (picture.shape[0], picture.shape[1]))
            image[top:bottom, left:right] = picture
            if labels is not None:
                label_map[top:bottom, left:right] = labels
                boxes[number] = box
        return image, label_map, self._around(boxes)

    def _around(self, boxes: Sequence[Box | None]) -> tuple[Box, ...]:
        """All that lies outside of these boxes, one or none per cell: names, bars, cards, gaps, empty cells."""
        height, width = self.size_hw
        around: list[Box] = []
        for number, box in enumerate(boxes):
            row, column = divmod(number, self.columns)
            above, left = self._corner(number)
            above -= self._strip
            below = height if row == self.rows - 1 else above + self._strip + self.cell_hw[0]
            end = width if column == self.columns - 1 else left + self.cell_hw[1] + self._gap
            if box is None:
                around.append((above, left, below, end))
                continue
            around.append((above, left, box[0], end))
            around.append((box[0], left, box[2], box[1]))
            around.append((box[0], box[3], box[2], end))
            around.append((box[2], left, below, end))
        return tuple((top, start, bottom, stop) for top, start, bottom, stop in around if top < bottom and start < stop)


def layout(count: int, sizes_hw: Sequence[tuple[int, int]]) -> tuple[int, int, tuple[int, int]]:
    """Rows, columns and (height, width) of the cells: as large as they can be in `LARGEST_HW`, sides even.

    Args:
        count: of tiles.
        sizes_hw: of the lanes, those that are known.
    """
    aspect = sorted(width / height for height, width in sizes_hw)[len(sizes_hw) // 2]
    largest = max(*(height for height, _ in sizes_hw), SMALLEST_CELL_HW[0], ceil(SMALLEST_CELL_HW[1] / aspect))

    def worth(columns: int) -> tuple[float, float, int]:
        """By the height of a cell, then by how much like a screen the whole is."""
        rows = ceil(count / columns)
        height = min(LARGEST_HW[0] / rows, LARGEST_HW[1] / columns / aspect, largest)
        shape = abs(log(aspect * columns / rows) - log(LARGEST_HW[1] / LARGEST_HW[0]))
        return round(height, 3), -round(shape, 3), columns

    columns = max(range(1, count + 1), key=worth)
    height = worth(columns)[0]
    return ceil(count / columns), columns, (_even(round(height)), _even(round(height * aspect)))


def _even(number: int) -> int:
    return number + number % 2


def _shortened(name: str, size_px: int, width: int) -> str:
    """The name, or as much of its end as fits."""
    if text_width(name, size_px) <= width:
        return name
    while len(name) > 1 and text_width(f"...{name}", size_px) > width:
        name = name[1:]
    return f"...{name}"
