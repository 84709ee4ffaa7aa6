from __future__ import annotations

import numpy as np
import pytest

from tests.render.scenes import noise
from vidseg.render.osd import draw_rows, status_rows
from vidseg.render.window_state import KEY_HELP, WindowStatus


def test_known_figures_are_listed_and_unknown_ones_left_out() -> None:
    assert status_rows(WindowStatus(), "mask") == [("view", "mask")]
    assert status_rows(WindowStatus(29.97, 41.6, 0, 7, 3725.5), "overlay") == [
        ("rate", "30.0 fps"),
        ("latency", "42 ms"),
        ("dropped", "0 frames"),
        ("frame", "7"),
        ("time", "1:02:05.50"),
        ("view", "overlay"),
    ]
    assert status_rows(WindowStatus(speed=0.5, costs_ms={"model": 12.34, "window": 5.0}), "mask") == [
        ("speed", "0.5x"),
        ("view", "mask"),
        ("model", "12.3 ms a frame"),
        ("window", "5.0 ms a frame"),
    ]


def test_rows_are_drawn_at_the_top_left_one_panel_below_the_other() -> None:
    picture = np.full((480, 640, 3), 200, dtype=np.uint8)
    bottom = draw_rows(picture, [("paused",)])
    assert 0 < bottom < 60
    lower = draw_rows(picture, [("rate", "30 fps"), ("dropped", "3 frames")], top=bottom)
    assert bottom + 20 < lower < 200
    changed = (picture != 200).any(axis=2)
    assert changed[:lower, :200].any() and not changed[lower:].any() and not changed[:, 320:].any()
    assert (picture[:lower] > 225).all(axis=2).sum() > 40


@pytest.mark.parametrize("size", [(480, 640), (270, 480), (240, 320), (1080, 1920)])
def test_the_whole_key_help_fits_into_common_sizes(size: tuple[int, int]) -> None:
    picture = noise(*size)
    assert 0 < draw_rows(picture, KEY_HELP) <= size[0]


@pytest.mark.parametrize("size", [(16, 16), (1, 500), (100, 50)])
def test_what_does_not_fit_is_not_drawn(size: tuple[int, int]) -> None:
    picture = noise(*size)
    before = picture.copy()
    assert draw_rows(picture, KEY_HELP, top=3) == 3
    assert np.array_equal(picture, before)
