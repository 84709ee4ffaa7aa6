"""Run lengths against hand-made values and a slow computation, character by character."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidseg.sinks.records.coco_rle import compressed, encode_rle, run_lengths


def slow_run_lengths(mask) -> list[int]:
    counts, value = [0], False
    for column in range(mask.shape[1]):
        for row in range(mask.shape[0]):
            if bool(mask[row, column]) != value:
                counts.append(0)
                value = not value
            counts[-1] += 1
    return counts


def slow_read(text: str) -> list[int]:
    """The numbers in COCO's string, one character at a time, as its reader does."""
    counts: list[int] = []
    value = shift = 0
    for character in text.encode("ascii"):
        bits = character - 48
        assert 0 <= bits < 64
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    assert shift == 0, "the string ends inside a number"
    return counts


def test_the_examples_of_the_coco_documentation():
    """maskApi.h: M=[0 0 1 1 1 0 1] is [2 3 1 1], M=[1 1 1 1 1 1 0] is [0 6 1]."""
    first = np.array([[0, 0, 1, 1, 1, 0, 1]], bool).T
    second = np.array([[1, 1, 1, 1, 1, 1, 0]], bool).T
    assert run_lengths(first).tolist() == [2, 3, 1, 1] and run_lengths(second).tolist() == [0, 6, 1]
    # the fourth number is stored as 1 - 3 = -2: 0b11110, 30 + 48 is "N"
    assert encode_rle(first) == {"size": [7, 1], "counts": "231N"}
    assert encode_rle(second) == {"size": [7, 1], "counts": "061"}


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ([0], "0"),
        ([15], "?"),  # 15 + 48
        ([16], "`0"),  # bit 5 would be a sign: 16 + 32 + 48, then 0
        ([31], "o0"),
        ([1023], "oo0"),
        ([0, 100, 5, 84], "0T35@"),  # 84 - 100 = -16: 0b10000, 16 + 48
        ([0, 100, 5, 83], "0T35_O"),  # 83 - 100 = -17: 0b01111 would be positive, so 15 + 32 + 48, then 31 + 48
        ([0, 1920 * 1080], "0PPYo1"),  # 0, 0, 9, 31, 1 from low to high
    ],
)
def test_numbers_become_the_characters_computed_by_hand(counts, text):
    assert compressed(np.array(counts)) == text


def test_runs_go_down_the_columns():
    mask = np.zeros((3, 4), bool)
    mask[1, 1:3] = True  # columns 000 010 010 000
    assert run_lengths(mask).tolist() == [4, 1, 2, 1, 4]
    assert run_lengths(mask.T).tolist() == [5, 2, 5]


@pytest.mark.parametrize(("fill", "counts"), [(False, [12]), (True, [0, 12])])
def test_empty_and_full_masks(fill, counts):
    assert run_lengths(np.full((3, 4), fill)).tolist() == counts


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_any_mask_is_read_back_as_the_slow_computation_sees_it(height, width, share, seed):
    mask = np.random.default_rng(seed).random((height, width)) < share
    encoded = encode_rle(mask)
    assert encoded["size"] == [height, width]
    assert slow_read(encoded["counts"]) == slow_run_lengths(mask) == run_lengths(mask).tolist()


def test_a_large_region_that_is_a_view_of_another_array():
    y, x = np.mgrid[:720, :1280]
    mask = ((x - 600) ** 2 + (y - 300) ** 2 < 250**2)[::-1, ::-1]
    assert slow_read(compressed(run_lengths(mask))) == slow_run_lengths(mask)
