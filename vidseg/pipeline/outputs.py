"""The sinks of one run, of which one may fail or stop responding while the others continue."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from vidseg.errors import WriteError
from vidseg.frames import Frame, Segmentation, UInt8Array
from vidseg.interfaces import SendingSink, Sink
from vidseg.pipeline.buffer import Closed

Failing = Literal["all", "alone", "last"]
"""What a sink's WriteError means for the others: "all": they are aborted too; "alone": they go on without it; "last":
the run ends as if the source had, and they are finished."""


class Outputs:
    """Hands results to all sinks, in order, and finishes or aborts them, from the one thread that has taken them.

    Any other error than a sink's WriteError is raised as it is. Remembers which sink is at work: `leave` takes the
    sinks away from their thread, so that what it asks of one later raises `Closed`, and another thread may take them
    and close those that are left.

    Args:
        watchers: sinks that are finished first, and whose errors keep all others from appearing.
    """

    def __init__(self, watchers: Sequence[Sink], sinks: Sequence[Sink], failing: Failing) -> None:
        self._watchers = list(watchers)
        self._open = [*watchers, *sinks]
        self._failing = failing
        self._aborted = False
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._busy: Sink | None = None
        self.calls = 0
        """Made so far: while a sink is blocked it stays the same."""
        self.failures: list[WriteError] = []
        """Of sinks that failed while others went on, in their order."""
        self.finished: list[Sink] = []
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
        """The sink that is at work; None between two, and for a sink that never waits for anybody."""
        busy = self._busy
        return None if isinstance(busy, SendingSink) else busy

    @property
    def ended(self) -> bool:
        """True once a failure means that no more results are wanted."""
        return bool(self.failures) and (self._failing == "last" or all(sink in self._watchers for sink in self._open))

    @property
    def all_finished(self) -> bool:
        """True once nothing is left that could be aborted, where there was anything."""
        done = bool(self.finished or self.failures)
        return done and not self._open and not self.left and not self._aborted

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Hand over one result. Raises Closed after `leave`."""
        for sink in tuple(self._open):
            try:
                with self._at(sink):
                    sink.write(frame, segmentation, picture)
            except WriteError as error:
                self._go_on_without(sink, error)

    def close(self, aborted: Callable[[], bool]) -> None:
        """Finish all, one after the other, until `aborted` says so. A sink that raises stays open."""
        while self._open and not aborted():
            sink = self._open[0]
            try:
                with self._at(sink):
                    sink.close()
            except WriteError as error:
                self._go_on_without(sink, error)
            else:
                self._open.remove(sink)
                self.finished.append(sink)

    def abort(self) -> None:
        """Abort what is not finished."""
        while self._open:
            sink = self._open[0]
            self._aborted = True
            with self._at(sink):
                sink.abort()
            self._open.remove(sink)

    def leave(self) -> Sink | None:
        """Take the sinks from their thread; the one it was at is no longer one of them. From any other thread."""
        with self._lock:
            self._owner = None
            sink, self._busy = self._busy, None
            if sink is not None:
                self._open.remove(sink)
                self.left.append(sink)
            return sink

    def _go_on_without(self, sink: Sink, error: WriteError) -> None:
        """Abort a sink that failed. Raises its error where that ends all."""
        if self._failing == "all" or sink in self._watchers:
            raise error
        with self._at(sink):
            sink.abort()
        self._open.remove(sink)
        self.failures.append(error)

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
