"""Frames of a video file or network stream, read with FFmpeg through PyAV.

Every frame keeps its own time; damaged packets are skipped and counted. What to do when a live stream breaks is not
decided here: it is a `SourceError`, and a new source can be opened.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from typing import Any

import av

from vidseg.audio import AudioQueue
from vidseg.errors import ResumeError, SourceError
from vidseg.frames import Frame, UInt8Array, VideoInfo
from vidseg.names import expand_user
from vidseg.saved_state import State
from vidseg.sources.announced import announced_seconds, ends_early
from vidseg.sources.av_decoder import AvDecoder
from vidseg.sources.av_open import HTTP_SCHEMES
from vidseg.sources.lost_frames import ONE_PICTURE_EACH, UNTOLD_FROM, LostFrames
from vidseg.sources.resume_place import Tail, digest, is_searchable, starts_before
from vidseg.sources.rgb import RgbConverter
from vidseg.sources.seeking import HEAD_FRAMES, SeekPlace, end_of, find_place
from vidseg.video.pyav import exact
from vidseg.video.timeline import Timeline, has_discontinuous_clock


class AvSource(AvDecoder):
    """Frames of a file or URL, in presentation order, upright RGB, each with the time that the container gives it.

    Opening decodes the first frame, so that size and format in `info` are what really comes out. A file yields all
    that can be decoded. A stream is read as fast as it comes; `interrupt` ends a blocked read only when
    `read_timeout` is over, because FFmpeg cannot be woken earlier; SRT by `SrtReader` can.

    What cannot be decoded on the device that `hwaccel` names is decoded in software. When a device is lost, a file is
    decoded in software from its start up to that place and from there on; a stream is a `SourceError`.

    Counters: corrupt_packets (could not be decoded, or were marked so), damaged_frames (delivered, with parts that the
    decoder made up), truncated (the file ended early), guessed_pts (frames without a time), non_monotonic_pts (times
    that went back, see `Timeline`), rescaled_frames (frames of another size than the first), decoding_device_lost.

    Args:
        spec: path or URL. Files must exist; `file://` is understood. A named pipe is read once, as a file is.
        decoding: as of `AvDecoder`.
        audio_address: where the audio of a video without any is, for the sinks.
    Raises:
        SourceError: not there, not readable, no video in it, or not one frame can be decoded.
    """

    def __init__(
        self,
        spec: str | os.PathLike[str],
        *,
        audio_address: str | None = None,
        **decoding: Any,
    ) -> None:
        super().__init__(spec, **decoding)
        try:
            first = self._start_decoder()
            self._first: av.VideoFrame | None = first
            self._first_aspect = self._stored_aspect()
            self._converter = RgbConverter(first, exact(self._stream.sample_aspect_ratio) or None)
            self._time_base = exact(first.time_base) or self._stream_time_base()
            self._zero = 0 if self._container.format.name == "avi" else first.pts or 0
            self._info = self._describe(self._text)
            if audio_address is not None and not self._live:
                self._info = replace(self._info, has_audio=True, audio_path=audio_address)
        except BaseException:
            self._release()
            raise
        self._timeline = Timeline(
            usual_step=self._usual_step(),
            time_base=self._time_base,
            discontinuous=not self._live and has_discontinuous_clock(self._container),
        )
        self._index = 0
        self._start_pts: int | None = None
        self._end_pts = 0
        self._tail = Tail()
        self._wanted: State | None = None

    def state(self) -> State:
        """The place of the next frame; to be asked between two frames."""
        return {
            "index": self._index,
            "start_pts": self._start_pts,
            "end_pts": self._end_pts,
            "packets_read": self._packets_read,
            "timeline": self._timeline.state(),
            "counters": dict(self._counters),
            "lost": self._lost.state(),
            "times": self._times.state(),
            "tail": self._tail.state(),
        }

    def restore(self, state: State) -> None:
        """Go on at the place of `state`, found again by its key frame or else by decoding from the start.

        The first frame then raises ResumeError if the frames before that place do not come out as they did.
        """
        assert self._index == 0 and self._running is None, "restore comes before the first frame"
        self._wanted = state

    @property
    def zero_seconds(self) -> Fraction:
        """Time of the first frame, which parts are counted from."""
        return (self._zero if self._start_pts is None else self._start_pts) * self._time_base

    def length_seconds(self) -> Fraction | None:
        """From the first frame to the end of the last, as the packets say; None for streams and pipes."""
        if self._live or self._once:
            return None
        try:
            end = end_of(self._open, self._video_number, self._usual_step())
        except (av.FFmpegError, SourceError):
            end = None
        return None if end is None else end * self._stream_time_base() - self.zero_seconds

    @property
    def _video_number(self) -> int:
        return self._container.streams.video.index(self._stream)

    def _describe(self, text: str) -> VideoInfo:
        stream, container = self._stream, self._container
        notes = list(self._converter.notes)
        if self._device is not None:
            notes.append(f"decoded by {self._stream.codec_context.pix_fmt}, not in software")
        elif self._hwaccel_note:
            notes.append(self._hwaccel_note)
        duration = announced_seconds(container, stream)
        if duration is None and container.duration is not None:
            duration = Fraction(container.duration, av.time_base)
        has_audio = bool(container.streams.audio)
        path = expand_user(text) if self._is_file else None
        # a second connection can fetch the audio of a file on a server; a stream is there once
        audio = path or (text if self._scheme in HTTP_SCHEMES and not self._live else None)
        width, height = self._converter.size
        return VideoInfo(
            width=width,
            height=height,
            time_base=self._time_base,
            frame_rate=self._frame_rate(),
            frame_count=stream.frames or None,
            duration_seconds=None if self._live or duration is None else float(duration),
            live=self._live,
            has_audio=has_audio,
            audio_path=audio if has_audio else None,
            audio=None if self._audio_stream is None else AudioQueue(),
            source_paths=(path,) if path is not None else (),
            notes=tuple(notes),
        )

    def _frames(self) -> Iterator[Frame]:
        frame = self._first
        self._first = None  # one decoded picture less in memory
        if self._wanted is not None and self._wanted["index"]:
            frame = self._found_again(self._wanted, frame)
        elif self.part.start:
            frame = self._sought(frame)
        while frame is not None:
            own = self._times.of(frame)
            pts = self._passed(frame, own)
            if pts * self._time_base - self.zero_seconds < self.part.start:
                self._heard.take()
                frame = next(self._decoder, None)
                continue
            image = self._picture(frame)
            self._tail.add(own, image)
            self._hand_on_audio(pts)
            yield Frame(image, self._index - 1, pts, self._time_base, frame.duration or None)
            frame = next(self._decoder, None)
        if self._once and self._index:
            self._hand_on_audio(self._end_pts)
        self._judge_end()

    def _picture(self, frame: av.VideoFrame) -> UInt8Array:
        """(H, W, 3) uint8 RGB, upright, pixels square."""
        aspect = self._stored_aspect()  # a broadcast goes from 4:3 to 16:9 and back in one size
        if aspect is None or aspect == self._first_aspect:
            aspect = exact(self._stream.sample_aspect_ratio) or None
        return self._converter.convert(frame, aspect)

    def _stored_aspect(self) -> Fraction | None:
        """Of the pixels of the last decoded frame, as its codec tells it."""
        return exact(self._stream.codec_context.sample_aspect_ratio) or None

    def _passed(self, frame: av.VideoFrame, own: int | None) -> int:
        """Count the next frame, of this time, and what is odd about it; the time that it is given."""
        timeline = self._timeline
        pts = timeline.place(own, frame.duration or None)
        for event in timeline.events:
            self._count(event)
        if frame.is_corrupt:
            self._count("damaged_frames")
        if not self._converter.fits(frame):
            self._count("rescaled_frames")
        self._start_pts = pts if self._start_pts is None else self._start_pts
        self._end_pts = pts + (frame.duration or timeline.usual_step)
        self._index += 1
        return pts

    def _hand_on_audio(self, pts: int) -> None:
        """Give out what was heard before the frame of this time, moved as the frame was."""
        if self._info.audio is not None:
            shift = self._timeline.offset * self._time_base
            for block in self._audio_mover.moved(self._heard.take(), pts * self._time_base - shift, shift):
                self._info.audio.put(block)

    def _found_again(self, wanted: State, first: av.VideoFrame | None) -> av.VideoFrame | None:
        """The frame at the place `wanted`; None at the end. Raises ResumeError if the file decodes differently now."""
        if is_searchable(wanted):
            for start in starts_before(wanted["tail"], self._time_base):
                if self._seek(start, wanted["tail"]):
                    self._index, self._start_pts = wanted["index"], wanted["start_pts"]
                    self._end_pts, self._packets_read = wanted["end_pts"], wanted["packets_read"]
                    self._counters = dict(wanted["counters"])
                    self._lost.restore(wanted["lost"])
                    self._times.restore(wanted["times"])
                    self._timeline.restore(wanted["timeline"])
                    self._tail.restore(wanted["tail"])
                    return next(self._decoder, None)
            self._counters.clear()
            self._container.close()
            self._container = self._open()
            first = self._start_decoder()
        return self._read_up_to(wanted, first)

    def _sought(self, first: av.VideoFrame | None) -> av.VideoFrame | None:
        """The frame at which the part begins, if there is a sure way to it; else the first of all."""
        if first is None or first.pts is None or self._live or self._once or self._device is not None:
            return first
        target = first.pts + math.ceil(self.part.start / self._time_base)
        try:
            place = find_place(self._open, self._video_number, first.pts, target)
        except (av.FFmpegError, SourceError):
            place = None
        if place is None:
            return first
        head = [first, *islice(self._decoder, HEAD_FRAMES - 1)]
        if [frame.pts for frame in head] == place.times[: len(head)]:
            for start in place.starts(self._time_base):
                if (frame := self._decoded_at(place, start)) is not None:
                    return frame
        self._counters.clear()
        self._container.close()
        self._container = self._open()
        return self._start_decoder()

    def _decoded_at(self, place: SeekPlace, start: int) -> av.VideoFrame | None:
        """The frame at the place, decoded from `start` on; None if another one came on the way than the packets say."""
        try:
            self._container.seek(start, stream=self._stream)
        except av.FFmpegError:
            return None
        self._lost = LostFrames(usual_step=self._usual_step(), time_base=self._stream_time_base())
        self._times.forget()
        self._packets_read = place.packets
        self._decoder = self._decoded()
        expected = iter(place.times[place.key : place.number + 1])
        for frame in self._decoder:
            if frame.pts is None or frame.is_corrupt:
                return None
            if frame.pts < place.times[place.key]:
                continue
            if frame.pts != next(expected):
                return None
            if frame.pts == place.times[place.number]:
                self._index, self._start_pts = place.number, place.times[0]
                self._timeline.restore({"offset": 0, "last": place.times[place.number - 1], "next": frame.pts})
                return frame
        return None

    def _seek(self, start: int, tail: list[list[int | None]]) -> bool:
        """Go to the key frame before `start`, read past the frames of `tail`; True if they were all as they were."""
        try:
            self._container.seek(start, stream=self._stream)
        except av.FFmpegError:
            return False
        self._decoder = self._decoded()
        left = iter(tail)
        expected = next(left)
        self._times.forget()
        for frame in self._decoder:
            pts = self._times.of(frame)
            if pts is None:
                return False
            assert expected[0] is not None
            if pts < expected[0] and expected is tail[0]:
                continue
            if [pts, digest(self._picture(frame))] != expected:
                return False
            if (following := next(left, None)) is None:
                return True
            expected = following
        return False

    def _read_up_to(self, wanted: State, first: av.VideoFrame | None) -> av.VideoFrame | None:
        """Read from the start to the place `wanted`."""
        frame = first
        while frame is not None and self._index < wanted["index"]:
            own = self._times.of(frame)
            self._passed(frame, own)
            if self._index > wanted["index"] - len(wanted["tail"]):
                self._tail.add(own, self._picture(frame))
            frame = next(self._decoder, None)
        if not self._stop.is_set() and (self._index, self._tail.state()) != (wanted["index"], wanted["tail"]):
            raise ResumeError(f"{self._name}: its frames differ from those read before; start the run again")
        return frame

    def _judge_end(self) -> None:
        """Count what is missing of a file: pictures that did not come, and the end."""
        if self._live or self._stop.is_set() or self._start_pts is None:
            return
        self._lost.ended()
        if self._stream.codec_context.name not in ONE_PICTURE_EACH or self._container.format.name == "avi":
            self._lost.count = 0
        told = any(self._counters.get(name) for name in ("corrupt_packets", "damaged_frames"))
        if self._lost.count and (told or self._lost.count >= UNTOLD_FROM):
            self._counters["lost_frames"] = self._lost.count
        # where the clock jumped, durations mean nothing
        if not self._timeline.offset and ends_early(
            self._container,
            self._stream,
            path=self._info.source_paths[0] if self._info.source_paths else None,
            # some headers tell how long it is, some when it ends
            seconds=(self._end_pts - min(self._start_pts, 0)) * self._time_base,
            step=self._timeline.usual_step * self._time_base,
            last_dts=self._last_dts,
            packets=self._packets_read,
        ):
            self._count("truncated")
