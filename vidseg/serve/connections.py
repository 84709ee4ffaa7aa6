"""Limits on connections: silent and stalled ones are closed, so that nobody can lock others out."""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

PLACES = 128
"""Requests under way at once, and as many connections that wait for one. At most half of either is for one address."""

HEAD_SECONDS = 5.0
"""How long a request may take from its first byte (the first: from the connection) until its head is complete."""

IDLE_SECONDS = 30.0
"""How long a connection may stay between two requests, or with an answer of which nothing is read any more."""


class Connection(Protocol):
    """One open connection. `deadline` and `head_due` are the `Door`'s to write."""

    deadline: float
    """When it is hung up on unless it is busy, in seconds of the door's clock."""
    head_due: bool
    """True while a request's head is expected within `HEAD_SECONDS`."""

    @property
    def origin(self) -> str:
        """Whose places it takes: see `origin_of`."""
        ...

    @property
    def busy(self) -> bool:
        """True while a request is answered, until the last byte of the answer has left the program."""
        ...

    @property
    def unread_bytes(self) -> int:
        """Bytes that the other side has not taken yet."""
        ...

    def abort(self) -> None:
        """Hang up at once."""
        ...


class Door:
    """Keeps the open connections of one server. Of the server's thread alone.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[Connection, tuple[int, float]] = {}
        """With the unread bytes when last looked at, and the time when they last changed."""

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, connection: Connection) -> None:
        """Let one in; where that leaves too many that wait, the one nearest to its deadline is hung up on."""
        now = self._clock()
        connection.deadline, connection.head_due = now + HEAD_SECONDS, True
        self._open[connection] = (0, now)
        waiting = [other for other in self._open if not other.busy]
        held = Counter(other.origin for other in waiting)
        crowd = connection.origin
        if held[crowd] <= PLACES // 2:
            if len(waiting) <= PLACES:
                return
            crowd = held.most_common(1)[0][0]
        victim = min((other for other in waiting if other.origin == crowd), key=lambda other: other.deadline)
        self.leave(victim)
        victim.abort()

    def leave(self, connection: Connection) -> None:
        """One has ended."""
        self._open.pop(connection, None)

    def heard(self, connection: Connection) -> None:
        """Bytes have come in, and were looked at."""
        if connection.busy:
            connection.deadline, connection.head_due = self._clock() + IDLE_SECONDS, False
        elif not connection.head_due:
            connection.deadline, connection.head_due = self._clock() + HEAD_SECONDS, True

    def full(self, origin: str) -> bool:
        """True when a request of `origin`, counted among those under way already, is one too many."""
        busy = [connection.origin for connection in self._open if connection.busy]
        return len(busy) > PLACES or busy.count(origin) > PLACES // 2

    def sweep(self) -> None:
        """Hang up on those whose time is over; to be called about once a second."""
        now = self._clock()
        for connection, (unread, moved) in list(self._open.items()):
            if connection.unread_bytes != unread:
                unread, moved = connection.unread_bytes, now
                self._open[connection] = (unread, moved)
            if connection.busy:
                connection.deadline = now + IDLE_SECONDS
            if connection.deadline <= now or (unread and moved + IDLE_SECONDS <= now):
                self.leave(connection)
                connection.abort()


def origin_of(host: str) -> str:
    """The address whose places a connection from `host` takes: of IPv6 the network, since one machine has all of it."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))
