"""From shares to confidences and back."""

import math

import numpy as np
import pytest

from vidseg.confidence import IDENTITY, STEPS, Calibration, least_level, parse_calibration

CURVE = Calibration(((0.0, 0.1), (0.5, 0.3), (1.0, 0.9)))


def test_levels_are_the_curve_rounded_down():
    table = CURVE.table
    assert (table[0], table[-1]) == (25, 229) and table[128] == 77  # 255 x (0.1, 0.9, 0.3 + 1.2 x (128/255 - 0.5))
    assert (np.diff(table.astype(int)) >= 0).all() and len(table) == STEPS + 1
    assert (IDENTITY.table == np.arange(256)).all()


@pytest.mark.parametrize("curve", [IDENTITY, CURVE])
@pytest.mark.parametrize("confidence", [0.0, 0.05, 0.1, 0.3, 0.5, 0.77, 0.9])
def test_what_is_below_the_least_share_is_what_has_a_lower_level(curve, confidence):
    shares = np.linspace(0, 1, 5001)
    levels = curve.table[np.floor(shares * STEPS + 0.5).astype(int)]
    assert ((shares < curve.least_share(confidence)) == (levels < least_level(confidence))).all()


def test_a_confidence_that_is_never_reached_leaves_nothing():
    assert CURVE.least_share(0.95) == math.inf and IDENTITY.least_share(1) <= 1


def test_a_curve_comes_back_from_plain_values():
    assert parse_calibration(CURVE.as_lists()) == CURVE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "needs a list"),
        ([[0, 0], [1, 2]], "both 0 to 1"),
        ([[0, 0], [0.9, 1]], "from 0 to 1"),
        ([[0, 0], [0.5, 0.5], [0.5, 0.6], [1, 1]], "shares must rise"),
        ([[0, 0.5], [1, 0.4]], "must not fall"),
        ([[0, 0], [1]], "not a pair"),
        ([[0, 0], [1, math.nan]], "both 0 to 1"),
        ([], "both 0 to 1"),
    ],
)
def test_what_is_no_rising_curve_is_refused(value, text):
    with pytest.raises(ValueError, match=text):
        parse_calibration(value)
