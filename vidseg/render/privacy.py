"""Regions made unrecognisable.

What is left of a hidden region: `pixelate` and `blur` keep some colours, at most `BLOCKS_ACROSS` of them along the
picture's shorter side; `fill` keeps nothing but the outline.
"""

from __future__ import annotations

import cv2
import numpy as np

from vidseg.defaults import MARGIN_DIVISOR
from vidseg.frames import UInt8Array

BLUR_STYLES = ("pixelate", "blur", "fill")

BLOCKS_ACROSS = 16
"""Blocks along the picture's shorter side: a face that fills half of it keeps 8x8 blocks, too few to tell who it is."""
MARGIN_SHARE = 1 / MARGIN_DIVISOR
"""Of the picture's shorter side, by which regions grow by default: 12 pixels at 1280x720. Masks come from a grid whose
cells are that large there (long side 384, one value per 4 pixels), and their edges are off by about one cell."""
SMALLEST_MARGIN = 2
FILL_COLOUR = (0, 0, 0)


def default_margin(size_hw: tuple[int, int]) -> int:
    """Pixels by which regions of a picture of (height, width) grow when nothing else is said."""
    return max(SMALLEST_MARGIN, round(min(size_hw) * MARGIN_SHARE))


def grown(mask: UInt8Array, margin: int) -> UInt8Array:
    """`mask` (H, W) of 0 and 255, larger by `margin` pixels up, down, left, right and in the corners."""
    if margin == 0:
        return mask
    # a square: runs in two passes, and covers a circle of that radius
    square = np.ones((2 * margin + 1, 2 * margin + 1), dtype=np.uint8)
    return np.asarray(cv2.dilate(mask, square), dtype=np.uint8)


def hide(image: UInt8Array, mask: UInt8Array, style: str) -> UInt8Array:
    """A copy of `image` (H, W, 3), unrecognisable where `mask` (H, W) is 255; `image` itself where it is 0 all over.

    Args:
        style: one of `BLUR_STYLES`.
    """
    hidden = {"pixelate": pixelate, "blur": blur, "fill": fill}[style]
    return hidden(image, mask) if cv2.countNonZero(mask) else image


def pixelate(image: UInt8Array, mask: UInt8Array) -> UInt8Array:
    """A copy of `image` (H, W, 3) in coarse blocks where `mask` (H, W) is not 0.

    Each block that the mask touches becomes its mean colour as a whole. That hides the outline as well and covers a
    mask that is a little too small.
    """
    picture = np.array(image, order="C")
    height, width = mask.shape
    rows, columns = _blocks(mask.shape[0], mask.shape[1])
    lefts = np.arange(columns + 1) * width // columns
    for row in range(rows):
        top, bottom = row * height // rows, (row + 1) * height // rows
        touched = np.maximum.reduceat(mask[top:bottom].max(axis=0), lefts[:-1])
        for column in np.flatnonzero(touched):
            part = picture[top:bottom, lefts[column] : lefts[column + 1]]
            part[:] = np.round(cv2.mean(part)[:3])
    return picture


def blur(image: UInt8Array, mask: UInt8Array) -> UInt8Array:
    """A copy of `image` (H, W, 3), smooth where `mask` (H, W) is not 0.

    The smooth picture is made of the means of the blocks of `pixelate`, averaged with their neighbours: a blur of the
    fine picture alone could be undone in part. Smooth blocks are easier to make out than hard ones, hence the average.
    """
    height, width = mask.shape
    rows, columns = _blocks(height, width)
    means = cv2.GaussianBlur(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA), (3, 3), 0)
    smooth = cv2.resize(means, (width, height), interpolation=cv2.INTER_LINEAR)
    picture = np.array(image, order="C")
    cv2.copyTo(smooth, mask, picture)
    return picture


def fill(image: UInt8Array, mask: UInt8Array) -> UInt8Array:
    """A copy of `image` (H, W, 3), `FILL_COLOUR` where `mask` (H, W) is not 0."""
    picture = np.array(image, order="C")
    picture[mask != 0] = FILL_COLOUR
    return picture


def _blocks(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of blocks of a picture."""
    block = max(2, min(height, width) // BLOCKS_ACROSS)
    return max(1, height // block), max(1, width // block)
