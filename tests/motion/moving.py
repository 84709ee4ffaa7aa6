"""Pictures that move in a known way."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np

from vidseg.frames import Frame, UInt8Array


def texture(seed: int, size_hw: tuple[int, int] = (240, 320)) -> UInt8Array:
    """(H, W, 3) smooth random blobs: enough structure for the flow search, different for every seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (size_hw[0] // 8, size_hw[1] // 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, size_hw[::-1], interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def window(picture: UInt8Array, x: float, y: float, size_hw: tuple[int, int] = (108, 192)) -> UInt8Array:
    """The part of `picture` at (x, y), moved by fractions of a pixel too."""
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, matrix, size_hw[::-1], flags=how), dtype=np.uint8)


def frame_of(image: UInt8Array, index: int, *, rate: int = 30) -> Frame:
    return Frame(np.ascontiguousarray(image), index, index, Fraction(1, rate), duration=1)
