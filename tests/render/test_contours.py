from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.render.scenes import CAR, ROAD, SKY, WALL, noise, segmentation, street
from vidseg.frames import NO_LABEL
from vidseg.render.contours import region_edges, without_specks
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
    assert OverlayRenderer().render(np.zeros((*shape, 3), np.uint8), segmentation(shown)).shape == (*shape, 3)
    shown.flat[shown.size // 2 :] = 7
    assert np.count_nonzero(region_edges(shown)) == (shown.size > 1)


@pytest.mark.parametrize(
    ("height", "width", "thickness"), [(720, 40, 1), (721, 730, 2), (64, 1280, 1), (1441, 1450, 3)]
)
def test_outlines_are_one_pixel_wide_for_each_720_lines_begun(height: int, width: int, thickness: int) -> None:
    image = np.full((height, width, 3), 90, dtype=np.uint8)
    label_map = np.full((height, width), SKY, dtype=np.uint8)
    label_map[:, width // 2 :] = CAR
    picture = OverlayRenderer(RenderOptions(contours=True)).render(image, segmentation(label_map))
    white = (picture == 255).all(axis=2)
    assert (white[1:-1].sum(axis=1) == thickness).all()
    assert white[:, width // 2 - 1].all()


def test_the_rest_of_the_picture_is_the_plain_overlay() -> None:
    image, label_map = noise(30, 30), np.full((30, 30), SKY, dtype=np.uint8)
    label_map[10:20, 10:20] = CAR
    plain = OverlayRenderer(RenderOptions(edges=False)).render(image, segmentation(label_map))
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


def test_specks_have_no_outline_and_leave_no_gap_in_that_of_others() -> None:
    image, label_map = np.full((400, 500, 3), 90, np.uint8), np.full((400, 500), SKY, np.uint8)
    label_map[:, 250:] = CAR
    plain = label_map.copy()
    label_map[100:106, 100:106] = CAR  # 36 of 200000 pixels, inside
    label_map[200:205, 248:253] = NO_LABEL  # across the line between two regions
    label_map[0, 30:36] = CAR  # at the upper rim
    label_map[300:310, 100:110] = CAR  # large enough
    plain[300:310, 100:110] = CAR
    expected = region_edges(plain)
    picture = OverlayRenderer(RenderOptions(contours=True, opacity=0.0)).render(image, segmentation(label_map))
    drawn = (picture == 255).all(axis=2)
    away = np.ones_like(drawn)
    away[195:210, 245:256] = False
    assert np.array_equal(drawn[away], expected[away] > 0)
    assert drawn[195:210, 245:256].any(axis=1).all()


def test_regions_are_specks_by_their_pixels() -> None:
    shown = np.full((100, 100), SKY, np.uint8)  # a speck has less than 2 pixels
    shown[10, 10] = shown[20, 20] = shown[20, 21] = CAR
    filled = without_specks(shown)
    assert filled[10, 10] == SKY and (filled[20, 20:22] == CAR).all()


@pytest.mark.parametrize("value", [0, 120, 255])
def test_a_faint_line_tells_regions_apart_whatever_the_source_and_the_colours(value: int) -> None:
    """Wall over wall colour: the blend alone cannot be seen."""
    image = np.full((40, 60, 3), value, np.uint8)
    label_map = np.full((40, 60), WALL, np.uint8)
    label_map[:, 30:] = ROAD
    picture = OverlayRenderer(RenderOptions()).render(image, segmentation(label_map)).astype(int)
    plain = OverlayRenderer(RenderOptions(edges=False)).render(image, segmentation(label_map)).astype(int)
    assert abs(picture[:, 29] - picture[:, 30]).min() > 60
    changed = (picture != plain).any(axis=2)
    assert changed[:, 29:31].all() and not changed[:, :29].any() and not changed[:, 31:].any()


@pytest.mark.parametrize(("side", "light", "dark"), [(240, 1, 1), (720, 1, 1), (1080, 2, 1), (2160, 3, 3)])
def test_the_faint_line_is_as_wide_as_the_picture_asks_for_and_whole(side: int, light: int, dark: int) -> None:
    image = np.full((side, side, 3), 120, np.uint8)
    label_map = np.full((side, side), WALL, np.uint8)
    label_map[:, side // 2 :] = ROAD
    options = RenderOptions(opacity=0.5)
    for labels, turned in ((label_map, False), (np.ascontiguousarray(label_map.T), True)):
        drawn = OverlayRenderer(options).render(image, segmentation(labels)).astype(int)
        plain = OverlayRenderer(RenderOptions(opacity=0.5, edges=False)).render(image, segmentation(labels)).astype(int)
        change = (drawn - plain).sum(axis=2)
        change = change.T if turned else change
        middle = side // 2
        assert (change[:, middle - light : middle] > 0).all() and (change[:, middle : middle + dark] < 0).all()
        assert not change[:, : middle - light].any() and not change[:, middle + dark :].any()


@pytest.mark.parametrize("options", [{"opacity": 0.0}, {"opacity": 1.0}, {"view": "mask"}])
def test_where_the_source_or_the_colours_are_asked_for_there_is_no_faint_line(options: dict[str, Any]) -> None:
    image, label_map = noise(40, 60), street(40, 60)
    pictures = [
        OverlayRenderer(RenderOptions(edges=edges, **options)).render(image, segmentation(label_map))
        for edges in (True, False)
    ]
    assert np.array_equal(*pictures)


def test_the_faint_line_is_the_same_across_the_bands_in_which_it_is_drawn() -> None:
    """By definition: light left of and above a change, dark on the other side of it."""
    label_map = np.random.default_rng(1).choice(np.array([SKY, CAR, NO_LABEL], np.uint8), (150, 20))
    image = np.full((150, 20, 3), 100, np.uint8)
    picture = OverlayRenderer(RenderOptions()).render(image, segmentation(label_map)).astype(float)
    plain = OverlayRenderer(RenderOptions(edges=False)).render(image, segmentation(label_map)).astype(float)
    light = region_edges(label_map) > 0
    dark = (region_edges(label_map, both_sides=True) > 0) & ~light
    expected = plain.copy()
    expected[light] = 0.35 * plain[light] + 0.65 * 255
    expected[dark] = 0.65 * plain[dark]
    expected[label_map == NO_LABEL] = 100
    assert np.abs(picture - expected).max() <= 1
