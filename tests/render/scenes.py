"""Pictures and label maps for the tests of drawing."""

from __future__ import annotations

import numpy as np

from vidseg.frames import NO_LABEL, Segmentation, UInt8Array
from vidseg.labels import ade20k

WALL, BUILDING, SKY, TREE, ROAD, PERSON, CAR = 0, 1, 2, 4, 6, 12, 20


def noise(height: int, width: int, seed: int = 0) -> UInt8Array:
    """A random picture."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def street(height: int, width: int) -> UInt8Array:
    """Sky above road, a car in the middle, nothing said in the left eighth."""
    label_map = np.full((height, width), SKY, dtype=np.uint8)
    label_map[height // 2 :] = ROAD
    label_map[height * 2 // 5 : height * 3 // 5, width * 2 // 5 : width * 3 // 5] = CAR
    label_map[:, : width // 8] = NO_LABEL
    return label_map


def segmentation(label_map: UInt8Array) -> Segmentation:
    """A segmentation of frame 0."""
    return Segmentation(label_map=label_map, frame_index=0)


def slow_overlay(image: UInt8Array, label_map: UInt8Array, opacity: float, shown: set[int]) -> UInt8Array:
    """The overlay by definition: one pixel after the other, in floating point."""
    palette = ade20k().palette
    expected = np.empty_like(image)
    for y, x in np.ndindex(label_map.shape):
        class_id = int(label_map[y, x])
        for channel in range(3):
            value = float(image[y, x, channel])
            if class_id in shown:
                value = (1.0 - opacity) * value + opacity * float(palette[class_id, channel])
            expected[y, x, channel] = round(value)
    return expected
