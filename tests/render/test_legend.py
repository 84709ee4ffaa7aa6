from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.render.scenes import CAR, ROAD, SKY, noise, segmentation, street
from vidseg.frames import NO_LABEL
from vidseg.labels import ade20k
from vidseg.render.legend import Legend, class_shares, draw_confidence
from vidseg.render.options import LEGEND_PLACES, RenderOptions
from vidseg.render.overlay import OverlayRenderer

LABELS = ade20k()


def legend() -> Legend:
    return Legend(LABELS, range(len(LABELS)))


def test_shares_are_of_the_whole_picture_by_class_id() -> None:
    shares = class_shares(street(160, 160))
    assert list(shares) == [SKY, ROAD, CAR]
    assert shares[CAR] == pytest.approx(0.04)
    assert sum(shares.values()) == pytest.approx(7 / 8)


def test_shares_of_a_large_picture_come_from_a_grid_and_are_near() -> None:
    exact, large = class_shares(street(160, 320)), class_shares(street(1080, 1920))
    assert large == pytest.approx(exact, abs=0.01)


def test_classes_below_half_a_percent_are_left_out() -> None:
    shown = np.full((100, 100), SKY, dtype=np.uint8)
    shown[0, :49] = CAR
    assert list(class_shares(shown)) == [SKY]
    shown[0, :50] = CAR
    assert list(class_shares(shown)) == [SKY, CAR]


def test_panel_lies_at_the_top_right_with_one_swatch_per_class() -> None:
    picture, label_map = noise(480, 640), street(480, 640)
    before = picture.copy()
    box = legend().draw(picture, label_map)
    assert box is not None
    x, y, width, height = box
    assert x > 320 and x + width < 640 and 0 < y < 240 - height
    outside = np.ones((480, 640), dtype=bool)
    outside[y : y + height, x : x + width] = False
    assert np.array_equal(picture[outside], before[outside])
    panel = picture[y : y + height, x : x + width]
    tops = []
    for class_id in (SKY, ROAD, CAR):
        swatch = (panel == LABELS.palette[class_id]).all(axis=2)
        assert swatch.sum() > 60
        tops.append(np.flatnonzero(swatch.any(axis=1))[0])
    assert tops == sorted(tops)


def test_panel_is_dark_with_bright_text_on_a_white_picture() -> None:
    picture = np.full((480, 640, 3), 255, dtype=np.uint8)
    box = legend().draw(picture, np.full((480, 640), SKY, dtype=np.uint8))
    assert box is not None
    x, y, width, height = box
    panel = picture[y : y + height, x : x + width]
    assert np.median(panel) < 90
    text = panel[:, height:]  # right of the swatch
    assert (text.min(axis=2) > 200).sum() > 20


def test_panel_keeps_its_place_and_width_when_classes_come_and_go() -> None:
    one = legend().draw(noise(480, 640), np.full((480, 640), SKY, dtype=np.uint8))
    three = legend().draw(noise(480, 640), street(480, 640))
    assert one is not None and three is not None
    assert one[:3] == three[:3] and one[3] < three[3]


def test_only_shown_classes_are_listed() -> None:
    picture = OverlayRenderer(RenderOptions(opacity=0.0, legend=True, classes=(CAR,))).render(
        np.zeros((480, 640, 3), dtype=np.uint8), segmentation(street(480, 640))
    )
    assert (picture == LABELS.palette[CAR]).all(axis=2).any()
    assert not (picture == LABELS.palette[SKY]).all(axis=2).any()


def test_more_classes_than_rows_list_the_largest_and_stay_inside() -> None:
    shown = np.repeat(np.arange(100, dtype=np.uint8), 2 * 300).reshape(200, 300)
    shown[:40] = 99
    picture = noise(200, 300)
    box = legend().draw(picture, shown)
    assert box is not None
    x, y, width, height = box
    assert y + height <= 200 and x + width <= 300
    assert (picture[y : y + height, x : x + width] == LABELS.palette[99]).all(axis=2).sum() > 20


@pytest.mark.parametrize("size", [(16, 16), (40, 60), (1, 300), (300, 1)])
def test_where_there_is_no_room_nothing_is_drawn(size: tuple[int, int]) -> None:
    picture = noise(*size)
    before = picture.copy()
    assert legend().draw(picture, np.full(size, SKY, dtype=np.uint8)) is None
    assert np.array_equal(picture, before)


def test_nothing_in_the_picture_means_no_panel() -> None:
    picture = noise(480, 640)
    assert legend().draw(picture, np.full((480, 640), NO_LABEL, dtype=np.uint8)) is None


