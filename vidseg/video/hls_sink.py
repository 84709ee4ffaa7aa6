"""HLS: a playlist and short pieces of video beside it, for browsers, phones and any web server that shows files."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from vidseg.atomic import PART_SUFFIX, refuse_source
from vidseg.errors import SinkError
from vidseg.frames import VideoInfo
from vidseg.video.av_sink import AvSink
from vidseg.video.encoded_pictures import KEY_FRAME_SECONDS
from vidseg.video.encoders import without_delay

PLAYLIST_ENDING = ".m3u8"
_WHOLE_SECONDS = 3 * KEY_FRAME_SECONDS
"""Length of the segments of a whole video; those of a live one are as short as the key frames allow."""
_WINDOW_SEGMENTS = 6
"""What a playlist of a live source lists: a player begins three before the end."""


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
        self._pattern = re.compile(re.escape(self._target.stem) + r"_\d+\.ts(\.tmp)?")
        self._written = False
        left_by_a_killed_run = os.path.exists(f"{self._target}{PART_SUFFIX}")
        segments = list(self._segments())
        if segments and not (overwrite or left_by_a_killed_run or self._target.exists()):
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
            self._clear()
            with contextlib.suppress(OSError):  # the muxer has written it once more
                os.unlink(f"{self._target}{PART_SUFFIX}")

    def _find_muxer(self, path: str) -> str:
        """That of the segments."""
        return "mpegts"

    def _open_container(self) -> Any:
        """The playlist's container; files are touched when the header is written."""
        folder, stem = (text.replace("%", "%%") for text in (str(self._target.parent), self._target.stem))
        options = {"hls_segment_filename": f"file:{folder}/{stem}_%05d.ts"}
        if self._rolling:
            options |= {"hls_time": str(KEY_FRAME_SECONDS), "hls_list_size": str(_WINDOW_SEGMENTS)}
            options |= {"hls_flags": "delete_segments+temp_file+independent_segments"}
            options |= {"start_number": str(int(time.time()))}
        else:
            options |= {"hls_time": str(_WHOLE_SECONDS), "hls_list_size": "0", "hls_playlist_type": "vod"}
            options |= {"hls_flags": "independent_segments"}
        playlist = self._target if self._rolling else self._part.part
        return av.open(f"file:{playlist}", "w", format="hls", options=options)

    def _open_output(self) -> None:
        self._clear()
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
                if self._pattern.fullmatch(entry):
                    yield self._target.parent / entry

    def _clear(self) -> None:
        """Remove the playlist, then its segments."""
        for path in (self._target, *self._segments()):
            with contextlib.suppress(OSError):
                path.unlink()
