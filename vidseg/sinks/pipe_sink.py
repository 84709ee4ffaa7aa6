"""Video into a pipe, from its start to its end, for a program that reads it as it is made."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from vidseg.atomic import write_all
from vidseg.errors import SinkError, WriteError
from vidseg.frames import Frame, Segmentation, UInt8Array, VideoInfo
from vidseg.names import STANDARD_OUTPUT
from vidseg.sinks.av_sink import AvSink, Claim
from vidseg.sinks.whole_part import CLUSTERS
from vidseg.timing import clock_time
from vidseg.video.audio_track import LONGEST_HOLD_MICROSECONDS
from vidseg.video.encoders import COUNTED, PIPE_MUXERS, without_delay


class PipeSink(AvSink):
    """Writes one video into a descriptor. Satisfies `vidseg.interfaces.SendingSink`.

    A reader that is slow is waited for: what comes from a live source meanwhile is left out before it is segmented. One
    that goes away is no failure: `given_up` says so, and nothing more is written.

    y4m has neither times nor audio: a picture stays for as many frames of the source's rate as its time takes.
    """

    def __init__(self, descriptor: int, info: VideoInfo, *, format: str = "matroska", **options: Any) -> None:
        """Check all settings.

        Args:
            descriptor: is closed in the end.
            format: one of `PIPE_MUXERS`.
            options: those of `AvSink`, without `overwrite` and `alpha`.
        Raises:
            SinkError: a setting is wrong.
        """
        self._format = format
        self._file = _Written(descriptor)
        self._shown: av.VideoFrame | None = None
        self._coming: av.VideoFrame | None = None
        self.given_up: str | None = None
        """That the reader is gone; None while it is there."""
        super().__init__(STANDARD_OUTPUT, info, overwrite=True, **options)
        self.counters |= {"lost_frames": 0, "reconnects": 0}
        self._keep = False  # a pipe has no name to give
        if info.live:
            self._plan = without_delay(self._plan)

    @property
    def notes(self) -> tuple[str, ...]:
        """As `AvSink`; with that of a reader that went away."""
        return super().notes if self.given_up is None else (*super().notes, self.given_up)

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Write `picture`, (H', W', 3) uint8 RGB, unless the reader is gone. Raises WriteError."""
        if self.given_up is None:
            super().write(frame, segmentation, picture)

    def close(self) -> None:
        """Write what is left and close the descriptor. Raises WriteError: no frame was written, or writing failed."""
        if self.given_up is None:
            super().close()
        else:
            self.abort()

    def _claim(self, overwrite: bool) -> Claim:
        return self._file

    def _find_muxer(self, path: str) -> str:
        return PIPE_MUXERS[self._format]

    def _open_container(self) -> Any:
        options = {"flush_packets": "1"}
        if self._info.live:
            options["max_interleave_delta"] = str(LONGEST_HOLD_MICROSECONDS)
            options |= CLUSTERS if self._muxer == "matroska" else {}
        return av.open(self._file, "w", format=self._muxer, options=options)

    def _check_written(self) -> None:
        failure = self._file.failure
        if failure is None:
            return
        if failure.errno != errno.EPIPE:
            raise failure
        if self.given_up is None:
            end = clock_time(math.floor(self._last_seconds))
            self.given_up = f"{self._name}: the reader closed the pipe at {end}"

    def _before_encoding(self, frame: av.VideoFrame) -> None:
        if self._info.live and self._muxer not in COUNTED:
            self._ask_for_key(frame)
        self._coming = frame

    def _pump(self, until: Fraction) -> None:
        super()._pump(until)
        if self._muxer not in COUNTED:
            return
        frame, self._shown = self._shown, self._coming
        if frame is not None and frame.pts is not None:
            for pts in range(frame.pts + 1, round(until / self._tick)):
                frame.pts = pts
                self._output.mux(self._stream.encode(frame))


class _Written:
    """A descriptor as a file for FFmpeg, which cannot go back in it. `write` never raises: PyAV prints the traceback of
    what it cannot hand on. Nothing is written after a failure."""

    part = Path(os.devnull)

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self.failure: OSError | None = None
        """Why no more is written."""

    def write(self, data: bytes) -> int:
        """All of it, as far as FFmpeg knows."""
        if self.failure is None:
            try:
                write_all(self._file, data)
            except OSError as error:
                self.failure = error
        return len(data)

    def commit(self, *, keep: bool = False) -> None:
        """Close the descriptor. Raises WriteError."""
        try:
            self._file.close()
        except OSError as error:
            raise WriteError(f"{STANDARD_OUTPUT}: {error.strerror}") from error

    def discard(self) -> None:
        """Close the descriptor: its reader is to see an end."""
        self.failure = self.failure or OSError()
        with contextlib.suppress(OSError):
            self._file.close()


def refuse_terminal() -> None:
    """Raises SinkError if standard output is no place for a video."""
    try:
        terminal = os.isatty(sys.__stdout__.fileno()) if sys.__stdout__ is not None else False
    except (OSError, ValueError):
        terminal = False
    if terminal:
        raise SinkError("-o -: standard output is a terminal; redirect it, as in: vidseg run clip.mp4 -o - | ffplay -")


def take_stdout() -> int:
    """A descriptor of standard output for a video alone: what is printed there from now on goes to standard error.

    Raises:
        SinkError: it is closed.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError as error:
        raise SinkError(f"-o -: standard output cannot be written ({error.strerror}); redirect it") from None
    with contextlib.suppress(OSError):  # no standard error
        os.dup2(2, 1)
    return kept
