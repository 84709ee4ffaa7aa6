"""Regions made unrecognisable."""

from __future__ import annotations

import cv2
import numpy as np

from vidseg.frames import UInt8Array

BLOCKS_ACROSS = 16
"""Blocks along the picture's shorter side: a face that fills half of it keeps 8x8 blocks, too few to tell who it is."""


def pixelate(image: UInt8Array, mask: UInt8Array) -> UInt8Array:
    """A copy of `image` (H, W, 3) in coarse blocks where `mask` (H, W) is not 0; `image` itself where it is 0 all over.

    Each block that the mask touches becomes its mean colour as a whole. That hides the outline as well and covers a
    mask that is a little too small.
    """
    if not cv2.countNonZero(mask):
        return image
    picture = np.array(image, order="C")
    height, width = mask.shape
    block = max(2, min(height, width) // BLOCKS_ACROSS)
    rows, columns = max(1, height // block), max(1, width // block)
    lefts = np.arange(columns + 1) * width // columns
    for row in range(rows):
        top, bottom = row * height // rows, (row + 1) * height // rows
        touched = np.maximum.reduceat(mask[top:bottom].max(axis=0), lefts[:-1])
        for column in np.flatnonzero(touched):
            part = picture[top:bottom, lefts[column] : lefts[column + 1]]
            part[:] = np.round(cv2.mean(part)[:3])
    return picture
