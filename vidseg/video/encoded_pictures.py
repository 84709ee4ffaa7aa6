"""What all outputs that encode pictures share: the encoder, its input, and the times of the frames."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import av
from av.codec.context import Flags
from av.video.frame import PictureType

from vidseg.atomic import write_failure
from vidseg.cores import limited_cores
from vidseg.errors import WriteError, short_reason
from vidseg.frames import Frame, UInt8Array, VideoInfo
from vidseg.video.encoder_input import EncoderInput
from vidseg.video.encoders import ANIMATIONS, COUNTED, EncoderPlan

_FIXED_TICKS: Mapping[str, Fraction] = {
    "matroska": Fraction(1, 1000),
    "webm": Fraction(1, 1000),
    "mpegts": Fraction(1, 90_000),
    "flv": Fraction(1, 1000),
    "rtsp": Fraction(1, 90_000),
    "gif": Fraction(1, 100),
    "webp": Fraction(1, 1000),
}
"""What a container counts time in, where it has no choice."""
_FINEST_TICK = Fraction(1, 16_000_000)
"""mp4 and mov keep the source's unit down to this one; a finer one would overflow their 32-bit durations."""
_MOST_X264_THREADS = 16
_MICROSECOND = Fraction(1, 1_000_000)
_LONGEST_LEAD_SECONDS = 10
"""A later first frame starts at 0 instead: an hour of nothing before it helps nobody."""
_FALLBACK_RATE = Fraction(25)
KEY_FRAME_SECONDS = 2
"""Distance of the key frames in what is sent on."""


