"""Outlines between regions."""

from __future__ import annotations

import cv2
import numpy as np

from vidseg.frames import UInt8Array

THIN_UP_TO = 720
"""Pictures whose shorter side is longer than this get outlines of two pixels, the others of one."""


def region_edges(shown: UInt8Array, *, both_sides: bool = False) -> UInt8Array:
    """(H, W), 255 on pixels whose right or lower neighbour has another id, else 0.

    With `both_sides` that neighbour is marked too, so that lines are two pixels wide. The picture's rim is no edge.
    """
    edges = np.zeros_like(shown)
    if shown.shape[1] > 1:
        across = np.asarray(cv2.compare(shown[:, :-1], shown[:, 1:], cv2.CMP_NE), dtype=np.uint8)
        edges[:, :-1] = across
        if both_sides:
            edges[:, 1:] |= across
    if shown.shape[0] > 1:
        down = np.asarray(cv2.compare(shown[:-1], shown[1:], cv2.CMP_NE), dtype=np.uint8)
        edges[:-1] |= down
        if both_sides:
            edges[1:] |= down
    return edges


def draw_contours(picture: UInt8Array, shown: UInt8Array) -> None:
    """Draw white outlines around the shown regions into `picture`, one or two pixels wide by its size."""
    edges = region_edges(shown, both_sides=min(shown.shape) > THIN_UP_TO)
    cv2.bitwise_or(picture, cv2.cvtColor(edges, cv2.COLOR_GRAY2RGB), dst=picture)
