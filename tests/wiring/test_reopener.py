"""A source that is opened again: how long an answer is waited for."""

from __future__ import annotations

import socket

import pytest

from vidseg.errors import SourceError
from vidseg.wiring.reopener import Reopener, check_reachable


class Camera:
    """Answers after so many seconds, on a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.answers_after = 0.0
        self.refuses = False
        self.silent = False
        self.asked: list[float] = []
        self.knocked: list[float] = []

    def open(self, patience: float):
        self.asked.append(patience)
        if self.refuses:
            raise SourceError("refused")
        self.now += min(patience, self.answers_after)
        if self.answers_after > patience:
            raise SourceError("no answer")
        return self

    def check(self, spec: str, seconds: float) -> None:
        self.knocked.append(seconds)
        if self.silent:
            raise SourceError("no answer")

    def reopener(self, longest: float = 10.0, took: float = 0.0) -> Reopener:
        return Reopener(
            "rtsp://camera", self.open, took=took, longest=longest, check=self.check, clock=lambda: self.now
        )


def attempts(reopen: Reopener, count: int) -> None:
    for _ in range(count):
        with pytest.raises(SourceError):
            reopen()


def test_an_answer_is_waited_for_twice_as_long_each_time_up_to_the_longest():
    camera = Camera()
    camera.answers_after = 60.0
    attempts(camera.reopener(longest=5.0), 5)
    assert camera.asked == pytest.approx([1.2, 2.4, 4.8, 5, 5])


def test_patience_never_exceeds_what_is_asked_for():
    camera = Camera()
    camera.reopener(longest=0.5)()
    assert camera.asked == camera.knocked == [0.5]


def test_the_first_return_may_take_half_as_long_again_as_the_first_connection():
    camera = Camera()
    camera.answers_after = 3.5
    assert camera.reopener(took=3.0)() is camera and camera.asked == [4.5]


def test_a_server_that_takes_no_connection_is_given_twice_the_time_each_time_too():
    camera = Camera()
    camera.silent = True
    reopen = camera.reopener(longest=5.0)
    attempts(reopen, 4)
    camera.silent = False
    reopen()
    reopen()
    assert camera.knocked == [1, 2, 4, 5, 5, 1]
    assert camera.asked == [1.2, 1.2]


def test_a_refusal_costs_no_patience():
    camera = Camera()
    camera.refuses = True
    attempts(camera.reopener(), 4)
    assert camera.asked == [1.2] * 4


@pytest.mark.parametrize(("took", "then"), [(0.2, 1.2), (3.0, 4.5)])
def test_after_a_success_the_next_attempt_may_take_half_as_long_again_as_that_one(took, then):
    camera = Camera()
    reopen = camera.reopener()
    camera.answers_after = 60.0
    attempts(reopen, 2)
    camera.answers_after = took
    reopen()
    reopen()
    assert camera.asked == pytest.approx([1.2, 2.4, 4.8, then])


def test_a_server_that_takes_no_connection_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):  # nobody accepts it: there is no place for another
            with pytest.raises(SourceError, match=r"^rtsp://\*\*\*@127\.0\.0\.1:\d+/x: no answer within 0\.2 seconds$"):
                check_reachable(f"rtsp://joe:s3cret@127.0.0.1:{port}/x", 0.2)
            listener.accept()[0].close()
            check_reachable(f"rtsp://joe:s3cret@127.0.0.1:{port}/x", 5.0)


@pytest.mark.parametrize(
    "spec",
    [
        "cam0",
        "/dev/video0",
        "udp://127.0.0.1:9",
        "rtsp://127.0.0.1:1/x",
        "rtsp://",
        "rtsp://host:many/x",
        "rtsp://[x/y",
    ],
)
def test_only_silence_is_an_answer_of_its_own(spec):
    check_reachable(spec, 5.0)
