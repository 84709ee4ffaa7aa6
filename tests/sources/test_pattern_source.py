"""The test pattern: what can be written, what is drawn, how it is paced."""

from __future__ import annotations

import threading
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sources.strip import read_strip
from vidseg.errors import ConfigError
from vidseg.sources.pattern_source import PatternSource, parse_pattern


@pytest.mark.parametrize(
    ("spec", "size", "rate", "count"),
    [
        ("test", (640, 360), 30, 300),
        ("test:", (640, 360), 30, 300),
        ("test:1280x720", (1280, 720), 30, 300),
        ("test:@60", (640, 360), 60, 600),
        ("test:1280x720@25,frames=300", (1280, 720), 25, 300),
        ("test:frames=3", (640, 360), 30, 3),
        ("test:320x240@30000/1001", (320, 240), Fraction(30_000, 1001), 300),
        ("test:320x240@12.5", (320, 240), Fraction(25, 2), 125),
        ("test:@10,seconds=2.5", (640, 360), 10, 25),
        ("test:frames=inf", (640, 360), 30, None),
        ("test:realtime", (640, 360), 30, None),
        ("test:realtime,seconds=2", (640, 360), 30, 60),
    ],
)
def test_what_can_be_written(spec: str, size: tuple[int, int], rate: Fraction, count: int | None) -> None:
    options = parse_pattern(spec)
    assert (options.width, options.height) == size
    assert options.frame_rate == rate
    assert options.frame_count == count
    assert options.realtime == ("realtime" in spec)


@pytest.mark.parametrize(
    "spec",
    [
        "tests",
        "test:640",
        "test:640x",
        "test:0x0",
        "test:8x8",
        "test:99999x100",
        "test:640x360@0",
        "test:640x360@1/0",
        "test:640x360@99999",
        "test:frames=0",
        "test:frames=-1",
        "test:frames=1e3",
        "test:seconds=0",
        "test:seconds=x",
        "test:colour=red",
        "test:640x360,640x360",
        "test:,",
        "test:٣x٣",
    ],
)
def test_what_cannot_be_understood_is_refused_in_one_line(spec: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_pattern(spec)
    assert str(caught.value).startswith(spec)
    assert "\n" not in str(caught.value)


@given(st.text())
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        options = parse_pattern("test:" + text)
    except ConfigError:
        return
    assert options.width >= 16
    assert options.frame_rate > 0


def test_info_says_what_will_come() -> None:
    info = PatternSource("test:320x240@25,frames=50").info
    assert (info.width, info.height, info.frame_rate, info.frame_count) == (320, 240, 25, 50)
    assert (info.duration_seconds, info.live) == (2.0, False)
    info = PatternSource("test:320x240@25", realtime=True).info
    assert (info.frame_count, info.duration_seconds, info.live) == (None, None, True)


@pytest.mark.parametrize("size", [(640, 360), (64, 48), (101, 77), (24, 16)])
def test_every_frame_carries_its_number(size: tuple[int, int]) -> None:
    with PatternSource(f"test:{size[0]}x{size[1]},frames=9") as source:
        assert [read_strip(frame.image) for frame in source] == list(range(9))


def test_the_number_survives_jpeg_and_scaling() -> None:
    *_, last = PatternSource("test:640x360,frames=12")
    good, data = cv2.imencode(".jpg", last.image, [cv2.IMWRITE_JPEG_QUALITY, 50])
    assert good
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert read_strip(decoded) == 11
    assert read_strip(cv2.resize(decoded, (320, 180), interpolation=cv2.INTER_AREA)) == 11


def test_the_picture_moves_and_is_in_colour() -> None:
    first, second = PatternSource("test:frames=2")
    assert np.abs(first.image.astype(int) - second.image).mean() > 1
    assert np.ptp(first.image.astype(int), axis=2).mean() > 40


class Clock:
    """A clock that only waiting and working move on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False


def test_real_time_waits_for_each_frame() -> None:
    clock = Clock()
    source = PatternSource("test:64x48@10,frames=4", realtime=True, clock=clock, wait=clock.wait)
    for _ in source:
        clock.now += 0.03
    assert clock.waits == pytest.approx([0.07, 0.07, 0.07])


def test_a_slow_consumer_is_not_made_to_wait_and_misses_nothing() -> None:
    clock = Clock()
    source = PatternSource("test:64x48@10,frames=4", realtime=True, clock=clock, wait=clock.wait)
    found = []
    for frame in source:
        found.append(frame.index)
        clock.now += 1
    assert found == [0, 1, 2, 3]
    assert clock.waits == []


@pytest.mark.timeout(60)
def test_interrupt_ends_the_wait_for_the_next_frame_at_once() -> None:
    # The second frame is due after 100 seconds.
    source = PatternSource("test:64x48@1/100", realtime=True)
    first_seen, done = threading.Event(), []

    def read() -> None:
        for frame in source:
            done.append(frame.index)
            first_seen.set()
        done.append("end")

    reader = threading.Thread(target=read)
    reader.start()
    assert first_seen.wait(10)
    source.interrupt()
    reader.join(10)
    assert done == [0, "end"]


def test_a_frame_that_was_awaited_during_the_interrupt_is_not_given_out() -> None:
    clock = Clock()

    def interrupted_wait(seconds: float) -> bool:
        source.interrupt()
        return clock.wait(seconds)

    source = PatternSource("test:64x48@10,frames=4", realtime=True, clock=clock, wait=interrupted_wait)
    assert [frame.index for frame in source] == [0]


def test_an_endless_pattern_ends_where_it_says_so_only():
    assert PatternSource("test:32x32", endless=True).info.frame_count is None
    assert PatternSource("test:32x32@10,seconds=2", endless=True).info.frame_count == 20
