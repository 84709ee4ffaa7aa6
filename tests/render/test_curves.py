import cv2
import numpy as np
import pytest

from vidseg.render.curves import curves_png, draw_curves

LOSS, MIOU = (31, 119, 180), (214, 90, 20)


def painted(picture, colour):
    """Rows and columns inside the frame that have exactly this colour."""
    rows, columns = np.nonzero((picture[41:430, 71:890] == colour).all(axis=2))
    return rows + 41, columns + 71


def test_a_falling_loss_falls_and_a_rising_score_rises_from_left_to_right():
    picture = draw_curves([(n, 20 / n) for n in range(1, 101)], [(50, 0.1), (100, 0.4)])
    assert picture.shape == (480, 960, 3) and picture.dtype == np.uint8
    rows, columns = painted(picture, LOSS)
    assert rows[columns < 150].mean() < 300 < rows[columns > 800].mean()
    rows, columns = painted(picture, MIOU)
    assert columns.min() > 450 and rows[columns < 520].mean() > rows[columns > 850].mean() + 100


@pytest.mark.parametrize(
    ("loss", "miou"),
    [([], []), ([(1, 5.0)], []), ([], [(3, 0.0)]), ([(1, 2.0), (2, 2.0)], []), ([(1, float("nan")), (2, 1.0)], [])],
)
def test_few_flat_or_broken_values_are_drawn_without_complaint(loss, miou):
    code = np.frombuffer(curves_png(loss, miou), dtype=np.uint8)
    assert cv2.imdecode(code, cv2.IMREAD_COLOR).shape == (480, 960, 3)
