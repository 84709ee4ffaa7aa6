"""Plays a file at its own speed, for viewers and receivers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from vidseg.frames import Frame
from vidseg.interfaces import VideoSource
from vidseg.wiring.wrapped_source import WrappedSource


class Pacer:
    """Says how long a frame has to wait, so that a file plays at its own speed and never faster.

    Remembers when the first frame was due; `reset` after a pause. A frame that comes late moves the whole schedule,
    so that playing slows down instead of rushing afterwards.
    """

    speed = 1.0
    """Seconds of the file in a second; `reset` after a change."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._offset: float | None = None

    def wait_seconds(self, frame_seconds: float) -> float:
        """Seconds until the frame with this presentation time is due; 0 when it is due or late."""
        now, frame_seconds = self._clock(), frame_seconds / self.speed
        if self._offset is None or now - frame_seconds > self._offset:
            self._offset = now - frame_seconds
        # a jump in time stamps must not freeze the window
        return min(frame_seconds + self._offset - now, 10.0)

    def reset(self) -> None:
        """Start the schedule at the next frame."""
        self._offset = None


class PacedSource(WrappedSource[VideoSource]):
    """The frames of another source, none before its time.

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
        super().__init__(source)
        self._pacer = pacer or Pacer()
        self._wait = wait
        self._stopped = threading.Event()

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
        super().interrupt()
