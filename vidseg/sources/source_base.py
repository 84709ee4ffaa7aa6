"""What every source has in common: counters, the stop flag, closing once, use in a `with` statement."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Self

from vidseg.frames import Frame, VideoInfo
from vidseg.sources.picture_change import PictureChange
from vidseg.sources.time_range import TimeRange


class SourceBase(ABC):
    """A `VideoSource` without the reading. A subclass sets `_info`, yields from `_frames` and frees in `_release`.

    Iterating again goes on where the last iteration stopped; after the end, `interrupt` or `close` it yields nothing.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._released = False
        self._counters: dict[str, int] = {}
        self._info: VideoInfo
        self._whole: VideoInfo | None = None
        self._running: Iterator[Frame] | None = None
        self._change: PictureChange | None = None
        self.part = TimeRange()
        """What is asked for of it; see `keep`."""

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
            behind = frame.pts * frame.time_base - self.zero_seconds
            if self.part.end is not None and behind >= self.part.end:
                self._stop.set()
                return
            if behind >= self.part.start:
                if self._change is not None:
                    frame.image = self._change.apply(frame.image)
                yield frame

    def change(self, change: PictureChange, name: str) -> None:
        """Yield changed pictures; to be said before the first, and before `keep`. `info` speaks of them then.

        Raises:
            ConfigError: nothing of that kind can be made of these; names the source as `name`.
        """
        width, height = change.size(name, self._info.width, self._info.height)
        self._change, self._info = change, replace(self._info, width=width, height=height)

    def keep(self, part: TimeRange) -> None:
        """Yield the frames of this part only, with the numbers and times that they have; to be said before the first.

        `info` speaks of the part then.
        """
        assert self._running is None, "keep comes before the first frame"
        self.part = part
        self._whole = info = self.whole_info
        end = part.end
        if info.duration_seconds is not None:
            length = Fraction(info.duration_seconds)
            end = length if end is None else min(end, length)
        seconds = None if end is None else max(Fraction(0), end - part.start)
        rate = info.frame_rate
        self._info = replace(
            info,
            duration_seconds=None if seconds is None else float(seconds),
            frame_count=None if seconds is None or rate is None else round(seconds * rate),
        )

    @property
    def zero_seconds(self) -> Fraction:
        """Time of the first frame of all, which parts are counted from."""
        return Fraction(0)

    @property
    def whole_info(self) -> VideoInfo:
        """`info` as it is of all frames, whatever part is kept."""
        return self._whole or self._info

    def length_seconds(self) -> Fraction | None:
        """From the first frame to the end of the last, whatever part is kept; None where unknown."""
        seconds = self.whole_info.duration_seconds
        return None if seconds is None else Fraction(seconds).limit_denominator(1_000_000)

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

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def _frames(self) -> Iterator[Frame]:
        """Frames until the end. Called once."""

    def _release(self) -> None:  # noqa: B027 - a source that holds nothing need not say so
        """Free device, file or memory. Called once."""

    def _count(self, event: str) -> None:
        self._counters[event] = self._counters.get(event, 0) + 1
