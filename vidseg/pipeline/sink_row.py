"""The sinks of a run in a row, of which one that does not answer can be left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vidseg.frames import Frame, Segmentation, UInt8Array
from vidseg.interfaces import SendingSink, Sink
from vidseg.pipeline.buffer import Closed


class SinkRow:
    """Hands results to all sinks, in order, from the one thread that has taken the row.

    Remembers which sink is at work. `leave` takes the row away from its thread: what that thread asks of a sink later
    raises `Closed`, and another thread may take the row and close the sinks that are left.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._open = list(sinks)
        self._closed, self._aborted = 0, False
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._busy: Sink | None = None
        self.calls = 0
        """Made so far: of a sink that is blocked it stays the same."""
        self.left: list[Sink] = []
        """Those that did not answer."""

    def take(self) -> None:
        """This thread works with the sinks from now on."""
        with self._lock:
            self._owner = threading.get_ident()

    @property
    def taken_by_me(self) -> bool:
        """True on the thread that works with the sinks."""
        return self._owner == threading.get_ident()

    @property
    def busy(self) -> Sink | None:
        """The sink that is at work; None between two, and of a sink that never waits for anybody."""
        busy = self._busy
        return None if isinstance(busy, SendingSink) else busy

    @property
    def finished(self) -> bool:
        """True once all sinks are closed, where there are any."""
        return self._closed > 0 and not self._open and not self.left and not self._aborted

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Give one result to every sink. Raises what a sink raises, and Closed after `leave`."""
        for sink in tuple(self._open):
            with self._at(sink):
                sink.write(frame, segmentation, picture)

    def close_next(self) -> bool:
        """Close the first sink that is open; False where none is. Raises as `write`; the sink is still open then."""
        if not self._open:
            return False
        sink = self._open[0]
        with self._at(sink):
            sink.close()
        self._open.remove(sink)
        self._closed += 1
        return True

    def abort(self) -> None:
        """Abort the sinks that are still open."""
        while self._open:
            sink = self._open[0]
            self._aborted = True
            with self._at(sink):
                sink.abort()
            self._open.remove(sink)

    def leave(self) -> Sink | None:
        """Take the row from its thread; the sink that this was at, which is no longer one of the row. From any other
        thread."""
        with self._lock:
            self._owner = None
            sink, self._busy = self._busy, None
            if sink is not None:
                self._open.remove(sink)
                self.left.append(sink)
            return sink

    @contextmanager
    def _at(self, sink: Sink) -> Iterator[None]:
        with self._lock:
            if not self.taken_by_me:
                raise Closed
            self._busy = sink
            self.calls += 1
        try:
            yield
        finally:
            with self._lock:
                if not self.taken_by_me:
                    raise Closed  # it answered after all, too late
                self._busy = None
