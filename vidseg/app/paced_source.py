"""A file that plays at its own speed, for those who receive it as it plays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

from vidseg.app.watch import Pacer
from vidseg.frames import Frame, VideoInfo
from vidseg.interfaces import VideoSource


class PacedSource:
    """Satisfies `vidseg.interfaces.VideoSource`: the frames of another source, none before its time.

    Frames that are taken late move the schedule, as in `Pacer`. `interrupt` ends the waiting at once.

    Args:
        wait: waits so many seconds, unless the flag is set before; for tests.
    """

    def __init__(
        self,
        source: VideoSource,
        *,
        pacer: Pacer | None = None,
        wait: Callable[[threading.Event, float], object] = lambda stopped, seconds: stopped.wait(seconds),
    ) -> None:
        self._source = source
        self._pacer = pacer or Pacer()
        self._wait = wait
        self._stopped = threading.Event()

    @property
    def info(self) -> VideoInfo:
        """That of the source."""
        return self._source.info

    @property
    def counters(self) -> Mapping[str, int]:
        """Those of the source."""
        return self._source.counters

    def __iter__(self) -> Iterator[Frame]:
        """Yield each frame when it is due."""
        for frame in self._source:
            while not self._stopped.is_set() and (seconds := self._pacer.wait_seconds(frame.seconds)) > 0:
                self._wait(self._stopped, seconds)
            if self._stopped.is_set():
                return
            yield frame

    def interrupt(self) -> None:
        """End now; from any thread."""
        self._stopped.set()
        self._source.interrupt()

    def close(self) -> None:
        """Close the source."""
        self._source.close()
