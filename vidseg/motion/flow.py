"""Dense motion between two pictures on a small grey grid, and how well it explains the newer one.

Flow is backward: a pixel p of the newer picture shows what stood at p + flow[p] in the older one, so that everything
of the older one is brought over by looking it up, without holes.

Method: dense inverse search, T. Kroeger et al., arXiv:1603.03590, in the implementation of OpenCV.
"""

from __future__ import annotations

import math
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from vidseg.frames import FloatArray, UInt8Array

Pixel = TypeVar("Pixel", np.uint8, np.float32)

LONG_SIDE = 192
"""Of the small grid, in pixels. With 128, 192, 256 a search takes 0.3, 0.7, 1.3 ms, and masks of every fourth frame of
CamVid, carried along, have an mIoU of 0.400, 0.402, 0.403 (held 0.383)."""
SHORT_SIDE = 32
"""At least, so that the search has patches of 8 pixels on its coarser scales; very long pictures are stretched."""


def small_gray(image: UInt8Array, long_side: int = LONG_SIDE) -> UInt8Array:
    """(h, w) uint8 grey picture of an (H, W, 3) uint8 RGB image, `long_side` pixels on its longer side."""
    height, width = image.shape[:2]
    scale = long_side / max(height, width)
    size = (max(SHORT_SIDE, round(width * scale)), max(SHORT_SIDE, round(height * scale)))
    # By way of twice the size: 0.2 ms for frames of any size, where averaging all pixels of 1280x720 takes 1.7. Each
    # pixel of the grid still is the mean of 16 of a large frame.
    double = cv2.resize(image, (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_LINEAR)
    gray = cv2.cvtColor(double, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


class BackwardFlow:
    """Finds the motion between two grey pictures. Remembers buffers only; used by one thread at a time.

    Args:
        careful: several times slower and a little better: for measuring, not for running.
    """

    def __init__(self, *, careful: bool = False) -> None:
        preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM if careful else cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST
        self._search = cv2.DISOpticalFlow.create(preset)
        if not careful:
            self._search.setFinestScale(1)  # half the grid's resolution: 0.7 instead of 7 ms at 192x108

    def between(self, now: UInt8Array, before: UInt8Array) -> FloatArray:
        """(h, w, 2) float32 offsets (x, y) in pixels, from `now` back to `before`, both (h, w) uint8."""
        return np.asarray(self._search.calc(now, before, None), dtype=np.float32)  # type: ignore[call-overload]


def looked_up(picture: npt.NDArray[Pixel], flow: FloatArray, *, nearest: bool = False) -> npt.NDArray[Pixel]:
    """`picture` (H, W) or (H, W, C up to 4) moved along `flow` (H, W, 2): what stands at p + flow[p]; edges repeat."""
    height, width = flow.shape[:2]
    x = np.arange(width, dtype=np.float32)[None, :] + flow[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
    how = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    return np.asarray(cv2.remap(picture, x, y, how, borderMode=cv2.BORDER_REPLICATE), dtype=picture.dtype)


def chained(earlier: FloatArray, step: FloatArray) -> FloatArray:
    """(h, w, 2) flow over two steps: `step` leads from now to between, `earlier` from between to the start."""
    return step + looked_up(earlier, step)


def resized_flow(flow: FloatArray, size_hw: tuple[int, int]) -> FloatArray:
    """(H, W, 2) flow on a grid of another size, offsets in pixels of that grid."""
    height, width = size_hw
    scale = np.array([width / flow.shape[1], height / flow.shape[0]], dtype=np.float32)
    # scaled while small: 0.2 instead of 2.7 ms for 640x360
    if width < flow.shape[1]:
        small = cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(small * scale, dtype=np.float32)
    return np.asarray(cv2.resize(flow * scale, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def likeness(a: UInt8Array, b: UInt8Array) -> float:
    """Correlation of two (h, w) uint8 pictures, -1..1: 1 if they differ in brightness and contrast only.

    Two pictures without any structure are alike (1); one with and one without are not (0).
    """
    x, y = (picture.astype(np.float32).ravel() for picture in (a, b))
    x -= x.mean()
    y -= y.mean()
    spread = (math.sqrt(np.dot(x, x) / x.size), math.sqrt(np.dot(y, y) / y.size))
    if max(spread) < 1:  # one grey level: noise of a covered lens or a plain slide
        return 1.0
    if min(spread) < 1e-3:
        return 0.0
    return float(np.dot(x, y)) / x.size / (spread[0] * spread[1])
