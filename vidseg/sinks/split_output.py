"""Long recordings in files: a new one begins on the clock, or where one has become large, and no frame is between."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidseg.atomic import PART_SUFFIX
from vidseg.errors import SinkError, WriteError
from vidseg.frames import Frame, Segmentation, UInt8Array
from vidseg.interfaces import Sink
from vidseg.sinks.wrapped_sink import WrappedSink
from vidseg.video.audio_track import LATE_SECONDS

_CODES = re.compile(r"%[aAbBdFHIjmMpSTuUwWyYzZ]")
_FULL = 0.98
"""Of the size asked for: what the encoder still holds, and the index of a file, come behind."""


def has_time(path: str) -> bool:
    """Whether a name has the time in it, as `strftime` writes it."""
    return bool(_CODES.search(path.replace("%%", "")))


@dataclass(frozen=True, slots=True)
class SplitRule:
    """When a new file begins: after so many seconds, or so many bytes."""

    seconds: float | None = None
    size: int | None = None


class Splitter:
    """Says to which file a frame belongs, the same to all outputs of a run. Remembers the last frame asked for.

    Seconds of a live source are cut where the local time is a multiple of them: hours at full hours. Those of a file
    are counted from its first frame, and its files are named as if it had begun to play when the run did.
    """

    def __init__(self, rule: SplitRule, *, live: bool, clock: Callable[[], float] = time.time) -> None:
        self._rule = rule
        self._live = live
        self._clock = clock
        self.began = self.stamp = clock()
        """When the run began, and the current file."""
        self.number = 0
        """Of the current file."""
        self.size: Callable[[], int] = lambda: 0
        """Bytes of the video's current file."""
        self._asked: int | None = None
        self._first: float | None = None
        self._period: int | None = None

    def at(self, frame: Frame) -> int:
        """The number of the file that the frame belongs to."""
        if frame.index == self._asked:
            return self.number
        self._asked = frame.index
        self._first = frame.seconds if self._first is None else self._first
        now = self._clock() if self._live else self.began + frame.seconds - self._first
        if self._rule.seconds is not None:
            local = now + time.localtime(now).tm_gmtoff if self._live else now - self.began + 1e-6
            period = int(local // self._rule.seconds)
            full = self._period is not None and period != self._period
            self._period = period
        else:
            full = self.size() >= _FULL * (self._rule.size or 0)
        if full:
            self.number, self.stamp = self.number + 1, now
        return self.number


class SplitOutput(WrappedSink):
    """An output in files, each finished when the next begins; the sink inside is the current file.

    Args:
        pattern: name of the files, with the time as `strftime` writes it.
        open_part: makes the output of one file; raises SinkError.
    Raises:
        SinkError: the first file cannot be had.
    """

    def __init__(self, pattern: str, open_part: Callable[[str], Sink], splitter: Splitter, *, video: bool) -> None:
        self._pattern = pattern
        self._open_part = open_part
        self._splitter = splitter
        self._video = video
        self._number = splitter.number
        self._notes: list[str] = []
        self._done: list[str] = []
        self._path = ""
        self._last: tuple[Sink, str, Fraction] | None = None
        """The file before, its name and its end, while it waits for audio, which may come after its pictures."""
        super().__init__(self._open())

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of all files, each once, and how many there are."""
        count = len(self._done)
        files = f"{count} files, {self._done[0]} to {self._done[-1]}" if count > 1 else f"1 file, {self._path}"
        return (*dict.fromkeys(self._notes), files)

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Take one frame. Raises WriteError."""
        number, seconds = self._splitter.at(frame), frame.pts * Fraction(frame.time_base)
        if number != self._number:
            self._finish_last()
            self._last = self._sink, self._path, seconds
            self._number = number
            try:
                self._sink = self._open()
            except SinkError as error:
                self._finish_last()
                raise WriteError(str(error)) from error
        if self._last is not None and not self._is_awaited(seconds):
            self._finish_last()
        self._sink.write(frame, segmentation, picture)

    def close(self) -> None:
        """Finish the current file. Raises WriteError."""
        try:
            self._finish_last()
        finally:  # one that fails costs the other nothing
            if self._path not in self._done:
                self._finish(self._sink, self._path)

    def abort(self) -> None:
        """Give up the current file. Never raises."""
        with suppress(WriteError):
            self._finish_last()
        super().abort()

    def _is_awaited(self, seconds: Fraction) -> bool:
        """Whether audio of the file before may still come; what is there is written."""
        assert self._last is not None
        sink, _, end = self._last
        hear = getattr(sink, "hear", None)
        return hear is not None and hear(end) and 0 <= seconds - end < LATE_SECONDS

    def _finish_last(self) -> None:
        if self._last is not None:
            (sink, path, _), self._last = self._last, None
            self._finish(sink, path)

    def _finish(self, sink: Sink, path: str) -> None:
        sink.close()
        self._done.append(path)
        self._notes += sink.notes

    def _open(self) -> Sink:
        path = time.strftime(self._pattern, time.localtime(self._splitter.stamp))
        stem, ending = os.path.splitext(path)
        if self._number:  # a recording under way does not end for a name that is taken
            for copy in range(2, 10_000):
                if not os.path.lexists(path) and path != self._path:
                    break
                path = f"{stem}_{copy}{ending}"
        if has_time(os.path.dirname(self._pattern)):
            with suppress(OSError):  # who opens the file says so
                Path(path).parent.mkdir(parents=True, exist_ok=True)
        sink = self._open_part(path)
        self._path = path
        if self._video:
            self._splitter.size = lambda: _bytes_of(f"{path}{PART_SUFFIX}")
        return sink


def _bytes_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
