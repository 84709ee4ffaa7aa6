"""Which connections are kept, with a clock of the test's."""

from __future__ import annotations

import pytest

from vidseg.serve.connections import HEAD_SECONDS, IDLE_SECONDS, PLACES, Door, origin_of


class FakeConnection:
    deadline = 0.0
    head_due = False
    busy = False
    unread_bytes = 0
    aborted = False

    def __init__(self, origin: str = "a") -> None:
        self.origin = origin

    def abort(self) -> None:
        self.aborted = True


class Hall:
    """A door, its clock and those who came."""

    def __init__(self) -> None:
        self.now = 100.0
        self.door = Door(lambda: self.now)

    def enter(self, origin: str = "a", **facts) -> FakeConnection:
        connection = FakeConnection(origin)
        self.door.enter(connection)
        self.change(connection, **facts)
        return connection

    def change(self, connection: FakeConnection, **facts) -> None:
        """Something has come in, and changed these."""
        for name, value in facts.items():
            setattr(connection, name, value)
        if facts:
            self.door.heard(connection)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.door.sweep()


@pytest.fixture
def hall() -> Hall:
    return Hall()


def test_a_head_that_does_not_come_whole_in_time_ends_the_connection(hall):
    silent, dripping = hall.enter(), hall.enter()
    hall.wait(HEAD_SECONDS - 0.1)
    hall.door.heard(dripping)
    assert not silent.aborted
    hall.wait(0.2)
    assert silent.aborted and dripping.aborted and len(hall.door) == 0


def test_between_requests_it_may_be_idle_for_long_but_the_next_head_is_as_urgent(hall):
    idle, late = hall.enter(busy=True), hall.enter(busy=True)
    idle.busy = late.busy = False
    hall.wait(IDLE_SECONDS - 1)
    hall.door.heard(late)
    assert not idle.aborted
    hall.wait(1.1)
    assert idle.aborted and not late.aborted
    hall.wait(HEAD_SECONDS)
    assert late.aborted


def test_a_request_under_way_may_last_and_an_answer_is_kept_as_long_as_it_moves(hall):
    waiting, slow, deaf = hall.enter(busy=True), hall.enter(busy=True), hall.enter(busy=True)
    slow.unread_bytes = deaf.unread_bytes = 1000
    for _ in range(4):
        hall.wait(IDLE_SECONDS / 2)
        slow.unread_bytes -= 1
    assert deaf.aborted and not slow.aborted and not waiting.aborted


def test_one_address_can_hold_half_of_the_places_and_its_oldest_silent_one_gives_way(hall):
    other = hall.enter("b")
    own = [hall.enter() for _ in range(PLACES // 2)]
    assert not any(connection.aborted for connection in [other, *own])
    hall.now += 1
    newest = hall.enter()
    assert [connection.aborted for connection in own] == [True] + [False] * (PLACES // 2 - 1)
    assert not newest.aborted and not other.aborted


def test_when_all_places_are_taken_the_address_with_the_most_gives_way(hall):
    lone = hall.enter("lone")
    crowd = [hall.enter(name) for name in "ab" for _ in range(PLACES // 2)]
    assert len(hall.door) == PLACES and not lone.aborted and sum(connection.aborted for connection in crowd) == 1
    hall.enter("late")
    assert len(hall.door) == PLACES and not lone.aborted


def test_requests_are_counted_apart_from_those_who_wait(hall):
    for _ in range(PLACES):
        hall.enter()
    for _ in range(PLACES // 2):
        hall.enter("b", busy=True)
    assert not hall.door.full("b") and not hall.door.full("a")
    hall.enter("b", busy=True)
    assert hall.door.full("b") and not hall.door.full("a")
    for _ in range(PLACES // 2):
        hall.enter("c", busy=True)
    assert hall.door.full("a")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_machine_cannot_take_places_under_many_addresses(host, origin):
    assert origin_of(host) == origin
