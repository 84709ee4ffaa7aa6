"""Frames of the screen, through FFmpeg: x11grab under X, AVFoundation on macOS."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from vidseg.errors import ConfigError, SourceError
from vidseg.frames import Frame, UInt8Array, VideoInfo, rate_of
from vidseg.names import printable, shown_name
from vidseg.sources.source_base import SourceBase

DEFAULT_RATE = 25.0
_SPEC = re.compile(r"screen(?::(\d{1,2}))?(?:[:,](\d{1,5})x(\d{1,5})\+(\d{1,5})\+(\d{1,5}))?", re.ASCII)
_HEAD = struct.Struct("<qii")
_GRABBER = """
import json, struct, sys
import av
place, kind, options = sys.argv[1:]
try:
    with av.open(place, format=kind, options=json.loads(options)) as screen:
        for frame in screen.decode(video=0):
            picture = frame.to_ndarray(format="rgb24")
            microseconds = round((frame.time or 0) * 1_000_000)
            sys.stdout.buffer.write(struct.pack("<qii", microseconds, *picture.shape[:2]) + picture.tobytes())
            sys.stdout.buffer.flush()
except av.FFmpegError as error:
    sys.exit(str(error.strerror))
except BrokenPipeError:
    pass
"""
"""Writes each picture of a screen as `_HEAD` (microseconds, height, width) and its RGB."""
_MICROSECONDS = Fraction(1, 1_000_000)


def is_screen(spec: str) -> bool:
    """Whether this text is meant for a screen: `screen`, `screen:1`, `screen:1,1280x720+0+0`."""
    return spec == "screen" or spec.startswith("screen:")


class ScreenSource(SourceBase):
    """What is on a screen, or in a part of it, with the pointer, in microseconds since the first frame.

    Args:
        spec: `screen`, `screen:NUMBER`, `screen:WxH+X+Y`, or `screen:NUMBER,WxH+X+Y`.
        frame_rate: pictures per second.
        environment: where the display is named.
        platform: as `sys.platform`.
    Raises:
        ConfigError: `spec` cannot be understood.
        SourceError: there is no such screen, or none that may be looked at.
    """

    def __init__(
        self,
        spec: str = "screen",
        *,
        frame_rate: float = DEFAULT_RATE,
        environment: Mapping[str, str] = os.environ,
        platform: str = sys.platform,
    ) -> None:
        super().__init__()
        found = _SPEC.fullmatch(spec)
        if found is None:
            raise ConfigError(
                f"{shown_name(spec)}: accepted: screen, screen:1, screen:640x360+0+0, screen:1,640x360+0+0"
            )
        number, *box = found.groups()
        self._box: tuple[int, ...] | None = None if box[0] is None else tuple(map(int, box))
        options = {"framerate": f"{frame_rate:g}", "draw_mouse": "1"}
        if platform == "darwin":
            kind, place = "avfoundation", f"Capture screen {number or 0}:none"
            options = {"framerate": f"{frame_rate:g}", "capture_cursor": "1"}
        else:
            kind, place = "x11grab", _x_display(spec, number, environment)
            if self._box is not None:
                wide, high, left, top = self._box
                options["video_size"] = f"{wide}x{high}"
                place, self._box = f"{place}+{left},{top}", None
        self._name = spec
        # OpenCV and PyAV each bring a libxcb: in a process that has loaded OpenCV first, x11grab crashes
        command = [sys.executable, "-c", _GRABBER, place, kind, json.dumps(options)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self._grabber = subprocess.Popen(command, **pipes, start_new_session=True)  # Ctrl+C is not for it
        try:
            self._first = self._read()
            if self._first is None:
                assert self._grabber.stderr is not None
                said = self._grabber.stderr.read().decode(errors="replace").strip().splitlines()
                reason = printable(said[-1]) if said else "it ended"
                raise SourceError(
                    f"{spec}: cannot be captured ({reason}); check that this screen exists and contains that part"
                )
        except BaseException:
            self._release()
            raise
        height, width = self._first[1].shape[:2]
        self._info = VideoInfo(
            width=width,
            height=height,
            time_base=_MICROSECONDS,
            frame_rate=rate_of(frame_rate),
            live=True,
        )

    def interrupt(self) -> None:
        """End the iteration soon; from any thread."""
        super().interrupt()
        self._grabber.kill()

    def _frames(self) -> Iterator[Frame]:
        found, self._first = self._first, None
        zero = 0 if found is None else found[0]
        index = 0
        while found is not None:
            yield Frame(found[1], index, found[0] - zero, _MICROSECONDS)
            index += 1
            found = self._read()
        if not self._stop.is_set():
            raise SourceError(f"{self._name}: the screen is gone")

    def _read(self) -> tuple[int, UInt8Array] | None:
        """Microseconds and (H, W, 3) RGB of the next picture; None where no more comes."""
        assert self._grabber.stdout is not None
        head = self._grabber.stdout.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        microseconds, height, width = _HEAD.unpack(head)
        data = self._grabber.stdout.read(height * width * 3)
        if len(data) < height * width * 3:
            return None
        picture = np.frombuffer(data, np.uint8).reshape(height, width, 3)
        if self._box is None:
            return microseconds, picture.copy()
        wide, high, left, top = self._box
        part = picture[top : top + high, left : left + wide].copy()
        if part.shape[:2] != (high, wide):
            raise SourceError(f"{self._name}: reaches beyond the screen; give a part inside as WIDTHxHEIGHT+LEFT+TOP")
        return microseconds, part

    def _release(self) -> None:
        self._grabber.kill()
        self._grabber.communicate()


def _x_display(spec: str, number: str | None, environment: Mapping[str, str]) -> str:
    """FFmpeg's name of the screen. Raises SourceError where there is none that may be looked at."""
    if environment.get("WAYLAND_DISPLAY"):
        raise SourceError(f"{spec}: Wayland does not let programs read the screen; log in to an X session instead")
    display = environment.get("DISPLAY")
    if not display:
        raise SourceError(f"{spec}: there is no screen here (DISPLAY is not set)")
    if number is None:
        return display
    host, _, rest = display.rpartition(":")
    return f"{host}:{rest.partition('.')[0]}.{number}"
