"""Pictures as bytes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vidseg.render.encode import encode_picture


def decode(data: bytes):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@pytest.fixture
def picture():
    x, y = np.meshgrid(np.arange(64), np.arange(40))
    return np.dstack((x, y, np.full_like(x, 200))).astype(np.uint8)


def test_png_keeps_every_pixel(picture):
    data = encode_picture(picture, "png")
    assert data.startswith(b"\x89PNG") and np.array_equal(decode(data), picture)


def test_jpeg_looks_the_same(picture):
    data = encode_picture(picture, "jpeg")
    assert data.startswith(b"\xff\xd8") and np.abs(decode(data).astype(int) - picture).mean() < 4


def test_a_wide_picture_is_made_smaller_in_proportion_and_a_narrow_one_is_left(picture):
    assert decode(encode_picture(picture, "png", max_width=32)).shape == (20, 32, 3)
    assert decode(encode_picture(picture, "png", max_width=64)).shape == (40, 64, 3)
    assert decode(encode_picture(np.zeros((1, 900, 3), np.uint8), "png", max_width=32)).shape == (1, 32, 3)
