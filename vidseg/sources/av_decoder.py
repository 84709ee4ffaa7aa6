"""What FFmpeg opens and decodes of a file or stream: its pictures as the decoder gives them out."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from typing import Any, Literal

import av
from av.stream import Discard

from vidseg.audio import AudioMover, AudioQueue
from vidseg.errors import SourceError
from vidseg.names import PIPE, shown_name, url_scheme, without_file_scheme
from vidseg.sources.av_open import HTTP_SCHEMES, LIVE_SCHEMES, open_file, open_pipe, open_url, reason_of, stream_options
from vidseg.sources.hwaccel import decodes_on_device, open_device
from vidseg.sources.lost_frames import LostFrames
from vidseg.sources.pipe_reader import PIPES, PipeReader, is_pipe
from vidseg.sources.source_base import SourceBase
from vidseg.sources.srt_reader import SrtReader
from vidseg.video.audio_reader import AudioDecoder
from vidseg.video.pyav import exact, size_bytes
from vidseg.video.srt_tool import by_tool
from vidseg.video.timeline import FrameTimes
from vidseg.video.video_track import is_encrypted, leave_out_others, main_video, what_else

BAD_PACKETS_BEFORE_GIVING_UP = 100
"""In a row, before the first frame; of a stream ten times as many, for it may be joined long before a key frame."""
MARKED_BEFORE_JOINT = 3
"""Packets before the joint of two MPEG-TS recordings, of which FFmpeg marks one for the counter that does not go on."""
FAILED_READS_BEFORE_GIVING_UP = 100
BAD_PACKETS_BEFORE_SOFTWARE = 30
"""In a row, after the first frame, or at the end of a file: then a device is taken for lost. Of a stream ten times as
many, for a bad line damages as much."""


class AvDecoder(SourceBase):
    """Opens a file or URL, and decodes its main video, and the audio of a stream if it is wanted.

    What is not decodable on the device that is asked for is decoded in software, from the start if need be. Nothing is
    decoded before `_start_decoder`, which gives the first frame; the others come from `_decoder`.

    Args:
        spec: path or URL.
        rtsp_transport: how RTSP carries the picture; "tcp" loses nothing.
        open_timeout, read_timeout: seconds without an answer before a URL is given up; files are not timed.
        hwaccel: what decodes: "none" for software, "auto" for a device if there is one, or one of `hwaccel.KINDS`.
        options: further FFmpeg options by name, e.g. {"analyzeduration": "1000000"}.
        audio: read the main audio track of a stream or pipe, for `info.audio`. That of a file is left to the sinks.
        name: for messages; None for that of `spec`.
    """

    def __init__(
        self,
        spec: str | os.PathLike[str],
        *,
        rtsp_transport: Literal["tcp", "udp"] = "tcp",
        open_timeout: float = 10.0,
        read_timeout: float = 5.0,
        hwaccel: str = "none",
        options: Mapping[str, str] | None = None,
        audio: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self._wants_audio = audio
        text = self._text = without_file_scheme(os.fspath(spec))
        self._name = name or ("standard input" if text == PIPE else shown_name(text))
        self._scheme = url_scheme(text)
        self._open_timeout, self._read_timeout = open_timeout, read_timeout
        self._options = stream_options(self._scheme or "") | dict(options or {})
        if self._scheme in {"rtsp", "rtsps"}:
            self._options.setdefault("rtsp_transport", rtsp_transport)
        self._hwaccel, self._hwaccel_note = hwaccel, ""
        self._once = self._scheme is None and is_pipe(text)
        self._reader: SrtReader | PipeReader | None = None
        self._device, reason = (None, "") if hwaccel == "none" else open_device(hwaccel)
        if self._device is not None and self._once:
            reason = "what comes through a pipe cannot be read again if the device fails"
        if reason:
            self._leave_device(reason)
        self._container = self._open()

    def _open(self) -> av.container.InputContainer:
        """The container, reopened."""
        if self._once:
            return self._open_pipe()
        if self._scheme is None:
            return open_file(self._text, self._name, self._options, self._device)
        timeouts = (self._open_timeout, self._read_timeout)
        self._close_reader()
        reader = self._reader = SrtReader(self._text, self._open_timeout) if by_tool(self._text) else None
        try:
            container = open_url(self._text, self._name, self._options, timeouts, self._device, reader)
        except BaseException:
            self._close_reader()
            raise
        if reader is not None:
            reader.timeout = self._read_timeout
        return container

    def _open_pipe(self) -> av.container.InputContainer:
        try:
            reader = self._reader = PipeReader(self._text)
        except OSError as error:
            raise SourceError(f"{self._name}: {error.strerror}") from None
        try:
            return open_pipe(self._name, self._options, reader)
        except BaseException:
            self._close_reader()
            raise

    def interrupt(self) -> None:
        """End the iteration soon; from any thread."""
        super().interrupt()
        if self._reader is not None:
            self._reader.wake()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def _start_decoder(self) -> av.VideoFrame:
        """Choose the stream of the container just opened, and its first frame."""
        self._stream = self._pick_stream()
        self._live = self._is_live()
        accelerated = self._stream.codec_context.is_hwaccel
        # Frame threads hold back one frame per thread: throughput for files, but delay for a live picture. On a device
        # they gain nothing, and NVDEC fails for want of surfaces where there are many.
        self._stream.thread_type = "SLICE" if self._live or accelerated else "AUTO"
        self._audio_stream = self._pick_audio() if self._wants_audio and (self._live or self._once) else None
        self._audio_decoder = AudioDecoder(self._audio_stream)
        self._heard = AudioQueue()  # since the last frame
        self._audio_mover = AudioMover()
        self._packets_read = 0
        self._last_dts: int | None = None
        step, unit = self._usual_step(), self._stream_time_base()
        self._lost = LostFrames(usual_step=step, time_base=unit)
        self._times = FrameTimes(ordered=self._container.format.name != "avi", usual_step=step, time_base=unit)
        self._begun: list[tuple[int | None, bool]] | None = []
        self._decoder = self._decoded()
        first = next(self._decoder, None)
        if self._device is not None and not (first is not None and decodes_on_device(self._stream.codec_context)):
            self._leave_device(f"does not decode this {self._stream.codec_context.name} video")
            if accelerated and not (self._live and first is not None):  # a file: now with all threads
                self._counters.clear()
                self._container.close()
                self._container = self._open()
                return self._start_decoder()
        if first is None:
            codec = self._stream.codec_context.name
            raise SourceError(
                f"{self._name}: no frame could be decoded ({self._packets_read} {codec} packets read); "
                + (PIPES if self._once else "the file may be damaged or cut off")
            )
        if self._container.format.name == "avi" and self._begun:
            self._times.begin(self._begun, first)
        self._begun = None
        return first

    def _leave_device(self, reason: str) -> None:
        """Decode in software from the next opening on. "auto" is no wish for a device: nobody is told."""
        self._device = None
        if self._hwaccel != "auto":
            self._hwaccel_note = f"--hwaccel {self._hwaccel}: {reason}; decoding in software"

    def _pick_stream(self) -> av.VideoStream:
        """The main stream with moving pictures; all others are told to send nothing."""
        chosen = main_video(self._container, self._open if self._is_file else None)
        if chosen is None:
            raise SourceError(f"{self._name}: no video stream ({what_else(self._container)})")
        if chosen.codec_context is None:
            raise SourceError(f"{self._name}: FFmpeg has no decoder for this video's codec")
        leave_out_others(self._container, chosen)
        return chosen

    def _pick_audio(self) -> av.AudioStream | None:
        """The audio that belongs to the picture, which is to be sent after all."""
        found = self._container.streams.best("audio", related=self._stream)
        if not isinstance(found, av.AudioStream) or found.codec_context is None:
            return None
        found.discard = Discard.default
        return found

    @property
    def _is_file(self) -> bool:
        """True for what can be opened again as often as need be."""
        return self._scheme is None and not self._once

    def _is_live(self) -> bool:
        if self._scheme in HTTP_SCHEMES:
            # A server that tells the size sends a file, even one without a header that could tell its length.
            return self._container.duration is None and size_bytes(self._container) is None
        return self._scheme in LIVE_SCHEMES

    def _frame_rate(self) -> Fraction | None:
        rate = exact(self._stream.average_rate) or exact(self._stream.guessed_rate)
        # some containers put their clock here; no camera makes 1000 pictures a second
        return rate if 0 < rate < 1000 else None

    def _stream_time_base(self) -> Fraction:
        return exact(self._stream.time_base) or Fraction(1, 90_000)

    def _usual_step(self) -> int:
        """Distance of two frames, in units of the stream's time base."""
        return max(1, round(1 / ((self._frame_rate() or 25) * self._stream_time_base())))

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Frames as the decoder gives them out; undecodable packets are counted and left out."""
        patience = 10 if self._live else 1
        limit, lost = BAD_PACKETS_BEFORE_GIVING_UP * patience, BAD_PACKETS_BEFORE_SOFTWARE * patience
        bad, any_frame = 0, False
        given = 0
        recent: deque[bool] = deque(maxlen=MARKED_BEFORE_JOINT)  # marked, and nothing else against them
        for packet in self._packets():
            goes_on = self._lost.packet(packet)
            if not goes_on and any(recent):  # two recordings are joined: what looks like lost data is none
                self._counters["corrupt_packets"] -= sum(recent)
            marked = goes_on and packet.is_corrupt
            if marked:
                self._count("corrupt_packets")
            recent.append(marked)
            try:
                frames = self._stream.decode(packet)
            except av.FFmpegError:
                if not marked:
                    self._count("corrupt_packets")
                bad, recent[-1] = bad + 1, False
                if bad >= limit and not any_frame:
                    return
                if bad >= lost and any_frame and self._device is not None:
                    yield from self._after_lost_device(given)
                    return
                continue
            for frame in frames:
                bad, any_frame = 0, True
                given += 1
                self._lost.frame(frame.pts)
                yield frame
        if bad and any_frame and self._device is not None and not self._live:
            yield from self._after_lost_device(given)  # or damage at the end: software will tell
        else:
            yield from self._flushed()

    def _after_lost_device(self, given: int) -> Iterator[av.VideoFrame]:
        """The frame after those `given` so far, of a decoder in software that gives what follows as well.

        Raises:
            SourceError: a stream cannot be read again; whoever connects to it anew gets what then decodes it.
        """
        if self._live:
            raise SourceError(f"{self._name}: the device that decodes it ({self._hwaccel}) failed")
        self._count("decoding_device_lost")
        self._counters.pop("corrupt_packets", None)  # the real ones are met again
        self._leave_device("failed")
        self._container.close()
        self._container = self._open()
        frame: av.VideoFrame | None = self._start_decoder()
        for _ in range(given):
            frame = next(self._decoder, None)
        if frame is not None:
            yield frame

    def _flushed(self) -> Iterator[av.VideoFrame]:
        """The frames that the decoder still holds."""
        while not self._stop.is_set():
            try:
                frames = self._stream.decode(None)
            except av.EOFError:
                break
            except av.FFmpegError:
                self._count("corrupt_packets")
                continue
            if not frames:
                break
            for frame in frames:
                self._lost.frame(frame.pts)
                yield frame
        if not self._live and self._lost.newest is not None and not self._stop.is_set():
            yield from self._end_again(self._lost.newest)

    def _end_again(self, newest: int) -> Iterator[av.VideoFrame]:
        """The frames behind `newest`, if some are missing, from one thread: where the last packet is damaged, several
        threads give up those before it as well."""
        missing = self._lost.behind(newest)
        if not missing or not self._is_file:
            return
        with suppress(SourceError, av.FFmpegError), self._open() as container:
            stream = container.streams.video[self._container.streams.video.index(self._stream)]
            leave_out_others(container, stream)
            stream.thread_type = "SLICE"
            container.seek(newest, stream=stream)
            for packet in container.demux(stream):
                try:
                    frames = stream.decode(packet if packet.size else None)
                except av.EOFError:
                    return
                except av.FFmpegError:
                    if packet.pts in missing:
                        self._count("corrupt_packets")
                    continue
                for frame in frames:
                    if frame.pts is not None and frame.pts > newest:
                        self._lost.frame(frame.pts)
                        yield frame

    def _packets(self) -> Iterator[Any]:
        """The stream's packets up to its end.

        Raises:
            SourceError: the stream went silent, or the disk or network failed.
        """
        failures = 0
        streams = [stream for stream in (self._stream, self._audio_stream) if stream is not None]
        while not self._stop.is_set():
            try:
                asked = time.monotonic()
                for packet in self._container.demux(*streams):
                    if self._stop.is_set():
                        return
                    if self._scheme is not None and time.monotonic() - asked >= self._read_timeout:
                        # FFmpeg has given up, and hands out what was still in its buffers: an old picture
                        raise SourceError(self._silence())
                    # An empty packet, as demux() gives at the end, tells the decoder that all is over.
                    if packet.size == 0:
                        continue
                    failures = 0
                    if packet.stream is self._audio_stream:
                        for block in self._audio_decoder.decode(packet):
                            self._heard.put(block)
                        continue
                    if is_encrypted(self._stream, packet):
                        raise SourceError(f"{self._name}: the video is encrypted (DRM); give one that is not")
                    self._packets_read += 1
                    if self._begun is not None:
                        self._begun.append((packet.dts, packet.is_keyframe))
                    if packet.dts is not None:
                        self._last_dts = packet.dts
                    yield packet
                    asked = time.monotonic()
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
                    raise SourceError(self._silence()) from None
                raise SourceError(f"{self._name}: reading failed: {reason_of(error)}") from None

    def _silence(self) -> str:
        return f"{self._name}: no data for {self._read_timeout:g} seconds"

    def _release(self) -> None:
        self._container.close()
        self._close_reader()
