"""Drawn pictures in another size."""

from __future__ import annotations

import numpy as np
import pytest

from vidseg.render.scaling import OutputSize, scaled


@pytest.mark.parametrize(
    ("text", "size", "made"),
    [
        ("640", (1280, 720), (640, 360)),
        ("640", (1080, 1920), (640, 1138)),
        ("640x360", (1000, 1000), (360, 360)),
        ("640x360", (1999, 500), (640, 160)),
        ("50%", (854, 480), (428, 240)),
        ("33.3%", (1920, 1080), (640, 360)),
        ("640", (320, 181), (320, 181)),
        ("200%", (320, 180), (320, 180)),
        ("1%", (64, 48), (2, 2)),
    ],
)
def test_proportions_stay_sides_are_even_and_nothing_grows(text, size, made) -> None:
    width, height = size
    assert OutputSize.parse(text).of((height, width)) == made[::-1]


@pytest.mark.parametrize(("text", "made"), [("640", (640, 360)), ("640x640", (640, 360)), ("150%", (480, 270))])
def test_small_ones_grow_where_that_is_asked_for(text, made) -> None:
    assert OutputSize.parse(text, enlarge=True).of((180, 320)) == made[::-1]


def test_small_pictures_are_averages_and_a_size_that_fits_is_left_alone() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[::2] = 200
    small = scaled(picture, OutputSize.parse("50%"))
    assert small.shape == (20, 30, 3) and (small == 100).all()
    assert scaled(picture, OutputSize.parse("60")) is picture


def test_what_is_cut_away_lends_no_colour() -> None:
    picture = np.zeros((40, 40, 4), np.uint8)
    picture[:, 15:] = (200, 100, 50, 255)
    small = scaled(picture, OutputSize.parse("20"))
    assert np.unique(small[..., 3]).tolist() == [0, 128, 255]
    assert np.abs(small[small[..., 3] > 0][:, :3].astype(int) - (200, 100, 50)).max() <= 1
