"""Outlines between regions."""

from __future__ import annotations

from math import ceil

import cv2
import numpy as np

from vidseg.frames import NO_LABEL, UInt8Array

LINES_PER_PIXEL = 720
"""Outlines are one pixel wide up to this shorter side, two up to twice that, and so on."""
SPECK_SHARE = 1 / 5000
"""Regions that cover less of the picture get no outline: 184 pixels at 1280x720."""
_LIGHT, _DARK = 0.65, 0.35
"""How much of white and black the faint edges have at most."""
_BAND = 128
"""Rows that are mixed at once, in memory that is taken once."""


def region_edges(shown: UInt8Array, *, both_sides: bool = False) -> UInt8Array:
    """(H, W), 255 on pixels whose right or lower neighbour has another id, else 0.

    With `both_sides` that neighbour is marked too, so that lines are two pixels wide. The picture's rim is no edge.
    """
    first, second = _line_sides(shown)
    return first | second if both_sides else first


def _line_sides(shown: UInt8Array) -> tuple[UInt8Array, UInt8Array]:
    """(H, W) each, 255 on the pixels of `region_edges`, and on the others that it marks on both sides."""
    first, second = np.zeros_like(shown), np.zeros_like(shown)
    if shown.shape[1] > 1:
        across = cv2.compare(shown[:, :-1], shown[:, 1:], cv2.CMP_NE)
        first[:, :-1], second[:, 1:] = across, across
    if shown.shape[0] > 1:
        down = cv2.compare(shown[:-1], shown[1:], cv2.CMP_NE)
        cv2.bitwise_or(first[:-1], down, dst=first[:-1])
        cv2.bitwise_or(second[1:], down, dst=second[1:])
    return first, np.asarray(cv2.subtract(second, first), np.uint8)


def draw_contours(picture: UInt8Array, shown: UInt8Array) -> None:
    """Draw white outlines around the shown regions into `picture`, as wide as its size asks for; none on specks.

    Args:
        picture: (H, W, 3) uint8 RGB, drawn on.
        shown: (H, W) uint8 class ids, 255 where nothing is shown.
    """
    width = ceil(min(shown.shape) / LINES_PER_PIXEL)
    edges = region_edges(without_specks(shown), both_sides=width > 1)
    if width > 2:
        edges = np.asarray(cv2.dilate(edges, np.ones((width - 1, width - 1), np.uint8)), np.uint8)
    cv2.bitwise_or(picture, cv2.cvtColor(edges, cv2.COLOR_GRAY2RGB), dst=picture)


def draw_edges(picture: UInt8Array, shown: UInt8Array, opacity: float) -> None:
    """Draw a faint line between regions into `picture`, light on one side and dark on the other, on any background.

    It is two pixels wide at 1280x720, three at 1920x1080 and six at 3840x2160, and never less than two.
    The line is strongest where colours and source are mixed half and half, and not there at opacity 0 and 1, where the
    source or the colours are what is asked for. Pixels where nothing is shown stay as they are. Arrays as for
    `draw_contours`; `opacity` from 0 to 1.
    """
    strength = 4 * opacity * (1 - opacity)
    if strength == 0:
        return
    line = max(2, round(2 * min(shown.shape) / LINES_PER_PIXEL))
    wide, narrow = line - line // 2, line // 2
    scratch = np.empty((_BAND, *picture.shape[1:]), np.uint8)
    for top in range(0, shown.shape[0], _BAND):
        before = min(top, wide)  # rows above and below belong to lines too
        around = shown[top - before : top + _BAND + wide]
        band = picture[top : top + _BAND]
        rows = slice(before, before + len(band))
        first, second = _line_sides(around)
        light = _widened(first, wide, (0, 0))  # to the left and upwards
        dark = cv2.subtract(_widened(second, narrow, (narrow - 1, narrow - 1)), light)
        hidden = (around == NO_LABEL).view(np.uint8) * np.uint8(255)  # cv2.compare takes a single pixel for a scalar
        for mask, share, beta in ((light, _LIGHT * strength, 255), (dark, _DARK * strength, 0)):
            # all is mixed and a part of it copied: faster than to pick single pixels
            mixed = cv2.convertScaleAbs(band, dst=scratch[: len(band)], alpha=1 - share, beta=beta * share)
            cv2.copyTo(mixed, cv2.subtract(mask, hidden)[rows], band)


def _widened(lines: UInt8Array, pixels: int, anchor: tuple[int, int]) -> UInt8Array:
    """The lines of one pixel as wide as this, on one side."""
    if pixels == 1:
        return lines
    return np.asarray(cv2.dilate(lines, np.ones((pixels, pixels), np.uint8), anchor=anchor), np.uint8)


def without_specks(shown: UInt8Array) -> UInt8Array:
    """`shown` with small regions filled up by what is above them, or beside them at the picture's upper rim."""
    least = SPECK_SHARE * shown.size
    filled = shown.copy()
    counts = cv2.calcHist([np.ascontiguousarray(shown)], [0], None, [256], [0, 256])
    for class_id in np.flatnonzero(counts):
        mask = (shown == class_id).view(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        for outline in outlines:
            # the area of a polygon through the middles of pixels, plus half of its rim and one, is that in pixels
            if cv2.contourArea(outline) + len(outline) / 2 + 1 >= least:
                continue
            points = outline[:, 0]
            x, y = points[points[:, 1].argmin()]
            left = points[:, 0].argmin()
            if y > 0:
                around = filled[y - 1, x]
            elif points[left, 0] > 0:
                around = filled[points[left, 1], points[left, 0] - 1]
            else:
                continue
            cv2.drawContours(filled, [outline], -1, int(around), cv2.FILLED)
    return filled
