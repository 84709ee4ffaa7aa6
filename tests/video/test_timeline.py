"""Frame times never run backwards."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from vidseg.video.timeline import Timeline

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
