"""Frames of a video file or network stream, read with FFmpeg through PyAV.

Every frame keeps its own time; damaged packets are skipped and counted. What to do when a live stream breaks is not
decided here: it is a `SourceError`, and a new source can be opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Literal

import av
from av.stream import Discard, Disposition

from vidseg.errors import SourceError
from vidseg.frames import Frame, VideoInfo
from vidseg.video.av_open import HTTP_SCHEMES, LIVE_SCHEMES, open_file, open_url, reason_of
from vidseg.video.names import expand_user, shown_name, url_scheme, without_file_scheme
from vidseg.video.rgb import RgbConverter
from vidseg.video.source_base import SourceBase
from vidseg.video.timeline import Timeline

BAD_PACKETS_BEFORE_GIVING_UP = 100
"""In a row, before the first frame; of a stream ten times as many, for it may be joined long before a key frame."""
FAILED_READS_BEFORE_GIVING_UP = 100
TRUNCATED_FROM_SECONDS = Fraction(1, 2)
"""A file that ends this much before its announced end is called truncated; less may be rounding or an odd header."""

_CLOCK_TIME = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


class AvSource(SourceBase):
    """Frames of a file or URL, in presentation order, upright RGB, each with the time that the container gives it.

    Opening decodes the first frame, so that size and format in `info` are what really comes out. A file yields all
    that can be decoded. A stream is read as fast as it comes; `interrupt` ends a blocked read only when
    `read_timeout` is over, because FFmpeg cannot be woken earlier.

    Counters: corrupt_packets (could not be decoded, or were marked so), damaged_frames (delivered, with parts that the
    decoder made up), truncated (the file ended early), guessed_pts (frames without a time), non_monotonic_pts (times
    that went back, see `Timeline`), rescaled_frames (frames of another size than the first).

    Args:
        spec: path or URL. Files must exist; `file://` is understood.
        rtsp_transport: how RTSP carries the picture; "tcp" loses nothing.
        open_timeout, read_timeout: seconds without an answer before a URL is given up; files are not timed.
        options: further FFmpeg options by name, e.g. {"analyzeduration": "1000000"}.
    Raises:
        SourceError: not there, not readable, no video in it, or not one frame can be decoded.
    """

    def __init__(
        self,
        spec: str | os.PathLike[str],
        *,
        rtsp_transport: Literal["tcp", "udp"] = "tcp",
        open_timeout: float = 10.0,
        read_timeout: float = 5.0,
        options: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        text = without_file_scheme(os.fspath(spec))
        self._name = shown_name(text)
        self._scheme = url_scheme(text)
        self._read_timeout = read_timeout
        all_options = dict(options or {})
        if self._scheme in {"rtsp", "rtsps"}:
            all_options.setdefault("rtsp_transport", rtsp_transport)
        if self._scheme is None:
            self._container = open_file(text, self._name, all_options)
        else:
            self._container = open_url(text, self._name, all_options, (open_timeout, read_timeout))
        try:
            self._stream = self._pick_stream()
            self._live = self._is_live()
            # Frame threads hold back one frame per thread: throughput for files, but delay for a live picture.
            self._stream.thread_type = "SLICE" if self._live else "AUTO"
            self._packets_read = 0
            self._decoder = self._decoded()
            self._first = self._decode_first()
            self._converter = RgbConverter(self._first)
            self._time_base: Fraction = self._first.time_base or self._stream.time_base or Fraction(1, 90_000)
            self._info = self._describe(text)
        except BaseException:
            self._container.close()
            raise

    def _pick_stream(self) -> av.VideoStream:
        """The main stream with moving pictures, else the largest; all others are told to send nothing."""
        streams = self._container.streams
        pictures = Disposition.attached_pic | Disposition.timed_thumbnails
        videos = [s for s in streams.video if not s.disposition & pictures]
        if not videos:
            raise SourceError(f"{self._name}: no video stream ({_what_else(self._container)})")
        # Of several as large, the first: max() keeps it.
        chosen = max(videos, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height))
        if chosen.codec_context is None:
            raise SourceError(f"{self._name}: FFmpeg has no decoder for this video's codec")
        for other in streams:
            if other is not chosen:
                other.discard = Discard.all
        return chosen

    def _is_live(self) -> bool:
        if self._scheme in HTTP_SCHEMES:
            return self._container.duration is None
        return self._scheme in LIVE_SCHEMES

    def _describe(self, text: str) -> VideoInfo:
        stream, container = self._stream, self._container
        rate = stream.average_rate or stream.guessed_rate or None
        notes = list(self._converter.notes)
        aspect = stream.sample_aspect_ratio
        if aspect and aspect != 1:
            notes.append(f"pixels are not square ({aspect.numerator}:{aspect.denominator}): left as stored")
        duration = self._announced_duration()
        if duration is None and container.duration is not None:
            duration = Fraction(container.duration, av.time_base)
        has_sound = bool(container.streams.audio)
        path = expand_user(text) if self._scheme is None else None
        # a second connection can fetch the sound of a file on a server; a stream is there once
        sound = path or (text if self._scheme in HTTP_SCHEMES and not self._live else None)
        width, height = self._converter.size
        return VideoInfo(
            width=width,
            height=height,
            time_base=self._time_base,
            # Some containers put their clock here; no camera makes 1000 pictures a second.
            frame_rate=Fraction(rate) if rate and rate < 1000 else None,
            frame_count=stream.frames or None,
            duration_seconds=None if self._live or duration is None else float(duration),
            live=self._live,
            has_audio=has_sound,
            audio_path=sound if has_sound else None,
            source_paths=(path,) if path is not None else (),
            notes=tuple(notes),
        )

    def _announced_duration(self) -> Fraction | None:
        """Seconds of picture that the header announces; None where it does not, or speaks of sound as well."""
        stream, container = self._stream, self._container
        if stream.duration is not None and stream.time_base is not None:
            return stream.duration * stream.time_base
        # Matroska keeps it as text, "00:01:02.500000000".
        tagged = _CLOCK_TIME.fullmatch(stream.metadata.get("DURATION", ""))
        if tagged:
            return int(tagged[1]) * 3600 + int(tagged[2]) * 60 + Fraction(tagged[3])
        if container.duration is not None and len(container.streams) == 1:
            return Fraction(container.duration, av.time_base)
        return None

    def _decode_first(self) -> av.VideoFrame:
        first = next(self._decoder, None)
        if first is None:
            codec = self._stream.codec_context.name
            raise SourceError(
                f"{self._name}: no frame could be decoded ({self._packets_read} {codec} packets read); "
                "the file may be damaged or cut off"
            )
        return first

    def _frames(self) -> Iterator[Frame]:
        rate = self._info.frame_rate or 25
        timeline = Timeline(usual_step=max(1, round(1 / (rate * self._time_base))), time_base=self._time_base)
        start = end = None
        index = 0
        frame: av.VideoFrame | None = self._first
        del self._first  # one decoded picture less in memory
        while frame is not None:
            pts = timeline.place(frame.pts, frame.duration or None)
            for event in timeline.events:
                self._count(event)
            if frame.is_corrupt:
                self._count("damaged_frames")
            if not self._converter.fits(frame):
                self._count("rescaled_frames")
            duration = frame.duration or None
            start = pts if start is None else start
            end = pts + (duration or timeline.usual_step)
            yield Frame(self._converter.convert(frame), index, pts, self._time_base, duration)
            index += 1
            frame = next(self._decoder, None)
        if start is not None and end is not None:
            self._judge_end((end - start) * self._time_base, index)

    def _judge_end(self, seconds: Fraction, frames: int) -> None:
        """Count `truncated` when a file stopped well before the end that its header announces."""
        if self._live or self._stop.is_set():
            return
        announced = self._announced_duration()
        missing_time = announced is not None and announced - seconds > TRUNCATED_FROM_SECONDS
        # Without times to compare, the number of packets; frames may be fewer than packets in a sound file.
        missing_packets = announced is None and self._packets_read < self._stream.frames
        if missing_time or missing_packets:
            self._count("truncated")

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Frames as the decoder gives them out; undecodable packets are counted and left out."""
        limit = BAD_PACKETS_BEFORE_GIVING_UP * (10 if self._live else 1)
        bad, any_frame = 0, False
        for packet in self._packets():
            if packet.is_corrupt:
                self._count("corrupt_packets")
            try:
                frames = self._stream.decode(packet)
            except av.FFmpegError:
                if not packet.is_corrupt:
                    self._count("corrupt_packets")
                bad += 1
                if bad >= limit and not any_frame:
                    return
                continue
            for frame in frames:
                bad, any_frame = 0, True
                yield frame
        yield from self._flushed()

    def _flushed(self) -> Iterator[av.VideoFrame]:
        """The frames that the decoder still holds."""
        while not self._stop.is_set():
            try:
                frames = self._stream.decode(None)
            except av.EOFError:
                return
            except av.FFmpegError:
                self._count("corrupt_packets")
                continue
            if not frames:
                return
            yield from frames

    def _packets(self) -> Iterator[av.Packet[av.VideoStream]]:
        """The stream's packets up to its end.

        Raises:
            SourceError: the stream went silent, or the disk or network failed.
        """
        failures = 0
        while not self._stop.is_set():
            try:
                for packet in self._container.demux(self._stream):
                    if self._stop.is_set():
                        return
                    # An empty packet, as demux() gives at the end, tells the decoder that all is over.
                    if packet.size == 0:
                        continue
                    failures = 0
                    self._packets_read += 1
                    yield packet
                return
            except av.InvalidDataError:
                # A damaged place; the next attempt goes on behind it.
                self._count("corrupt_packets")
                failures += 1
                if failures >= FAILED_READS_BEFORE_GIVING_UP:
                    return
            except av.FFmpegError as error:
                if self._stop.is_set():
                    return
                if isinstance(error, av.error.ExitError | av.error.TimeoutError):
                    raise SourceError(f"{self._name}: nothing came for {self._read_timeout:g} seconds") from None
                raise SourceError(f"{self._name}: reading failed: {reason_of(error)}") from None

    def _release(self) -> None:
        self._container.close()


def _what_else(container: av.container.InputContainer) -> str:
    """What a file without video holds: "1 audio stream found", "1 cover picture found", "it is empty"."""
    streams = container.streams
    words = {"audio stream": len(streams.audio), "cover picture": len(streams.video)}
    words["subtitle stream"] = len(streams.subtitles)
    found = [f"{count} {word}{'s' if count > 1 else ''}" for word, count in words.items() if count]
    return f"{', '.join(found)} found" if found else "nothing else either"