def x264_threads(cores: int) -> int:
    """About as many as x264 takes by itself for so many cores."""
    return min(_MOST_X264_THREADS, cores * 3 // 2)


def encoder_threads(encoder: str) -> int:
    """Threads for the encoder of this name; 0 where it may choose, which it does by all cores of the machine."""
    cores = limited_cores()
    if cores is None:
        return 0
    return x264_threads(cores) if encoder == "libx264" else cores


class EncodedPictures:
    """The base of sinks that encode. The first picture settles size, time unit, zero and rate; all others follow it.

    Remembers the last time: each frame is later than the one before it.
    """

    def __init__(
        self, name: str, info: VideoInfo, *, muxer: str, plan: EncoderPlan, threads: int, rebase: bool | None
    ) -> None:
        """Args:
        name: of the output in messages.
        muxer: FFmpeg's name of the container.
        threads: of the encoder; 0 lets it choose.
        rebase: True makes the first frame's time 0; None does so for live sources and late starts only.
        """
        self._name = name
        self._info = info
        self._muxer = muxer
        self._plan = plan
        self._threads = threads
        self._rebase = rebase
        self._notes: list[str] = []
        self._input: EncoderInput | None = None
        self._tick = Fraction(1, 1000)
        self._origin = self._begins = Fraction(0)
        self._rate = _FALLBACK_RATE
        self._last_pts: int | None = None
        self._last_duration = 1
        self._last_seconds = Fraction(0)
        self._last_key: Fraction | None = None
        self.counters = {"frames": 0, "pts_fixed": 0, "rescaled": 0}
        """frames: written; pts_fixed: times moved to the next tick; rescaled: pictures of another size."""

    def _choose_format(self, frame: Frame, size_hw: tuple[int, int]) -> None:
        """Settle size, time unit, zero and rate by the first picture."""
        self._tick = self._choose_tick(frame)
        self._origin = self._choose_origin(frame)
        self._begins = frame.pts * frame.time_base - self._origin
        rate = self._frame_rate(frame)
        # encoders refuse what no video has
        self._rate = rate if self._muxer in COUNTED else min(max(rate, Fraction(1)), Fraction(240))
        self._input = self._make_input(size_hw)
        if self._input.padded:
            size = f"{size_hw[1]}x{size_hw[0]} to {self._input.width}x{self._input.height}"
            self._notes.append(f"the picture was padded from {size}: this codec needs even sides")

    def _make_input(self, size_hw: tuple[int, int]) -> EncoderInput:
        plan = self._plan
        return EncoderInput(size_hw, plan.pix_fmt, even_sides=plan.even_sides, full_range=plan.encoder.full_range)

    def _add_stream(self, container: Any) -> Any:
        """The stream of the pictures in `container`, with an encoder set up for what was settled."""
        encoder = self._plan.encoder
        stream = container.add_stream(encoder.name, self._rate, dict(self._plan.options), **encoder.hwaccel())
        self._set_up(stream.codec_context)
        if encoder.name == "libx265" and self._muxer in ("mp4", "mov"):
            stream.codec_context.codec_tag = "hvc1"  # what Apple's players look for
        return stream

    def _set_up(self, context: Any) -> None:
        """Give an encoder the size, the time unit and the threads that were settled."""
        assert self._input is not None
        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 prints its settings to stderr unless told otherwise
        context.width, context.height, context.pix_fmt = self._input.width, self._input.height, self._input.pix_fmt
        context.time_base = self._tick
        context.flags |= Flags.frame_duration
        context.thread_count = self._threads or encoder_threads(self._plan.encoder.name)
        context.thread_type = "AUTO"  # PyAV's default, SLICE, costs x264 speed and compression on many cores
        self._input.tag(context)

    def _encoder_frame(self, frame: Frame, picture: UInt8Array) -> av.VideoFrame:
        """`picture` as the encoder takes it, at its time; the first one settles the format."""
        if self._input is None:
            self._choose_format(frame, (picture.shape[0], picture.shape[1]))
        assert self._input is not None
        pts, duration = self._timing(frame)
        converted = self._input.convert(picture, pts, self._tick, duration)
        self.counters["rescaled"] = self._input.rescaled
        return converted

    def _timing(self, frame: Frame) -> tuple[int, int]:
        """pts and duration in ticks; a time that does not follow the last one is moved to the next tick."""
        seconds = frame.pts * frame.time_base - self._origin
        pts = round(seconds / self._tick)
        if self._last_pts is not None and pts <= self._last_pts:
            pts = self._last_pts + 1
            self.counters["pts_fixed"] += 1
        if frame.duration is not None and frame.duration > 0:
            duration = round(frame.duration * frame.time_base / self._tick)
        elif self._info.frame_rate is None and self._last_pts is not None:
            duration = pts - self._last_pts
        else:
            duration = round(1 / (self._frame_rate(frame) * self._tick))
        self._last_pts, self._last_duration, self._last_seconds = pts, max(1, duration), seconds
        return pts, self._last_duration

    def _choose_tick(self, frame: Frame) -> Fraction:
        """The unit of time in the file, in seconds."""
        if self._muxer in COUNTED:
            return 1 / self._frame_rate(frame)
        fixed = _FIXED_TICKS.get(self._muxer)
        if fixed is not None:
            return fixed
        return Fraction(frame.time_base) if frame.time_base >= _FINEST_TICK else _MICROSECOND

    def _choose_origin(self, frame: Frame) -> Fraction:
        """The source's time that is 0 in the file, in seconds."""
        first = frame.pts * frame.time_base
        if self._rebase or (self._rebase is None and self._info.live) or self._muxer in ANIMATIONS:
            return first
        if first < 0 or (self._rebase is None and first > _LONGEST_LEAD_SECONDS) or self._muxer in COUNTED:
            # these count frames from 0 and cannot say that there are none yet
            if not 0 <= first < self._tick:
                self._notes.append(f"times start at 0; the source starts at {float(first):.3f} s")
            return first
        return Fraction(0)

    def _frame_rate(self, frame: Frame) -> Fraction:
        """Frames per second as far as known: in `COUNTED` the rate itself, else a hint."""
        rate = self._info.frame_rate
        if not rate and frame.duration:
            rate = 1 / (frame.duration * frame.time_base)
        return Fraction(rate) if rate and rate > 0 else _FALLBACK_RATE

    def _ask_for_key(self, frame: av.VideoFrame, *, now: bool = False) -> None:
        """Make `frame` a key frame if `now`, or if the last one is some seconds away: there receivers can join in."""
        seconds = frame.pts * self._tick if frame.pts is not None else Fraction(0)
        if now or self._last_key is None or seconds - self._last_key >= KEY_FRAME_SECONDS:
            frame.pict_type = PictureType.I
            self._last_key = seconds

    @contextlib.contextmanager
    def _failures_named(self) -> Iterator[None]:
        """Turn FFmpeg's errors into a WriteError of one line."""
        try:
            yield
        except OSError as error:
            raise WriteError(write_failure(self._name, error)) from error
        except (av.FFmpegError, ValueError) as error:
            name = self._plan.encoder.name
            size = f" at {self._input.width}x{self._input.height}" if self._input is not None else ""
            reason = short_reason(error)
            raise WriteError(f"{self._name}: {name} failed{size} ({reason})") from error
