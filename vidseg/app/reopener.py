"""How a live source is opened again: with little patience at first, for it may be back any moment."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from vidseg.errors import SourceError
from vidseg.interfaces import VideoSource
from vidseg.names import shown_name

KNOCK_SECONDS = 1.0
"""A lost first packet is sent again after 1, 3, 7 s by the system; a new attempt asks sooner."""
SHORTEST_PATIENCE = 1.2
"""Each for the handshake and for the first look at the stream, which takes a second where there is much to see."""
TCP_PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}
"""Schemes whose server can be knocked at, and where it listens unless the address says."""


def knock_at(spec: str, seconds: float = KNOCK_SECONDS) -> None:
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
        raise SourceError(f"{shown_name(spec)}: no answer within {seconds:g} seconds") from None
    except OSError:
        return


class Reopener:
    """Opens a source again. Remembers its patience.

    An attempt that began while the source was away may never be answered, though the source is back. So one is given up
    after a little more than a second, or after the time that the last connection took; each that gets no answer doubles
    that, up to `longest`, for sources that are slow.

    Args:
        spec: of the source.
        open_source: seconds to wait for an answer -> the open source; raises SourceError.
        longest: the most seconds to wait for an answer.
        knock: see `knock_at`.
    """

    def __init__(
        self,
        spec: str,
        open_source: Callable[[float], VideoSource],
        *,
        longest: float,
        knock: Callable[[str], object] = knock_at,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spec = spec
        self._open = open_source
        self._longest = longest
        self._knock = knock
        self._clock = clock
        self._patience = SHORTEST_PATIENCE

    def __call__(self) -> VideoSource:
        """The open source. Raises SourceError."""
        self._knock(self._spec)
        patience = min(self._patience, self._longest)
        began = self._clock()
        try:
            source = self._open(patience)
        except SourceError:
            if self._clock() - began > 0.9 * patience:  # no answer, and no refusal
                self._patience = 2 * patience
            raise
        self._patience = max(SHORTEST_PATIENCE, self._clock() - began)
        return source
