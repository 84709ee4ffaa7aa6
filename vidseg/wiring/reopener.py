"""Reopens a live source: with short timeouts at first, since it may be back any moment."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from vidseg.errors import SourceError
from vidseg.interfaces import VideoSource
from vidseg.names import shown_name
from vidseg.sending.receiver_address import TCP_PORTS

HANDSHAKE_SECONDS = 1.0
"""For the handshake of TCP. The system sends a lost first packet again after 1, 3, 7 s; a new attempt asks sooner."""
SHORTEST_PATIENCE = 1.2
"""For an answer, and for the first look at the stream, which takes a second where there is much to see."""
SLACK = 1.5
"""How much longer than the last connection the next one may take."""


def check_reachable(spec: str, seconds: float = HANDSHAKE_SECONDS) -> None:
    """Nothing, if the server of an address over TCP can be reached, or if what is wrong with it shows soon anyway.

    Raises:
        SourceError: no answer in time.
    """
    try:
        parts = urlsplit(spec)
        port = parts.port or TCP_PORTS.get(parts.scheme)
    except ValueError:
        return
    if parts.scheme not in TCP_PORTS or not parts.hostname:
        return
    try:
        socket.create_connection((parts.hostname, port), seconds).close()
    except TimeoutError:
        unit = "second" if seconds == 1 else "seconds"
        raise SourceError(f"{shown_name(spec)}: no answer within {seconds:g} {unit}") from None
    except OSError:
        return


class TimedOpening:
    """Opens a source, and remembers how long that took."""

    def __init__(self, open_source: Callable[[], VideoSource], clock: Callable[[], float] = time.monotonic) -> None:
        self._open = open_source
        self._clock = clock
        self.seconds = 0.0

    def __call__(self) -> VideoSource:
        """The open source. Raises SourceError."""
        began = self._clock()
        source = self._open()
        self.seconds = self._clock() - began
        return source


class Reopener:
    """Opens a source again. Remembers its patience.

    An attempt that began while the source was away may never be answered, though the source is back. So one is given up
    after a little more than a second, or than the last connection took; each that gets no answer doubles that, up to
    `longest`, for sources that are slow.

    Args:
        spec: of the source.
        open_source: seconds to wait for an answer -> the open source; raises SourceError.
        took: seconds that the first connection took.
        longest: the most seconds to wait for an answer.
        check: see `check_reachable`.
    """

    def __init__(
        self,
        spec: str,
        open_source: Callable[[float], VideoSource],
        *,
        took: float,
        longest: float,
        check: Callable[[str, float], object] = check_reachable,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spec = spec
        self._open = open_source
        self._longest = longest
        self._check = check
        self._clock = clock
        self._handshake_patience = HANDSHAKE_SECONDS
        self._patience = self._after(took)

    def _after(self, took: float) -> float:
        return max(SHORTEST_PATIENCE, SLACK * took)

    def __call__(self) -> VideoSource:
        """The open source. Raises SourceError."""
        try:
            self._check(self._spec, min(self._handshake_patience, self._longest))
        except SourceError:
            self._handshake_patience *= 2
            raise
        self._handshake_patience = HANDSHAKE_SECONDS
        patience = min(self._patience, self._longest)
        began = self._clock()
        try:
            source = self._open(patience)
        except SourceError:
            if self._clock() - began > 0.9 * patience:  # no answer, and no refusal
                self._patience = 2 * patience
            raise
        self._patience = self._after(self._clock() - began)
        return source
