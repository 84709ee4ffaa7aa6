"""HLS: a playlist and short pieces of video beside it, for browsers, phones and any web server that shows files."""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import av

from vidseg.atomic import PART_SUFFIX, refuse_source, write_all, write_whole_file
from vidseg.errors import SinkError, WriteError
from vidseg.frames import VideoInfo
from vidseg.sinks.av_sink import AvSink
from vidseg.timing import clock_time
from vidseg.video.audio_track import LONGEST_HOLD_MICROSECONDS
from vidseg.video.encoded_pictures import KEY_FRAME_SECONDS
from vidseg.video.encoders import without_delay

PLAYLIST_ENDING = ".m3u8"
_WHOLE_SECONDS = 3 * KEY_FRAME_SECONDS
"""Length of the segments of a whole video; those of a live one are as short as the key frames allow."""
_WINDOW_SEGMENTS = 6
"""What a playlist of a live source lists: a player begins three before the end."""


_KEPT_SEGMENTS = _WINDOW_SEGMENTS + 3
"""The one that comes next, and two for players that are late."""
_UNFINISHED = ".tmp"
_PLACE = "vidseg:/"
"""Stands before the names that FFmpeg is given, so that it takes none for a file of its own."""


class HlsSink(AvSink):
    """Writes NAME.m3u8 and NAME_00000.ts, NAME_00001.ts ... beside it. Satisfies `vidseg.interfaces.Sink`.

    A whole video (`rolling` False): all segments, and a playlist that appears in `close`, when it is complete. Rolling:
    the playlist is there from the first segment on, is replaced in one step with each, and lists the last ones; older
    segments are removed. `close` ends both with ENDLIST, and so does a full disk if the source is live; a run that is
    killed leaves no playlist with an end.

    With `overwrite`, the old playlist and its segments go when the first picture comes. Numbers of rolling segments
    begin with the time of day, so that players which were there before a restart take them for later ones.
    """

    def __init__(self, path: str | Path, info: VideoInfo, *, rolling: bool, overwrite: bool, **options: Any) -> None:
        """Check all settings and claim the output.

        Args:
            path: of the playlist.
            options: those of `AvSink`, without `alpha`.
        Raises:
            SinkError: as `AvSink`; or segments of another playlist of this name are there.
        """
        self._rolling = rolling
        self._target = Path(os.path.realpath(path))
        # what a run writes, and no more: with overwrite, such files are removed
        self._pattern = re.compile(re.escape(self._target.stem) + r"_(\d{5}|\d{10})\.ts")
        self._written = False
        self._first_number = int(time.time())
        self._failure: OSError | None = None
        """Why a file could not be written."""
        self._made: deque[Path] = deque()
        if not set("%:?#").isdisjoint(self._target.stem):  # players read what is listed as URLs
            raise SinkError(f"{path}: the name of a playlist cannot contain % : ? or #; choose another one")
        left_by_a_killed_run = os.path.exists(f"{self._target}{PART_SUFFIX}")
        segments = list(self._segments())
        self._old = segments if left_by_a_killed_run or self._target.exists() else []
        if segments and not self._old and not overwrite:
            raise SinkError(f"{segments[0]}: exists; overwrite it with -y or choose another name for the playlist")
        super().__init__(path, info, overwrite=overwrite, **options)
        try:
            for segment in segments:
                refuse_source(segment, self._sources)
        except SinkError:
            self.abort()
            raise
        if rolling:
            self._plan = without_delay(self._plan)

    def abort(self) -> None:
        """Drop everything, segments included. Never raises."""
        if self._state == "closed":
            return
        super().abort()
        if self._written:
            self._remove(self._made)
            self._remove([Path(f"{self._target}{PART_SUFFIX}")])  # the muxer has written it once more

    def _find_muxer(self, path: str) -> str:
        """That of the segments."""
        return "mpegts"

    def _open_container(self) -> Any:
        """The playlist's container. Its files are opened here, not by FFmpeg: it would not tell of a full disk."""
        options = {"hls_segment_filename": f"{_PLACE}{self._target.stem}_%05d.ts", "hls_flags": "independent_segments"}
        if self._rolling:
            options |= {"hls_time": str(KEY_FRAME_SECONDS), "hls_list_size": str(_WINDOW_SEGMENTS)}
            options |= {"start_number": str(self._first_number), "max_interleave_delta": str(LONGEST_HOLD_MICROSECONDS)}
        else:
            options |= {"hls_time": str(_WHOLE_SECONDS), "hls_list_size": "0", "hls_playlist_type": "vod"}
        return av.open(f"{_PLACE}{self._target.name}", "w", format="hls", options=options, io_open=self._open_file)

    def _open_file(self, url: str, flags: int, options: dict[str, str]) -> Any:
        """A file that FFmpeg wants to write."""
        path = self._target.parent / url.removeprefix(_PLACE)
        if self._failure is not None:
            return _Nowhere()
        if path == self._target and not self._rolling:
            return _MuxedFile(self._part.part, None, self._note_failure)
        if path != self._target:
            self._made.append(path)
            if self._rolling:
                while len(self._made) > _KEPT_SEGMENTS:
                    with contextlib.suppress(OSError):
                        self._made.popleft().unlink()
        return _MuxedFile(f"{path}{_UNFINISHED}", path, self._note_failure)

    def _note_failure(self, error: OSError) -> None:
        self._failure = self._failure or error

    def _check_written(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _kept(self, error: WriteError) -> WriteError:
        """End the playlist after the last complete segment. The error, saying where that is."""
        self._failure = self._failure or OSError()  # no more is wanted of the muxer
        with contextlib.suppress(Exception):
            if self._output is not None:
                self._output.close()
        self._part.discard()
        self._end()
        try:
            listed = self._target.read_text(encoding="utf-8")
        except OSError:
            self._remove(self._made)
            return error
        with contextlib.suppress(WriteError):  # then players wait for more
            write_whole_file(self._target, listed.encode() + b"#EXT-X-ENDLIST\n")
        numbers = [int(found[1]) for line in listed.splitlines() if (found := self._pattern.fullmatch(line))]
        end = KEY_FRAME_SECONDS * (max(numbers, default=self._first_number) + 1 - self._first_number)
        return error.ending_at(clock_time(min(end, math.floor(self._last_seconds))))

    def _open_output(self) -> None:
        self._remove(self._old)
        self._written = True
        super()._open_output()

    def _before_encoding(self, frame: av.VideoFrame) -> None:
        self._ask_for_key(frame)

    def _commit(self) -> None:
        if self._rolling:
            self._part.discard()
        else:
            super()._commit()

    def _segments(self) -> Iterator[Path]:
        """Segments with the names of this playlist that are there."""
        with contextlib.suppress(OSError):
            for entry in sorted(os.listdir(self._target.parent)):
                if self._pattern.fullmatch(entry.removesuffix(_UNFINISHED)):
                    yield self._target.parent / entry

    def _remove(self, segments: Iterable[Path]) -> None:
        """Remove the playlist, then these segments."""
        for path in (self._target, *segments):
            for name in (path, f"{path}{_UNFINISHED}"):
                with contextlib.suppress(OSError):
                    os.unlink(name)


class _MuxedFile:
    """A file for FFmpeg. Never raises: PyAV prints the traceback of what it cannot hand on. `failed` is told instead.

    Args:
        path: where it is written.
        final: the name that it gets when it is closed; None where it has its name already.
        failed: called with the first error; nothing is written after it.
    """

    def __init__(self, path: str | Path, final: Path | None, failed: Callable[[OSError], None]) -> None:
        self._path, self._final, self._failed = path, final, failed
        self._file: Any = None
        with self._telling():
            self._file = open(path, "wb", buffering=0)  # noqa: SIM115

    def write(self, data: bytes) -> int:
        """All of it, as far as FFmpeg knows."""
        if self._file is not None:
            with self._telling():
                write_all(self._file, data)
        return len(data)

    def close(self) -> None:
        """Give the file its name."""
        if self._file is not None:
            with self._telling():
                self._file.close()
                if self._final is not None:
                    os.replace(self._path, self._final)
            self._file = None

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._failed(error)
            file, self._file = self._file, None
            with contextlib.suppress(OSError):
                if file is not None:
                    file.close()
                if self._final is not None:
                    os.unlink(self._path)


class _Nowhere:
    """A file for FFmpeg whose content is not wanted any more."""

    def write(self, data: bytes) -> int:
        """Nothing."""
        return len(data)

    def close(self) -> None:
        """Nothing."""
