from __future__ import annotations

import numpy as np
import pytest

from tests.render.scenes import CAR, ROAD, SKY, noise, street
from vidseg.frames import NO_LABEL
from vidseg.labels import ade20k
from vidseg.render.region_labels import draw_region_labels, find_regions


@pytest.mark.parametrize(("height", "width"), [(120, 160), (480, 640), (1080, 1920), (333, 217)])
def test_the_point_of_a_region_lies_inside_it(height: int, width: int) -> None:
    label_map = street(height, width)
    regions = find_regions(label_map)
    assert sorted(region.class_id for region in regions) == [SKY, ROAD, CAR]
    for region in regions:
        assert label_map[region.y, region.x] == region.class_id


def test_the_point_of_a_ring_is_on_the_ring_and_away_from_its_edges() -> None:
    y, x = np.mgrid[:200, :200]
    radius = np.hypot(y - 100, x - 100)
    label_map = np.where((radius > 50) & (radius < 90), CAR, NO_LABEL).astype(np.uint8)
    (region,) = find_regions(label_map)
    assert 60 < np.hypot(region.y - 100, region.x - 100) < 80
    assert region.share == pytest.approx((label_map == CAR).mean(), rel=0.1)


def test_two_regions_of_one_class_are_two_and_small_ones_none() -> None:
    label_map = np.full((150, 150), NO_LABEL, dtype=np.uint8)
    label_map[10:60, 10:60] = CAR
    label_map[80:110, 80:140] = CAR
    label_map[120:130, 10:20] = CAR  # 0.4 %
    assert [(region.x // 75, region.y // 75) for region in find_regions(label_map)] == [(0, 0), (1, 1)]


def test_regions_that_touch_at_a_corner_stay_apart() -> None:
    label_map = np.full((100, 100), SKY, dtype=np.uint8)
    label_map[:50, :50] = CAR
    label_map[50:, 50:] = CAR
    assert sorted(region.class_id for region in find_regions(label_map)) == [SKY, SKY, CAR, CAR]


def test_nothing_to_see_has_no_regions() -> None:
    assert find_regions(np.full((50, 50), NO_LABEL, dtype=np.uint8)) == []


def test_names_are_written_near_the_points_in_white_with_a_dark_rim() -> None:
    label_map = street(480, 640)
    picture = np.full((480, 640, 3), 128, dtype=np.uint8)
    draw_region_labels(picture, label_map, ade20k())
    for region in find_regions(label_map):
        near = picture[region.y - 20 : region.y + 20, region.x - 60 : region.x + 60]
        assert (near > 230).all(axis=2).sum() > 20
        assert (near < 80).all(axis=2).sum() > 20
    changed = (picture != 128).any(axis=2)
    assert changed.sum() < 0.03 * changed.size


def test_names_keep_off_the_occupied_box_and_off_each_other() -> None:
    label_map = street(480, 640)
    car = next(region for region in find_regions(label_map) if region.class_id == CAR)
    occupied = (car.x - 100, car.y - 40, 200, 80)
    picture = np.full((480, 640, 3), 128, dtype=np.uint8)
    draw_region_labels(picture, label_map, ade20k(), occupied=occupied)
    x, y, width, height = occupied
    assert (picture[y : y + height, x : x + width] == 128).all()
    assert (picture != 128).any()


def test_names_do_not_cross_the_border_of_the_picture() -> None:
    label_map = np.full((400, 400), NO_LABEL, dtype=np.uint8)
    label_map[:, :20] = CAR
    label_map[:, 380:] = SKY
    picture = np.full((400, 400, 3), 128, dtype=np.uint8)
    draw_region_labels(picture, label_map, ade20k())
    assert (picture[:, 1:60] > 230).all(axis=2).any() and (picture[:, 340:399] > 230).all(axis=2).any()
    assert (picture[:, [0, 399]] == 128).all()


@pytest.mark.parametrize("size", [(16, 16), (8, 200), (200, 8), (1, 1)])
def test_names_that_do_not_fit_are_left_out(size: tuple[int, int]) -> None:
    picture = noise(*size)
    before = picture.copy()
    draw_region_labels(picture, np.full(size, SKY, dtype=np.uint8), ade20k())
    assert np.array_equal(picture, before)
