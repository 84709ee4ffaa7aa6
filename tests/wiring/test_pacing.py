"""Frames of a file at their own speed."""

from __future__ import annotations

import threading

from tests.fakes import FakeSource, frame
from vidseg.interfaces import VideoSource
from vidseg.wiring.pacing import PacedSource, Pacer


class Clock:
    """Moves by what is waited for."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds

    def wait(self, stopped: threading.Event, seconds: float) -> None:
        self.seconds += seconds


def paced(source: FakeSource, clock: Clock) -> PacedSource:
    return PacedSource(source, pacer=Pacer(clock), wait=clock.wait)


def test_is_a_source_like_the_one_inside():
    source = FakeSource([frame(0)])
    one = PacedSource(source)
    assert isinstance(one, VideoSource) and one.info is source.info and one.counters == source.counters
    one.close()
    assert source.closed == 1


def test_frames_come_when_they_are_due():
    clock = Clock()
    source = paced(FakeSource([frame(index, pts=pts) for index, pts in enumerate((30, 45, 90))]), clock)
    assert [(item.index, round(clock.seconds, 3)) for item in source] == [(0, 100.0), (1, 100.5), (2, 102.0)]


def test_after_a_slow_stretch_frames_do_not_rush():
    clock = Clock()
    times = []
    for item in paced(FakeSource([frame(index, pts=30 * index) for index in range(4)]), clock):
        times.append(clock.seconds)
        if item.index == 1:
            clock.seconds += 5.0  # whoever takes them was busy
    assert times == [100.0, 101.0, 106.0, 107.0]


def test_interrupt_ends_the_waiting():
    waiting = threading.Event()
    source = FakeSource([frame(0, pts=0), frame(1, pts=3000)])

    def wait(stopped: threading.Event, seconds: float) -> None:
        waiting.set()
        assert stopped.wait(20), "nobody ended it"

    one = PacedSource(source, wait=wait)
    seen: list[int] = []
    reader = threading.Thread(target=lambda: seen.extend(item.index for item in one))
    reader.start()
    assert waiting.wait(20)
    one.interrupt()
    reader.join(20)
    assert not reader.is_alive() and seen == [0] and source.release.is_set()