def test_no_class_left_to_show_means_no_panel() -> None:
    options = RenderOptions(legend=True, labels=True, contours=True, classes=(CAR,), ignore_classes=(CAR,))
    image = noise(480, 640)
    assert np.array_equal(OverlayRenderer(options).render(image, segmentation(street(480, 640))), image)


def test_the_largest_class_comes_first_and_equal_percentages_keep_their_order() -> None:
    shown = np.full((480, 640), CAR, np.uint8)
    shown[:120], shown[120:240] = ROAD, SKY
    shown[120, :20] = ROAD  # more than SKY, but the percentages are one
    picture = noise(480, 640)
    legend().draw(picture, shown)
    tops = [np.flatnonzero((picture == LABELS.palette[k]).all(axis=2).sum(axis=1) > 3)[0] for k in (CAR, SKY, ROAD)]
    assert tops == sorted(tops)


@pytest.mark.parametrize("place", LEGEND_PLACES)
def test_the_panel_lies_in_the_corner_that_is_asked_for(place: str) -> None:
    box = Legend(LABELS, range(150), place=place).draw(noise(480, 640), street(480, 640))
    assert box is not None
    x, y, width, height = box
    assert (x + width < 320, y + height < 240) == (place.endswith("left"), place.startswith("top"))
    assert min(x, y, 640 - x - width, 480 - y - height) >= 0


@pytest.mark.parametrize("place", LEGEND_PLACES)
def test_of_confidence_the_panel_shows_the_scale_and_no_class(place: str) -> None:
    label_map = street(480, 640)
    options = RenderOptions(view="confidence", legend=True, legend_place=place)
    even = replace(segmentation(label_map), levels=np.full((480, 640), 128, np.uint8))
    picture = OverlayRenderer(options).render(noise(480, 640), even)
    drawn = (picture != picture[240, 320]).any(axis=2)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    assert (rows[-1] < 240, columns[-1] < 320) == (place.startswith("top"), place.endswith("left"))
    ends = np.empty((1, 2, 3), np.uint8)
    draw_confidence(ends, np.array([[0, 255]], np.uint8))
    least, most = (np.argwhere((picture == colour).all(axis=2)) for colour in ends[0])
    assert len(least) > 5 and len(most) > 5 and least[:, 1].max() + 50 < most[:, 1].min()
    assert not any((picture == LABELS.palette[class_id]).all(axis=2).any() for class_id in (SKY, ROAD, CAR))


def test_confidence_is_drawn_in_viridis_whatever_else_is_drawn_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidseg.render.legend._STRIP_PIXELS", 3000)  # several strips, the last one smaller
    levels = np.tile(np.arange(256, dtype=np.uint8), (50, 1))
    expected = cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[..., ::-1]
    labels = np.full((50, 256), SKY, np.uint8)
    labels[:, 128:] = ROAD
    shown = {}
    for contours in (False, True):
        renderer = OverlayRenderer(RenderOptions(view="confidence", contours=contours))
        shown[contours] = renderer.render(noise(50, 256), replace(segmentation(labels), levels=levels))
    assert (shown[False] == expected).all()
    line = (shown[True] != expected).any(axis=(0, 2))
    assert line[120:136].any() and not line[:120].any() and not line[136:].any()


def test_without_room_or_confidence_there_is_no_scale() -> None:
    for size in ((16, 16), (40, 60), (1, 300), (300, 1)):
        picture = noise(*size)
        assert legend().draw_scale(picture) is None and np.array_equal(picture, noise(*size))
    picture = OverlayRenderer(RenderOptions(view="confidence", legend=True)).render(
        noise(480, 640), segmentation(street(480, 640))
    )
    assert not picture.any()


def test_text_size_makes_the_panel_and_the_class_names_larger() -> None:
    heights = []
    for text_size in (1.0, 1.5):
        box = Legend(LABELS, (SKY, ROAD, CAR), text_size=text_size).draw(noise(960, 1280), street(960, 1280))
        assert box is not None
        heights.append(box[3])
    assert heights[1] == pytest.approx(1.5 * heights[0], rel=0.1)
    image, label_map = np.zeros((480, 640, 3), np.uint8), np.full((480, 640), SKY, np.uint8)
    widths = []
    for text_size in (1.0, 2.0):
        options = RenderOptions(labels=True, opacity=0.0, text_size=text_size)
        columns = np.flatnonzero(OverlayRenderer(options).render(image, segmentation(label_map)).any(axis=(0, 2)))
        widths.append(int(columns[-1] - columns[0]))
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.2)
