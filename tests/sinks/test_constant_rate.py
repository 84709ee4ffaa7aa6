"""A frame rate for an output."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.sinks.sink_helpers import timed_frames, write_all
from vidseg.frames import rate_of
from vidseg.sinks.constant_rate import RateSink


class Kept:
    """Remembers what it is given: (source's frame, seconds)."""

    needs_picture = True
    notes = ("own",)
    path = "here"

    def __init__(self) -> None:
        self.got: list[tuple[int, Fraction]] = []
        self.indices: list[int] = []

    def write(self, frame, segmentation, picture) -> None:
        self.got.append((segmentation.frame_index, frame.pts * frame.time_base))
        self.indices.append(frame.index)

    def close(self) -> None:
        self.indices.append(-1)


@pytest.mark.parametrize(
    ("source", "rate", "shown", "told"),
    [
        (25, 25, [0, 1, 2, 3, 4], None),
        (10, 25, [0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4], "8 repeated"),
        (30, 15, [0, 2, 4], "2 left out"),
        (25, 15, [0, 2, 4], "2 left out"),
    ],
)
def test_frames_are_repeated_or_left_out_and_counted(source, rate, shown, told) -> None:
    inner = Kept()
    sink = write_all(RateSink(inner, rate), timed_frames(range(5), Fraction(1, source), [1] * 5))
    assert [index for index, _ in inner.got] == shown
    assert [seconds for _, seconds in inner.got] == [Fraction(n, rate) for n in range(len(shown))]
    assert inner.indices == [*range(len(shown)), -1], "numbered anew, then closed"
    assert sink.notes == ("own", *([f"at {rate} frames per second: {told}"] if told else []))
    assert sink.path == "here"


def test_a_pause_is_filled_and_times_begin_where_the_source_does() -> None:
    inner = Kept()
    write_all(RateSink(inner, 10), timed_frames([7, 8, 12], Fraction(1, 10), [1, 4, 1]))
    assert inner.got == [(index, Fraction(n, 10)) for n, index in enumerate([0, 1, 1, 1, 1, 2], start=7)]


def test_milliseconds_that_were_rounded_cost_no_frame() -> None:
    inner = Kept()
    write_all(RateSink(inner, 30), timed_frames([0, 33, 67, 100, 133, 167], Fraction(1, 1000), [33] * 6))
    assert [index for index, _ in inner.got] == list(range(6))


def test_at_most_so_many_keeps_the_times() -> None:
    inner = Kept()
    sink = write_all(RateSink(inner, 15, constant=False), timed_frames([0, 1, 2, 3, 20], Fraction(1, 30)))
    assert inner.got == [(0, 0), (2, Fraction(2, 30)), (4, Fraction(20, 30))] and sink.left_out == 2


@pytest.mark.parametrize(("given", "meant"), [(29.97003, (30_000, 1001)), (0.0004, (1, 2500)), (12.5, (25, 2))])
def test_a_rate_is_the_fraction_that_is_meant(given, meant) -> None:
    assert rate_of(given) == Fraction(*meant)
