"""HLS: a playlist and short pieces of video beside it, for browsers, phones and any web server that shows files."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import av

from vidseg.atomic import PART_SUFFIX, refuse_source
from vidseg.errors import SinkError
from vidseg.frames import VideoInfo
from vidseg.video.av_sink import AvSink
from vidseg.video.encoded_pictures import KEY_FRAME_SECONDS
from vidseg.video.encoders import without_delay
from vidseg.video.sound_track import LONGEST_HOLD_MICROSECONDS

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
    segments are removed. `close` ends both with ENDLIST; a run that is killed leaves no playlist with an end.

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
        self._made: deque[Path] = deque()
        if not set("%:?#").isdisjoint(self._target.stem):  # players read what is listed as URLs
            raise SinkError(f"{path}: the name of a playlist cannot hold % : ? or #; choose another one")
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
            options |= {"start_number": str(int(time.time())), "max_interleave_delta": str(LONGEST_HOLD_MICROSECONDS)}
        else:
            options |= {"hls_time": str(_WHOLE_SECONDS), "hls_list_size": "0", "hls_playlist_type": "vod"}
        return av.open(f"{_PLACE}{self._target.name}", "w", format="hls", options=options, io_open=self._open_file)

    def _open_file(self, url: str, flags: int, options: dict[str, str]) -> Any:
        """A file that FFmpeg wants to write."""
        path = self._target.parent / url.removeprefix(_PLACE)
        if path == self._target and not self._rolling:
            return open(self._part.part, "wb", buffering=0)
        if path != self._target:
            self._made.append(path)
            if self._rolling:
                while len(self._made) > _KEPT_SEGMENTS:
                    self._made.popleft().unlink(missing_ok=True)
        return _FileInOneStep(path)

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


class _FileInOneStep:
    """A file for FFmpeg that has its name when it is closed; before that it is called NAME.tmp."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open(f"{path}{_UNFINISHED}", "wb", buffering=0)  # noqa: SIM115

    def write(self, data: bytes) -> int:
        """As of any file; all of it."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        return len(data)

    def close(self) -> None:
        """Give the file its name."""
        if not self._file.closed:
            self._file.close()
            os.replace(f"{self._path}{_UNFINISHED}", self._path)
