"""The connected regions of a label map, and as detections where a network has no queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, BoolArray, Detection, DetectionMode, UInt8Array

SPECK = 1 / 5000
"""Regions that cover less of the picture are no detections: 184 pixels of 1280x720."""


@dataclass(frozen=True, slots=True)
class Region:
    """A connected region (corners touch): its class, its mask (H, W), its pixels, and its box with the last ones."""

    class_id: int
    mask: BoolArray
    area: int
    bbox: tuple[int, int, int, int]


def regions(label_map: UInt8Array, min_area: int) -> Iterator[Region]:
    """The connected regions of at least `min_area` pixels in an (H, W) uint8 label map, by class id."""
    for class_id in np.unique(label_map):
        if class_id == NO_LABEL:
            continue
        count, parts, stats, _ = cv2.connectedComponentsWithStats((label_map == class_id).view(np.uint8))
        for part in range(1, count):
            x, y, width, height, area = (int(value) for value in stats[part])
            if area >= min_area:
                yield Region(int(class_id), parts == part, area, (x, y, x + width - 1, y + height - 1))


def region_detections(
    label_map: UInt8Array, levels: UInt8Array | None, names: tuple[str, ...]
) -> Callable[[float, DetectionMode], list[Detection]]:
    """What `Segmentation.detections` does where there are no queries: regions that are no specks, the largest first.

    Args:
        label_map: (H, W) uint8 class ids.
        levels: (H, W) confidence times 255; a region's is the mean, without them there is none.
        names: of the classes; other values of the map are no regions.
    Returns:
        A function of threshold and mode, which raises ConfigError for an unknown mode.
    """

    def compute(threshold: float, mode: DetectionMode) -> list[Detection]:
        if mode not in ("all_pixels", "per_mask"):
            raise ConfigError(f"detections: mode is {mode!r}; accepted: all_pixels, per_mask")
        found = []
        least = max(2, round(SPECK * label_map.size))
        for region in sorted(regions(label_map, least), key=lambda region: -region.area):
            if region.class_id >= len(names):
                continue
            conf = None if levels is None else float(levels[region.mask].mean()) / 255
            if conf is None or conf > threshold:
                name = names[region.class_id]
                found.append(Detection(region.bbox, conf, region.class_id, name, region.mask))
        return found

    return compute
