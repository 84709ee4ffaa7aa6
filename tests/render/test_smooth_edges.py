"""Edges of masks in large pictures: round where a coarse grid made corners, and nothing else changes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.render.scenes import segmentation
from vidseg.frames import UInt8Array
from vidseg.labels import ade20k
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import OverlayRenderer
from vidseg.render.smooth_edges import with_smooth_edges

SKY, CAR = 2, 20


def polygon(height: int, width: int, corners: int = 4) -> UInt8Array:
    """A regular polygon of one class on another."""
    label_map = np.full((height, width), SKY, np.uint8)
    angles = 2 * np.pi * np.arange(corners) / corners + 0.2
    radius = min(height, width) / 12
    points = np.stack([width / 2 + radius * np.cos(angles), height / 2 + radius * np.sin(angles)], axis=1)
    cv2.fillPoly(label_map, [points.round().astype(np.int32)], CAR)
    return label_map


def sharpest_turn(label_map: UInt8Array) -> float:
    """How far the outline's corners are from the circle through most of them: its radius, largest over median."""
    outlines, _ = cv2.findContours((label_map == CAR).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = outlines[0][:, 0].astype(float)
    radius = np.linalg.norm(points - points.mean(axis=0), axis=1)
    return float(radius.max() / np.median(radius))


@pytest.mark.parametrize("size", [(2160, 3840), (3840, 2160), (2001, 3003)])
def test_corners_are_rounded_in_large_pictures(size: tuple[int, int]) -> None:
    label_map = polygon(*size)
    before = label_map.copy()
    smooth = with_smooth_edges(label_map)
    assert smooth.shape == size and smooth.dtype == np.uint8 and np.array_equal(label_map, before)
    assert sharpest_turn(smooth) < sharpest_turn(label_map) - 0.01
    assert 0 < (smooth != label_map).mean() < 0.002 and set(np.unique(smooth)) == {SKY, CAR}


def test_they_are_what_is_drawn() -> None:
    label_map = polygon(2000, 2100)
    drawn = OverlayRenderer(RenderOptions(view="mask")).render(
        np.zeros((2000, 2100, 3), np.uint8), segmentation(label_map)
    )
    assert np.array_equal(drawn, ade20k().palette[with_smooth_edges(label_map)])


def test_what_is_smaller_stays_to_the_pixel() -> None:
    label_map = polygon(1080, 1920)
    assert with_smooth_edges(label_map) is label_map


def test_straight_edges_stay_where_they_are() -> None:
    label_map = np.full((2160, 3840), SKY, np.uint8)
    label_map[:, 1000:] = CAR
    label_map[1500:] = 0
    changed = np.argwhere(with_smooth_edges(label_map) != label_map)
    far = np.abs(changed - (1500, 1000)).min(axis=1) > 1  # by a pixel, where every other one is looked at
    assert not far.any() or np.abs(changed[far] - (1500, 1000)).max() < 30


def test_what_is_hidden_keeps_to_the_masks_as_they_are() -> None:
    label_map = polygon(2000, 2100, corners=3)
    image = np.random.default_rng(0).integers(0, 256, (2000, 2100, 3), np.uint8)
    options = RenderOptions(blur_classes=(CAR,), blur_style="fill", blur_margin=0, opacity=0)
    drawn = OverlayRenderer(options).render(image, segmentation(label_map))
    assert not drawn[label_map == CAR].any()
