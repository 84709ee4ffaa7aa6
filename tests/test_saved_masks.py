from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import frame
from vidseg.saved_masks import FrameMark

units = st.fractions(min_value=Fraction(1, 10**9), max_value=10, max_denominator=10**9)


@given(st.integers(0, 10**12), st.integers(-(10**15), 10**15), units)
def test_a_mark_comes_back_from_its_row_exactly(index, pts, time_base):
    mark = FrameMark(index, pts, time_base)
    assert FrameMark.parse(mark.row()) == mark
    assert FrameMark.parse([*mark.row(), "more"]).seconds == pts * time_base


def test_a_row_tells_index_pts_unit_and_seconds():
    assert FrameMark.of(frame(7, pts=11)).row() == ("7", "11", "1/30", "0.366667")


@pytest.mark.parametrize(
    "columns",
    [[], ["1", "2", "1/30"], ["x", "2", "1/30", "0"], ["1", "2", "1/0", "0"], ["1", "2", "-1/30", "0"], ["-1"] * 4],
)
def test_damaged_rows_are_refused(columns):
    with pytest.raises(ValueError):
        FrameMark.parse(columns)
