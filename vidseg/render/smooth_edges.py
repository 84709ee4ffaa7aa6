"""Masks of large pictures with round edges: enlarged from a network's coarse grid they are made of straight pieces."""

from __future__ import annotations

import cv2
import numpy as np

from vidseg.frames import UInt8Array

LEAST_SIDE = 2000
"""Pictures of a smaller shorter side stay as they are: the pieces are short there, and a frame costs less."""
_SIDE = 1080
"""Smoothing is done at about this shorter side: at half of 3840x2160."""
_ROUNDS = 8
_WINDOW = 5
"""Pixels; of larger windows OpenCV's median takes twenty times as long, so that many small ones are cheaper."""


def with_smooth_edges(label_map: UInt8Array) -> UInt8Array:
    """The (H, W) label map to be drawn; of large pictures with corners rounded, others are returned as they are.

    Between two classes the median of a window is the class of most of its pixels: its repetition moves an edge towards
    its centre of curvature. Straight edges stay, and what is thinner than some five pixels of 1920x1080 goes.
    """
    height, width = label_map.shape
    if min(height, width) < LEAST_SIDE:
        return label_map
    step = 1
    while min(height, width) // (2 * step) >= _SIDE:
        step *= 2
    smooth = np.ascontiguousarray(label_map[::step, ::step])
    for _ in range(_ROUNDS):
        smooth = _median(smooth)
    while step > 1:
        step //= 2
        size = (-(-width // step), -(-height // step))
        smooth = _median(np.asarray(cv2.resize(smooth, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8))
    return smooth


def _median(label_map: UInt8Array) -> UInt8Array:
    return np.asarray(cv2.medianBlur(label_map, _WINDOW), dtype=np.uint8)
