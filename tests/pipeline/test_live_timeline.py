"""Times of live frames, with a clock that the test sets. Units of a millisecond."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidseg.pipeline.live_timeline import LiveTimeline

MS = Fraction(1, 1000)


def started(pts: int = 5000, now: float = 100.0) -> LiveTimeline:
    timeline = LiveTimeline(MS)
    assert timeline.place(pts, now) == pts
    return timeline


def test_frames_keep_their_own_times_however_they_arrive():
    timeline = started()
    assert [timeline.place(5000 + 40 * i, 100 + 0.04 * i + 0.03 * (i % 3)) for i in range(1, 6)] == [
        5040, 5080, 5120, 5160, 5200
    ]  # fmt: skip


def test_after_a_reconnect_the_gap_is_as_long_as_it_really_was():
    timeline = started()
    timeline.place(5040, 100.04)
    timeline.restart()
    assert timeline.place(77, 112.04) == 5040 + 12_000
    assert timeline.place(117, 112.08) == 5040 + 12_040


def test_cards_stand_between_the_last_frame_and_the_next():
    timeline = started()
    assert [timeline.place_card(100 + s) for s in (2.0, 2.5, 3.0)] == [7000, 7500, 8000]
    timeline.restart()
    assert timeline.place(5040, 103.2) == 8200


def test_a_frame_that_comes_right_after_a_card_still_follows_it():
    timeline = started()
    assert timeline.place_card(102.0) == 7000
    timeline.restart()
    assert timeline.place(9, 102.0) == 7001
    assert timeline.place(49, 102.04) == 7041


@pytest.mark.parametrize("jump", [26 * 3_600_000, 6_000, -26 * 3_600_000, -2_000])
def test_a_clock_that_is_set_in_mid_stream_moves_nothing(jump):
    timeline = started()
    assert timeline.place(5040 + jump, 100.04) == 5040
    assert timeline.place(5080 + jump, 100.08) == 5080
    assert timeline.jumps == 1


def test_a_silence_that_the_stream_tells_of_itself_is_no_jump():
    timeline = started()
    assert timeline.place(15_000, 110.0) == 15_000 and timeline.jumps == 0


def test_a_frame_out_of_order_follows_the_one_before():
    timeline = started()
    timeline.place(5080, 100.08)
    assert timeline.place(5040, 100.081) == 5081
    assert timeline.place(5120, 100.12) == 5120


def test_a_burst_of_held_up_frames_does_not_run_ahead_for_ever():
    timeline = started()
    timeline.restart()  # eight seconds of silence were filled with cards; now all of it comes at once
    placed = [timeline.place(5040 + 40 * i, 108.0 + 0.001 * i) for i in range(200)]
    assert placed == sorted(set(placed)) and placed[0] == 13_000
    after = timeline.place(5040 + 40 * 200, 108.24)
    assert 13_200 < after < 13_240 + 1_100


@pytest.mark.parametrize("rate", [0.99, 0.999, 1.001, 1.01])
def test_a_clock_that_drifts_is_followed_without_a_step(rate):
    timeline, steps, last = started(0, 0.0), set(), 0
    for i in range(1, 40_000):
        placed = timeline.place(round(40 * i * rate), 0.04 * i)
        steps.add(placed - last)
        last = placed
    assert steps <= {39, 40, 41} and timeline.jumps == 0


@given(
    st.lists(
        st.tuples(st.sampled_from(["frame", "card", "restart"]), st.integers(-(10**9), 10**9), st.floats(0, 100)),
        max_size=40,
    )
)
def test_times_always_grow(events):
    timeline, now, placed = LiveTimeline(Fraction(1, 90_000)), 0.0, []
    for kind, pts, pause in events:
        now += pause
        if kind == "restart":
            timeline.restart()
        else:
            placed.append(timeline.place(pts, now) if kind == "frame" else timeline.place_card(now))
    assert placed == sorted(set(placed))
