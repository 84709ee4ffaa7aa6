import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidseg.pipeline.policy import InferenceStride, RateLimit


def kept(limit: RateLimit, times: list[float]) -> list[float]:
    return [t for t in times if limit.keep(t)]


def test_no_limit_keeps_every_frame():
    assert kept(RateLimit(None), [0.0, 0.0, -1.0, 5.0]) == [0.0, 0.0, -1.0, 5.0]


def test_limit_of_20_on_30_fps_keeps_two_of_three():
    times = [i / 30 for i in range(90)]
    assert len(kept(RateLimit(20), times)) == 60


def test_limit_above_the_rate_keeps_every_frame_in_spite_of_rounded_times():
    times = [round(i * 1000 / 30) / 1000 for i in range(300)]  # milliseconds, as in Matroska
    assert kept(RateLimit(30), times) == times


def test_limit_starts_anew_after_a_gap_and_after_a_jump_back():
    assert kept(RateLimit(10), [0.0, 0.05, 7.0, 7.05, 7.1]) == [0.0, 7.0, 7.1]
    assert kept(RateLimit(10), [5.0, 5.05, 0.0, 0.05, 0.1]) == [5.0, 0.0, 0.1]


@given(st.floats(1, 120), st.floats(0.5, 200))
def test_limit_is_never_exceeded_by_more_than_one_frame(rate, max_fps):
    seconds = 4.0
    times = [i / rate for i in range(int(rate * seconds))]
    assert len(kept(RateLimit(max_fps), times)) <= seconds * max_fps + 2


def test_stride_three_wants_the_first_and_every_third():
    stride = InferenceStride(3)
    assert [stride.wants((4, 4)) for _ in range(7)] == [True, False, False, True, False, False, True]


def test_stride_wants_a_frame_of_another_size_and_counts_from_there():
    stride = InferenceStride(3)
    sizes = [(4, 4), (4, 4), (8, 8), (8, 8), (8, 8), (8, 8)]
    assert [stride.wants(size) for size in sizes] == [True, False, True, False, False, True]


def test_stride_wants_a_new_scene_at_once_but_brings_only_one_forward():
    stride = InferenceStride(4)
    new = [False, True, False, True, False, False, True, True, False]
    #      due    early              ignored  due         (counted from the early one)
    assert [stride.wants((4, 4), new_scene=n) for n in new] == [
        True,
        True,
        False,
        False,
        False,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(("stride", "expected"), [(1, [0, 3, 6, 9]), (2, [0, 3, 6, 9]), (4, [0, 4, 8])])
def test_infer_fps_limits_inferences_beside_the_stride(stride, expected):
    wants = InferenceStride(stride, RateLimit(10))
    assert [i for i in range(12) if wants.wants((4, 6), i / 30)] == expected


def test_infer_fps_is_kept_at_scene_cuts():
    wants = InferenceStride(1, RateLimit(10))
    assert [i for i in range(9) if wants.wants((4, 6), i / 30, new_scene=True)] == [0, 3, 6]


def test_infer_fps_gives_way_to_another_size():
    wants = InferenceStride(1, RateLimit(1))
    assert [wants.wants(size, i / 30) for i, size in enumerate([(4, 6), (4, 6), (6, 4), (6, 4)])] == [
        True, False, True, False
    ]  # fmt: skip
