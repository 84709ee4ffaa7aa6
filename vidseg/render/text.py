"""Words and panels drawn into pictures, sized by the picture and readable on any background.

OpenCV 4 draws the old stroke fonts and OpenCV 5 a TrueType one under the same call, with other metrics; whatever is
placed here is measured, not assumed.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil

import cv2
import numpy as np

from vidseg.frames import UInt8Array

MIN_SIZE_PX = 9
"""Smallest readable text."""
Rgb = tuple[int, int, int]
WHITE: Rgb = (255, 255, 255)
_PANEL_GREY = 20
_PANEL_OPACITY = 0.8
_SIZE_AT_SCALE_1 = 30.0
"""Text size in pixels that OpenCV draws at scale 1, about: from the top of "h" to the bottom of "g"."""


def text_size_px(height: int, width: int, *, share: float = 1 / 36) -> int:
    """Text size for a picture: a share of its shorter side, at least `MIN_SIZE_PX`."""
    return max(MIN_SIZE_PX, round(min(height, width) * share))


def line_height(size_px: int) -> int:
    """Distance between lines of text, in pixels."""
    return ceil(size_px * 1.4)


def text_width(text: str, size_px: int, *, bold: bool = False) -> int:
    """Width of the drawn text in pixels."""
    (width, _), _ = cv2.getTextSize(text, _font(bold), size_px / _SIZE_AT_SCALE_1, 1)
    return int(width)


def draw_text(
    picture: UInt8Array, text: str, x: int, y: int, size_px: int, *, rgb: Rgb = WHITE, bold: bool = False
) -> None:
    """Draw one line into `picture`, its box of `text_width` x `line_height` at (x, y); what is outside is cut off."""
    _put(picture, text, x, y, size_px, rgb, bold)


def draw_haloed_text(picture: UInt8Array, text: str, x: int, y: int, size_px: int) -> None:
    """As `draw_text` into an (H, W, 3) picture, bold white with a soft dark rim of up to `halo_px` outside the box."""
    keep, ink = _haloed(text, size_px)
    margin = halo_px(size_px)
    x, y = x - margin, y - margin
    left, top = max(0, x), max(0, y)
    right, bottom = min(picture.shape[1], x + ink.shape[1]), min(picture.shape[0], y + ink.shape[0])
    if left < right and top < bottom:
        part = picture[top:bottom, left:right]
        window = (slice(top - y, bottom - y), slice(left - x, right - x))
        part[:] = cv2.add(cv2.multiply(part, keep[window], scale=1 / 255), ink[window])


def halo_px(size_px: int) -> int:
    """Width of the rim of `draw_haloed_text`."""
    return max(2, round(size_px / 7))


def draw_panel(picture: UInt8Array, x: int, y: int, width: int, height: int) -> None:
    """Darken a box, in pixels, of an (H, W, 3) picture, corners rounded. The box lies inside the picture."""
    part = picture[y : y + height, x : x + width]
    dark = cv2.convertScaleAbs(part, alpha=1.0 - _PANEL_OPACITY, beta=_PANEL_GREY * _PANEL_OPACITY)
    part[:] = cv2.copyTo(dark, _rounded_box(width, height), part.copy())


def _put(picture: UInt8Array, text: str, x: int, y: int, size_px: int, colour: Rgb | int, bold: bool) -> None:
    # letters reach some 0.64 of the size above the base line in both fonts, so they stand in the middle of the box
    base = y + round((line_height(size_px) + 0.64 * size_px) / 2)
    cv2.putText(picture, text, (x, base), _font(bold), size_px / _SIZE_AT_SCALE_1, colour, 1, cv2.LINE_AA)


def _font(bold: bool) -> int:
    return cv2.FONT_HERSHEY_DUPLEX if bold else cv2.FONT_HERSHEY_SIMPLEX


@lru_cache(maxsize=256)
def _haloed(text: str, size_px: int) -> tuple[UInt8Array, UInt8Array]:
    """How much of the picture to keep and what to add, both (H, W, 3), `halo_px` larger than the text's box."""
    margin = halo_px(size_px)
    shape = (line_height(size_px) + 2 * margin, text_width(text, size_px, bold=True) + 2 * margin)
    ink = np.zeros(shape, dtype=np.uint8)
    _put(ink, text, margin, margin, size_px, 255, True)
    spread = cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin - 1, 2 * margin - 1)))
    halo = cv2.GaussianBlur(spread, (3, 3), 0)
    keep = 255 - np.maximum(halo, ink)
    both = tuple(np.repeat(part[:, :, None], 3, axis=2) for part in (keep, ink))
    for part in both:
        part.setflags(write=False)
    return both[0], both[1]


@lru_cache(maxsize=32)
def _rounded_box(width: int, height: int) -> UInt8Array:
    """(height, width) mask, 255 inside a box with rounded corners, read-only."""
    radius = max(1, min(width, height, 64) // 8)
    mask = np.zeros((height, width), dtype=np.uint8)
    cv2.rectangle(mask, (radius, 0), (width - 1 - radius, height - 1), 255, cv2.FILLED)
    cv2.rectangle(mask, (0, radius), (width - 1, height - 1 - radius), 255, cv2.FILLED)
    for x in (radius, width - 1 - radius):
        for y in (radius, height - 1 - radius):
            cv2.circle(mask, (x, y), radius, 255, cv2.FILLED)
    mask.setflags(write=False)
    return mask
