"""Subtitles and chapters of a source file beside a re-encoded picture stream.

Tracks are copied where the container takes their codec; text in another one is written in the container's own. What
cannot be kept ends in a note; nothing here is a reason to lose the picture.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av

from vidseg.errors import short_reason
from vidseg.video.audio_copy import DISK_ERRORS, language_and_title, open_audio
from vidseg.video.pyav import exact, tags

_TEXT = frozenset({"srt", "subrip", "ass", "ssa", "mov_text", "webvtt", "text"})
_COPYABLE: Mapping[str, frozenset[str]] = {
    "mp4": frozenset({"mov_text"}),
    "mov": frozenset({"mov_text"}),
    "matroska": _TEXT - {"mov_text", "text"} | {"dvdsub", "pgssub", "dvbsub"},
    "webm": frozenset({"webvtt"}),
    "mpegts": frozenset({"dvbsub"}),
}
"""Muxer -> FFmpeg's names of decoders for what it takes."""
_TEXT_ENCODERS: Mapping[str, str] = {"mp4": "mov_text", "mov": "mov_text", "matroska": "srt", "webm": "webvtt"}
_HOLD_CHAPTERS = frozenset({"mp4", "mov", "matroska", "webm"})
_SEEK_BEFORE_SECONDS = 60
"""A subtitle stays this long at most: what begins earlier is not looked for."""


@dataclass
class _Track:
    source: Any
    target: Any
    encoded: bool
    """False: packets are copied."""


@dataclass
class SubtitleCopy:
    """Reads the subtitles of `path` up to a given time at a time.

    Opens the file when constructed, and never raises for its sake. `muxer` is FFmpeg's name of the output container.
    """

    path: str
    muxer: str
    end: Fraction | None = None
    """Seconds in the output at which the pictures are expected to end: none is shown longer."""
    notes: list[str] = field(default_factory=list)
    tracks: list[_Track] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._input: Any = None
        self._origin = Fraction(0)
        self._packets: Iterator[Any] = iter(())
        self._pending: Any = None
        with contextlib.suppress(av.FFmpegError, OSError, ValueError):  # who reads the pictures says so
            self._input = open_audio(self.path)

    def add_streams(self, output: Any, origin: Fraction) -> None:
        """Set the chapters and make the streams in `output`; to be called before its header is written.

        Args:
            origin: time in `path` that is zero in the output, in seconds.
        """
        if self._input is None:
            return
        self._origin = origin
        chapters = [shifted for chapter in self._input.chapters() if (shifted := _shifted(chapter, origin, self.end))]
        left_out: list[str] = []
        if chapters and self.muxer in _HOLD_CHAPTERS:
            output.set_chapters(chapters)
        elif chapters:
            left_out.append("chapters")
        for stream in self._input.streams.subtitles:
            if not self._add_track(output, stream):
                left_out.append(f"subtitle track {stream.index} ({_codec(stream)})")
        if left_out:
            self.notes.append(f"{self.muxer} does not support {', '.join(left_out)}; left out")
        if self.tracks:
            if origin > _SEEK_BEFORE_SECONDS:
                with contextlib.suppress(av.FFmpegError):  # then it is read from the start
                    self._input.seek(int((origin - _SEEK_BEFORE_SECONDS) * av.time_base))
            self._packets = self._demux()

    def pump(self, output: Any, until: Fraction) -> None:
        """Write what begins before `until` (seconds in the output). Raises OSError when the disk fails."""
        while (packet := self._pending or next(self._packets, None)) is not None:
            self._pending = None
            if packet.pts * exact(packet.time_base) - self._origin >= until:
                self._pending = packet
                return
            track = next((track for track in self.tracks if track.source.index == packet.stream_index), None)
            if track is not None:
                self._write(output, track, packet)

    def close(self) -> None:
        """Close the input; safe to call twice."""
        self._packets, self._pending = iter(()), None
        if self._input is not None:
            self._input.close()
            self._input = None

    def _add_track(self, output: Any, stream: Any) -> bool:
        """Make the stream of a track; False if the container does not take it."""
        codec, context = _codec(stream), stream.codec_context
        copied = codec in _COPYABLE.get(self.muxer, ())
        encoder = _TEXT_ENCODERS.get(self.muxer) if codec in _TEXT else None
        try:
            if copied:
                target = output.add_stream_from_template(stream)
            elif encoder is not None:
                context.open(strict=False)
                target = output.add_stream(encoder)
                target.codec_context.subtitle_header = context.subtitle_header
                target.codec_context.time_base = target.time_base = Fraction(1, 1000)
            else:
                return False
        except (av.FFmpegError, ValueError, OSError):
            return False
        target.metadata.update(language_and_title(tags(stream)))
        target.disposition = stream.disposition
        self.tracks.append(_Track(stream, target, not copied))
        return True

    def _demux(self) -> Iterator[Any]:
        """Packets of the subtitles and, to see how far the file is read, of the pictures, in file order."""
        streams = [track.source for track in self.tracks]
        if (pictures := self._input.streams.best("video")) is not None:
            streams.append(pictures)
        try:
            for packet in self._input.demux(streams):
                if packet.size and packet.pts is not None:
                    yield packet
        except (av.FFmpegError, OSError, ValueError) as error:
            self.notes.append(f"the subtitles end early: they cannot be read further ({short_reason(error)})")

    def _write(self, output: Any, track: _Track, packet: Any) -> None:
        unit = exact(packet.time_base)
        start, length = packet.pts - round(self._origin / unit), packet.duration or 0
        if start < 0:
            start, length = 0, length + start
            if length <= 0:
                return  # it was over before the first picture
        if self.end is not None:
            length = min(length, max(0, round(self.end / unit) - start))
        try:
            if track.encoded:
                found = track.source.decode2(packet)
                if found is None or not len(found):
                    return
                packet = track.target.codec_context.encode_subtitle(found)
                packet.time_base = unit
            packet.pts = packet.dts = start
            packet.duration, packet.stream = length, track.target
            output.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            if getattr(error, "errno", None) in DISK_ERRORS:
                raise
            note = f"subtitle track {track.source.index}: parts are left out ({short_reason(error)})"
            if note not in self.notes:
                self.notes.append(note)


def _codec(stream: Any) -> str:
    return "unknown codec" if stream.codec_context is None else str(stream.codec_context.name)


def _shifted(chapter: Any, origin: Fraction, last: Fraction | None) -> Any:
    """The chapter where `origin` is zero, up to `last`; None for one that was over before, or begins after that."""
    unit = exact(chapter["time_base"])
    ticks = round(origin / unit)
    start, end = max(0, chapter["start"] - ticks), chapter["end"] - ticks
    end = end if last is None else min(end, round(last / unit))
    return {**chapter, "start": start, "end": end} if end > start else None
