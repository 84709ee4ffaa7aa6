import numpy as np
import pytest

from tests.motion.moving import texture, window
from vidseg.motion.flow import BackwardFlow, chained, likeness, looked_up, resized_flow, small_gray


@pytest.mark.parametrize("careful", [False, True])
@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (3, 0), (0, -2), (-5, 4)])
def test_flow_points_back_to_where_things_were(careful, dx, dy):
    picture = texture(1)
    before, now = (small_gray(window(picture, 40 + i * dx, 40 + i * dy)) for i in (0, 1))
    flow = BackwardFlow(careful=careful).between(now, before)
    # the window moved by (dx, dy) over the picture, so a thing at p was at p + (dx, dy)
    assert np.abs(np.median(flow[16:-16, 16:-16], axis=(0, 1)) - [dx, dy]).max() < 0.25


@pytest.mark.parametrize("size_hw", [(1, 1), (4, 6), (2000, 10), (10, 2000), (33, 35), (1080, 1920)])
def test_any_size_of_frame_has_a_small_picture_that_can_be_searched(size_hw):
    gray = small_gray(np.full((*size_hw, 3), 90, np.uint8))
    assert gray.dtype == np.uint8 and min(gray.shape) >= 32 and max(gray.shape) == 192 and (gray == 90).all()
    assert BackwardFlow().between(gray, gray).shape == (*gray.shape, 2)


def test_looking_up_is_the_plain_loop_with_repeated_edges():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 150, (7, 9), dtype=np.uint8)
    flow = rng.uniform(-3, 3, (7, 9, 2)).astype(np.float32)
    moved = looked_up(labels, flow, nearest=True)
    for y in range(7):
        for x in range(9):
            row, column = np.clip([round(y + float(flow[y, x, 1])), round(x + float(flow[y, x, 0]))], 0, [6, 8])
            assert moved[y, x] == labels[row, column]


def test_two_steps_chained_lead_where_the_steps_lead_one_after_the_other():
    rows, columns = np.mgrid[:40, :60].astype(np.float32)
    earlier = np.stack([0.1 * columns, -0.05 * rows], axis=-1)
    step = np.full((40, 60, 2), (2.5, 1.5), np.float32)
    whole = chained(earlier, step)
    expected = np.stack([2.5 + 0.1 * (columns + 2.5), 1.5 - 0.05 * (rows + 1.5)], axis=-1)
    assert np.abs(whole - expected)[:-3, :-3].max() < 1e-2  # remap rounds positions to 1/32 pixel


def test_flow_on_another_grid_counts_in_its_pixels():
    flow = np.full((10, 20, 2), (1, 2), np.float32)
    assert np.allclose(resized_flow(flow, (30, 40)), (2, 6)) and np.allclose(resized_flow(flow, (5, 5)), (0.25, 1))


def test_likeness_ignores_exposure_and_knows_pictures_without_structure():
    gray, other = small_gray(window(texture(1), 20, 20)), small_gray(window(texture(2), 20, 20))
    flat = np.full_like(gray, 7)
    assert likeness(gray, gray) == pytest.approx(1) and likeness(gray, gray // 2 + 40) > 0.99
    assert abs(likeness(gray, other)) < 0.4
    assert likeness(flat, flat + 90) == 1 and likeness(gray, flat) == likeness(flat, gray) == 0
