from __future__ import annotations

import numpy as np
import pytest

from tests.render.scenes import CAR, SKY, noise, segmentation
from vidseg.frames import NO_LABEL
from vidseg.render.contours import region_edges
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import OverlayRenderer


@pytest.mark.parametrize("both_sides", [False, True])
def test_edges_are_where_the_right_or_lower_neighbour_differs(both_sides: bool) -> None:
    shown = np.random.default_rng(2).integers(0, 3, (9, 11), dtype=np.uint8)
    expected = np.zeros_like(shown)
    for y, x in np.ndindex(shown.shape):
        for other in ((y, x + 1), (y + 1, x)):
            if other[0] < 9 and other[1] < 11 and shown[other] != shown[y, x]:
                expected[y, x] = 255
                if both_sides:
                    expected[other] = 255
    assert np.array_equal(region_edges(shown, both_sides=both_sides), expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (4, 1), (1, 4)])
def test_rows_and_columns_of_one_pixel_have_edges_too(shape: tuple[int, int]) -> None:
    shown = np.zeros(shape, dtype=np.uint8)
    assert not region_edges(shown).any()
    shown.flat[shown.size // 2 :] = 7
    assert np.count_nonzero(region_edges(shown)) == (shown.size > 1)


@pytest.mark.parametrize(("height", "width", "thickness"), [(720, 40, 1), (721, 730, 2), (64, 1280, 1)])
def test_outlines_are_one_pixel_wide_up_to_720_lines_and_two_above(height: int, width: int, thickness: int) -> None:
    image = np.full((height, width, 3), 90, dtype=np.uint8)
    label_map = np.full((height, width), SKY, dtype=np.uint8)
    label_map[:, width // 2 :] = CAR
    picture = OverlayRenderer(RenderOptions(contours=True)).render(image, segmentation(label_map))
    white = (picture == 255).all(axis=2)
    assert (white.sum(axis=1) == thickness).all()
    assert white[:, width // 2 - 1].all()


def test_the_rest_of_the_picture_is_the_plain_overlay() -> None:
    image, label_map = noise(30, 30), np.full((30, 30), SKY, dtype=np.uint8)
    label_map[10:20, 10:20] = CAR
    plain = OverlayRenderer(RenderOptions()).render(image, segmentation(label_map))
    picture = OverlayRenderer(RenderOptions(contours=True)).render(image, segmentation(label_map))
    edges = region_edges(label_map) > 0
    assert (picture[edges] == 255).all()
    assert np.array_equal(picture[~edges], plain[~edges])


def test_regions_that_are_not_shown_have_no_outlines_between_them() -> None:
    image, label_map = noise(20, 30), np.full((20, 30), SKY, dtype=np.uint8)
    label_map[:, 10:] = CAR
    label_map[:, 20:] = NO_LABEL
    hidden = OverlayRenderer(RenderOptions(contours=True, ignore_classes=(SKY, CAR)))
    assert np.array_equal(hidden.render(image, segmentation(label_map)), image)
