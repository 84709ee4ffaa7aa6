"""What every source has in common: counters, the stop flag, closing once, use in a `with` statement."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

from vidseg.frames import Frame, VideoInfo


class SourceBase(ABC):
    """A `VideoSource` without the reading. A subclass sets `_info`, yields from `_frames` and frees in `_release`.

    Iterating again goes on where the last iteration stopped; after the end, `interrupt` or `close` it yields nothing.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._released = False
        self._counters: dict[str, int] = {}
        self._info: VideoInfo
        self._running: Iterator[Frame] | None = None

    @property
    def info(self) -> VideoInfo:
        """Known before the first frame."""
        return self._info

    @property
    def counters(self) -> Mapping[str, int]:
        """A snapshot of the events so far; a name that is missing has not happened."""
        return dict(self._counters)

    def __iter__(self) -> Iterator[Frame]:
        """Frames until the end, `interrupt` or `close`."""
        if self._running is None:
            self._running = self._frames()
        while not self._stop.is_set():
            frame = next(self._running, None)
            # Asked again: the stop may have come while the frame was awaited.
            if frame is None or self._stop.is_set():
                return
            yield frame

    def interrupt(self) -> None:
        """End the iteration soon; from any thread."""
        self._stop.set()

    def close(self) -> None:
        """Release what is held; safe to call twice."""
        self._stop.set()
        if not self._released:
            self._released = True
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _frames(self) -> Iterator[Frame]:
        """Frames until the end. Called once."""

    def _release(self) -> None:  # noqa: B027 - a source that holds nothing need not say so
        """Free device, file or memory. Called once."""

    def _count(self, event: str) -> None:
        self._counters[event] = self._counters.get(event, 0) + 1
