"""Pictures of several streams in one."""

from __future__ import annotations

import numpy as np
import pytest

from vidseg.frames import NO_LABEL, Segmentation
from vidseg.render.grid import LARGEST_HW, TiledPainter, layout
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import OverlayRenderer

HD, SMALL, PORTRAIT = (720, 1280), (90, 160), (1280, 720)


@pytest.mark.parametrize(
    ("count", "size", "rows_and_columns"),
    [
        (1, HD, (1, 1)),
        (2, HD, (1, 2)),
        (3, HD, (2, 2)),
        (4, HD, (2, 2)),
        (5, HD, (2, 3)),
        (9, HD, (3, 3)),
        (16, HD, (4, 4)),
        (4, SMALL, (2, 2)),
        (3, PORTRAIT, (1, 3)),
    ],
)
def test_cells_are_as_large_as_they_can_be(count, size, rows_and_columns):
    rows, columns, cell = layout(count, [size] * count)
    assert (rows, columns) == rows_and_columns
    assert rows * cell[0] <= LARGEST_HW[0] + 2 * rows and columns * cell[1] <= LARGEST_HW[1] + 2 * columns
    assert cell[1] / cell[0] == pytest.approx(size[1] / size[0], rel=0.02)
    assert cell[0] <= size[0], "small pictures are not made larger"


def test_one_strange_shape_does_not_decide_for_all():
    assert layout(3, [HD, (100, 1000), HD])[2] == layout(3, [HD] * 3)[2]


def test_tiny_streams_get_cells_in_which_a_name_can_be_read():
    cell = layout(2, [(16, 16)])[2]
    assert cell[1] >= 128


def test_pictures_keep_their_proportions_and_stand_in_the_middle():
    painter = TiledPainter(["wide", "tall"], [HD, PORTRAIT])
    for number, size in enumerate((HD, PORTRAIT)):
        picture = painter.fit(np.zeros((*size, 3), np.uint8))
        height, width = picture.shape[:2]
        assert width / height == pytest.approx(size[1] / size[0], rel=0.02)
        assert height == painter.cell_hw[0] or width == painter.cell_hw[1]
        top, left, bottom, right = painter.tile_box(number, (height, width))
        assert (bottom - top, right - left) == (height, width)
        assert top >= 0 and bottom <= painter.size_hw[0] and left >= 0 and right <= painter.size_hw[1]


def test_the_grid_has_each_tile_and_its_labels_at_their_place_and_nothing_elsewhere():
    painter = TiledPainter(["a", "b", "c"], [SMALL] * 3)
    tiles = [(np.full((*SMALL, 3), 50 * (n + 1), np.uint8), np.full(SMALL, n, np.uint8)) for n in range(3)]
    image, label_map, as_is = painter.compose(tiles)
    assert image.shape == (*painter.size_hw, 3) and label_map.shape == painter.size_hw
    assert all(side % 2 == 0 for side in painter.size_hw)
    left_over = np.ones(painter.size_hw, bool)
    for n in range(3):
        top, left, bottom, right = painter.tile_box(n, SMALL)
        assert (image[top:bottom, left:right] == 50 * (n + 1)).all()
        assert (label_map[top:bottom, left:right] == n).all()
        left_over[top:bottom, left:right] = False
    assert (label_map[left_over] == NO_LABEL).all()
    covered = np.zeros(painter.size_hw, int)
    for top, left, bottom, right in as_is:
        covered[top:bottom, left:right] += 1
    assert np.array_equal(covered, left_over.astype(int)), "what is no tile is told, once"


def test_each_name_is_its_own_and_a_long_one_stays_in_its_strip():
    names = ["cam0", "rtsp://camera/" + 30 * "a-very-long-name/"]
    painter = TiledPainter(names, [SMALL] * 2)
    image, _, _ = painter.compose([])
    first, second = (painter.tile_box(number, painter.cell_hw) for number in range(2))
    strips = [image[: box[0], box[1] : box[3]] for box in (first, second)]
    assert all(strip.max() > 100 for strip in strips) and not np.array_equal(*strips)
    assert image[:, first[3] : second[1]].max() < 30, "the gap between the columns is empty"


def test_a_card_covers_its_tile_and_has_no_labels():
    painter = TiledPainter(["a", "b"], [SMALL, None])
    last = np.full((*SMALL, 3), 200, np.uint8)
    cards = [painter.card(last, "broke off"), painter.card(None, "connecting")]
    _image, label_map, as_is = painter.compose([(card, None) for card in cards])
    assert (label_map == NO_LABEL).all()
    assert sum((bottom - top) * (right - left) for top, left, bottom, right in as_is) == label_map.size, "all of it"
    assert cards[1].shape[:2] == painter.cell_hw
    assert not np.array_equal(cards[1], painter.card(None, "offline for 3 s, retrying"))


def test_a_plain_card_shows_nothing_of_the_last_picture():
    painter = TiledPainter(["a"], [SMALL], plain=True)
    bright, dark = (np.full((*SMALL, 3), grey, np.uint8) for grey in (250, 0))
    assert np.array_equal(painter.card(bright, "ended"), painter.card(dark, "ended"))


@pytest.mark.parametrize(
    "options", [{"view": "mask"}, {"blur_classes": (12,)}, {"view": "side"}, {"opacity": 1.0}, {"contours": True}]
)
def test_names_and_cards_are_shown_as_they_are_in_every_view(options):
    image = np.random.default_rng(1).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    box = (10, 20, 30, 50)
    found = Segmentation(np.full((40, 60), 3, np.uint8), 0, as_is=(box,))
    picture = OverlayRenderer(RenderOptions(**options)).render(image, found)
    part = (slice(10, 30), slice(20, 50))
    assert np.array_equal(picture[:, -60:][part], image[part])
    assert np.array_equal(picture[:, :60][part], image[part])
    assert not np.array_equal(picture[:, -60:], image)


@pytest.mark.parametrize("style", ["pixelate", "blur", "fill"])
def test_hiding_in_one_tile_leaves_its_neighbours_and_the_names_alone(style):
    painter = TiledPainter(["a", "b"], [SMALL] * 2)
    noise = np.random.default_rng(1).integers(0, 255, (*SMALL, 3), dtype=np.uint8)
    image, label_map, as_is = painter.compose(
        [(noise, np.full(SMALL, 3, np.uint8)), (noise, np.full(SMALL, 12, np.uint8))]
    )
    options = RenderOptions(blur_classes=(12,), blur_style=style, opacity=0.0, blur_margin=2)
    picture = OverlayRenderer(options).render(image, Segmentation(label_map, 0, as_is=as_is))
    (top, left, bottom, right), (_, start, _, end) = (painter.tile_box(number, SMALL) for number in range(2))
    assert np.array_equal(picture[top:bottom, left : right - 20], noise[:, :-20])
    assert np.array_equal(picture[:top], image[:top]), "the names"
    hidden = np.abs(picture[top:bottom, start:end].astype(int) - noise).mean()
    assert hidden > 40
