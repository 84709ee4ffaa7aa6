import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidseg.segmentation.preprocess import MIN_SIDE, SIZE_MULTIPLE, network_size, to_network


@pytest.mark.parametrize(
    ("size", "imgsz", "expected"),
    [
        ((720, 1280), 384, (216, 384)),
        ((1280, 720), 384, (384, 216)),
        ((480, 640), 640, (480, 640)),
        ((16, 16), 64, (64, 64)),
        ((10, 4000), 512, (32, 512)),
    ],
)
def test_long_side_is_imgsz_and_aspect_is_kept(size, imgsz, expected):
    assert network_size(*size, imgsz) == expected


@given(st.integers(16, 4000), st.integers(16, 4000), st.integers(64, 1024))
def test_sides_are_multiples_and_aspect_is_within_half_a_multiple(height, width, imgsz):
    h, w = network_size(height, width, imgsz)
    assert h % SIZE_MULTIPLE == w % SIZE_MULTIPLE == 0 and min(h, w) >= MIN_SIDE
    scale = imgsz / max(height, width)
    assert abs(max(h, w) - imgsz) <= SIZE_MULTIPLE / 2
    assert min(h, w) == MIN_SIDE or abs(min(h, w) - min(height, width) * scale) <= SIZE_MULTIPLE / 2


def test_a_picture_of_the_right_size_is_passed_through_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    assert np.array_equal(to_network(image, (40, 48))[0].permute(1, 2, 0).numpy(), image)


def test_shrinking_averages_so_that_fine_patterns_turn_gray():
    image = np.zeros((256, 256, 3), np.uint8)
    image[::2] = 255
    small = to_network(image, (32, 32))
    assert small.shape == (1, 3, 32, 32) and abs(small.float().mean() - 127.5) < 2 and small.float().std() < 6


def test_read_only_pictures_are_accepted():
    image = np.full((64, 64, 3), 9, np.uint8)
    image.setflags(write=False)
    assert (to_network(image, (32, 32)) == 9).all()
