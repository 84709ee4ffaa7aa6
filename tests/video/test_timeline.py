"""Frame times never run backwards."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from vidseg.video.timeline import FrameTimes, Timeline

MILLISECONDS = Fraction(1, 1000)


def place_all(times: list[tuple[int | None, int | None]]) -> tuple[list[int], list[str]]:
    """Placed times and all events."""
    timeline = Timeline(usual_step=40, time_base=MILLISECONDS)
    placed, events = [], []
    for pts, duration in times:
        placed.append(timeline.place(pts, duration))
        events.extend(timeline.events)
    return placed, events


def test_rising_times_are_untouched_whatever_their_distance() -> None:
    times = [-80, -80, 0, 1, 5000, 5001]
    assert place_all([(time, 40) for time in times]) == (times, [])


def test_a_missing_time_follows_the_frame_before_by_its_duration_or_the_usual_step() -> None:
    assert place_all([(100, 10), (None, None), (None, 20), (None, None)]) == ([100, 110, 150, 170], ["guessed_pts"] * 3)


def test_the_first_frame_without_a_time_is_at_zero() -> None:
    assert place_all([(None, None), (40, None)]) == ([0, 40], ["guessed_pts"])


def test_a_small_step_back_repeats_the_time_before() -> None:
    assert place_all([(0, 40), (80, 40), (40, 40), (120, 40)]) == ([0, 80, 80, 120], ["non_monotonic_pts"])


def test_a_jump_back_carries_on_from_the_frame_before() -> None:
    times = [(5000, 40), (5040, 40), (0, 40), (40, 40), (100, 40)]
    assert place_all(times) == ([5000, 5040, 5080, 5120, 5180], ["non_monotonic_pts"])


@given(st.lists(st.tuples(st.none() | st.integers(-(2**40), 2**40), st.none() | st.integers(1, 10_000))))
def test_time_never_runs_backwards(times: list[tuple[int | None, int | None]]) -> None:
    placed, _ = place_all(times)
    assert placed == sorted(placed)
    assert len(placed) == len(times)


def test_a_jump_ahead_carries_on_where_the_clock_may_start_anew() -> None:
    timeline = Timeline(usual_step=40, time_base=MILLISECONDS, discontinuous=True)
    assert [timeline.place(time, 40) for time in (0, 40, 9_000, 80_000, 80_040, 40)] == [
        0,
        40,
        9_000,
        9_040,
        9_080,
        9_120,
    ]


class Decoded:
    """A frame with the times of its packet."""

    def __init__(self, pts: int | None, dts: int | None) -> None:
        self.pts, self.dts, self.duration = pts, dts, 40


def chosen(times: FrameTimes, frames: list[tuple[int | None, int | None]]) -> list[int | None]:
    return [times.of(Decoded(pts, dts)) for pts, dts in frames]


def test_times_of_packets_are_believed_until_they_are_out_of_order() -> None:
    frames = [(0, 0), (40, 40), (80, 80), (120, 120)]
    assert chosen(FrameTimes(ordered=True, usual_step=40, time_base=MILLISECONDS), frames) == [0, 40, 80, 120]
    swapped = [(0, 0), (120, 40), (40, 80), (80, 120), (160, 160)]
    assert chosen(FrameTimes(ordered=True, usual_step=40, time_base=MILLISECONDS), swapped) == [0, 120, 80, 120, 160]


def test_where_packets_are_counted_the_time_of_decoding_counts_less_the_delay() -> None:
    times = FrameTimes(ordered=False, usual_step=40, time_base=MILLISECONDS)
    times.begin([(0, True), (40, False), (80, False), (120, False)], Decoded(0, 80))
    frames = [(0, 80), (120, 120), (40, 160), (80, None), (160, None)]
    assert chosen(times, frames) == [0, 40, 80, 120, 160]


def test_a_jump_far_back_is_no_disorder() -> None:
    frames = [(50_000, None), (50_040, None), (0, None), (40, None)]
    times = FrameTimes(ordered=True, usual_step=40, time_base=MILLISECONDS)
    assert chosen(times, frames) == [50_000, 50_040, 0, 40]
