"""Class names on the regions they belong to."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from vidseg.frames import NO_LABEL, UInt8Array
from vidseg.labels import LabelSet
from vidseg.render.contours import region_edges
from vidseg.render.legend import Box
from vidseg.render.text import draw_haloed_text, halo_px, line_height, text_size_px, text_width

MIN_SHARE = 0.015
"""Connected regions that cover less of the picture get no name."""
_GRID = 180
"""Regions are sought on a grid of at least this many pixels along the shorter side."""


class Region(NamedTuple):
    """A connected region: its class, its share of the picture and a point well inside, in pixels."""

    class_id: int
    share: float
    x: int
    y: int


def find_regions(shown: UInt8Array) -> list[Region]:
    """The large connected regions of `shown` (H, W), largest first.

    One pass for all classes: pixels at a region's edge are taken out, what then hangs together is one region. The point
    is the one nearest to the region's centre of gravity among those that are nearly as far from any edge as possible,
    so it moves little from frame to frame.
    """
    step = max(1, min(shown.shape) // _GRID)
    small = np.ascontiguousarray(shown[::step, ::step])
    inside = ((region_edges(small) == 0) & (small != NO_LABEL)).view(np.uint8)
    # 4-connected: an edge pixel lies between any two regions along rows and columns, not across corners
    count, components, stats, centres = cv2.connectedComponentsWithStats(inside, connectivity=4)
    # a rim of zeros makes the picture's border an edge as well
    distance = cv2.distanceTransform(np.pad(inside, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    regions = []
    for component in range(1, count):
        share = float(stats[component, cv2.CC_STAT_AREA]) / small.size
        if share < MIN_SHARE:
            continue
        x, y, width, height = (int(value) for value in stats[component, :4])
        window = (slice(y, y + height), slice(x, x + width))
        depth = np.where(components[window] == component, distance[window], 0.0)
        ys, xs = np.nonzero(depth >= 0.8 * depth.max())
        nearest = int(np.argmin((xs + x - centres[component, 0]) ** 2 + (ys + y - centres[component, 1]) ** 2))
        row, column = int(ys[nearest]) + y, int(xs[nearest]) + x
        regions.append(Region(int(small[row, column]), share, column * step, row * step))
    return sorted(regions, key=lambda region: (-region.share, region.y, region.x))


def draw_region_labels(
    picture: UInt8Array, shown: UInt8Array, labels: LabelSet, *, occupied: Box | None = None, text_size: float = 1.0
) -> None:
    """Write the class names of the large regions into `picture`, inside it and apart from each other and `occupied`.

    Names that find no room are left out.

    Args:
        picture: (H, W, 3) uint8 RGB, drawn on.
        shown: (H, W) uint8 class ids, 255 where nothing is shown.
        occupied: a box that stays free, such as the legend's.
        text_size: factor for the size that the picture's own size gives.
    """
    height, width = picture.shape[:2]
    size_px = text_size_px(height, width, share=text_size / 34)
    margin = halo_px(size_px) + 1
    taken: list[Box] = [] if occupied is None else [occupied]
    for region in find_regions(shown):
        name = labels.names[region.class_id]
        box_width, box_height = text_width(name, size_px, bold=True) + 2 * margin, line_height(size_px) + 2 * margin
        if box_width > width or box_height > height:
            continue
        x = min(max(0, region.x - box_width // 2), width - box_width)
        y = min(max(0, region.y - box_height // 2), height - box_height)
        box = (x, y, box_width, box_height)
        if not any(_overlap(box, other) for other in taken):
            draw_haloed_text(picture, name, x + margin, y + margin, size_px)
            taken.append(box)


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
