"""Drawn pictures in another size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from vidseg.frames import Segmentation, UInt8Array
from vidseg.interfaces import Renderer


@dataclass(frozen=True, slots=True)
class OutputSize:
    """How large pictures are to come out. Proportions are kept, sides are even."""

    width: int | None = None
    height: int | None = None
    share: Fraction | None = None
    """Of both sides, in place of width and height."""
    enlarge: bool = False
    """Smaller pictures grow; without it they stay as they are."""

    @classmethod
    def parse(cls, text: str, *, enlarge: bool = False) -> OutputSize:
        """The size that a user writes: `640` (width), `640x360` (fits inside), `50%`."""
        if text.endswith("%"):
            return cls(share=Fraction(text[:-1]) / 100, enlarge=enlarge)
        width, _, height = text.partition("x")
        return cls(int(width), int(height) if height else None, enlarge=enlarge)

    def of(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        """Height and width of what becomes of a picture of this (height, width)."""
        height, width = size_hw
        scale = self.share
        if scale is None:
            asked = ((self.width, width), (self.height, height))
            scale = min(Fraction(wanted, side) for wanted, side in asked if wanted is not None)
        if scale == 1 or (scale > 1 and not self.enlarge):
            return size_hw
        fits = self.share is None and self.height is not None
        return tuple(_even(side * scale, up=not fits) for side in size_hw)  # type: ignore[return-value]


def _even(side: Fraction, *, up: bool) -> int:
    return max(2, 2 * (round(side / 2) if up else math.floor(side / 2)))


class ScaledRenderer:
    """What another renderer draws, in another size. Satisfies `vidseg.interfaces.Renderer`."""

    def __init__(self, renderer: Renderer, size: OutputSize) -> None:
        self._renderer = renderer
        self._size = size

    def render(self, image: UInt8Array, segmentation: Segmentation) -> UInt8Array:
        """A new (H', W', 3) or (H', W', 4) picture, as the other renderer draws it, in the size asked for."""
        return scaled(self._renderer.render(image, segmentation), self._size)


def scaled(picture: UInt8Array, size: OutputSize) -> UInt8Array:
    """(H, W, 3) RGB or (H, W, 4) RGBA in the size asked for; the picture itself where that is its own."""
    before = picture.shape[:2]
    height, width = size.of((before[0], before[1]))
    if (height, width) == before:
        return picture
    how = cv2.INTER_AREA if height * width < before[0] * before[1] else cv2.INTER_CUBIC
    if picture.shape[2] == 3:
        return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)
    # colours count by how opaque they are: else those of what is cut away would show at the edges
    weight = np.maximum(picture[..., 3:].astype(np.float32), 0.1)
    small = cv2.resize(np.concatenate((picture[..., :3] * weight, weight), axis=2), (width, height), interpolation=how)
    result = np.empty((height, width, 4), np.uint8)
    result[..., :3] = np.rint(small[..., :3] / np.maximum(small[..., 3:], 0.05)).clip(0, 255)
    result[..., 3] = cv2.resize(picture[..., 3], (width, height), interpolation=how)
    return result
