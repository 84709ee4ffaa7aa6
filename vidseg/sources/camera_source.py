"""Frames of a camera that the system knows, through OpenCV (V4L2 on Linux)."""

from __future__ import annotations

import glob
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Protocol

import cv2
import numpy as np

from vidseg.defaults import CAMERA_FORMAT
from vidseg.errors import ConfigError, SourceError
from vidseg.frames import Frame, UInt8Array, VideoInfo, rate_of
from vidseg.names import shown_name
from vidseg.sources.source_base import SourceBase
from vidseg.video.quiet import quiet_opencv

MICROSECONDS = Fraction(1, 1_000_000)
EMPTY_READS_BEFORE_GIVING_UP = 10
"""A camera may miss a picture now and then; one that was pulled out misses all."""

FORMATS = {"mjpeg": "MJPG", "yuyv": "YUYV", "nv12": "NV12", "h264": "H264"}
"""How a camera sends its pictures, and the four letters that V4L2 has for it."""

_LINKS = "/dev/v4l/"
_CAMERA = re.compile(r"(?:cam|/dev/video)?(\d{1,3})")


class Capture(Protocol):
    """The part of `cv2.VideoCapture` that is used."""

    def isOpened(self) -> bool: ...
    def read(self) -> tuple[bool, Any]: ...
    def get(self, prop: int, /) -> float: ...
    def set(self, prop: int, value: float, /) -> bool: ...
    def release(self) -> None: ...


class CameraSource(SourceBase):
    """Frames of a camera, each with the time at which it arrived, in microseconds since the first one.

    Opening reads the first picture, so that `info` holds the real size, which may not be the one asked for.
    `interrupt` takes effect after the picture that is being waited for, or when OpenCV stops waiting (10 seconds).

    Counters: empty_reads (the camera gave no picture when asked).

    Args:
        spec: "cam0", "0", "/dev/video0", or a name below /dev/v4l/, which stays with the camera in any socket.
        size: (width, height) to ask the camera for; it picks the nearest that it can do.
        frame_rate: pictures per second to ask for.
        format: one of `FORMATS` to ask for; with a size, None asks for mjpeg.
        open_capture: makes the device from its number; the default is OpenCV.
        clock_ns: a clock that never runs backwards, in nanoseconds.
    Raises:
        ConfigError: `spec` is no camera.
        SourceError: there is no such camera, it is in use or gives no picture.
    """

    def __init__(
        self,
        spec: str = "cam0",
        *,
        size: tuple[int, int] | None = None,
        frame_rate: float | None = None,
        format: str | None = None,
        open_capture: Callable[[int], Capture] | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        super().__init__()
        if not is_camera(spec):
            raise ConfigError(f"{shown_name(spec)}: not a camera; write cam0, 0 or /dev/video0")
        number = camera_number(os.path.realpath(spec) if spec.startswith(_LINKS) else spec)
        self._name = shown_name(spec) if number is None else f"cam{number}"
        if number is None:
            raise SourceError(f"{self._name}: this camera is not connected; {_cameras_in_words()}")
        self._clock_ns = clock_ns
        with quiet_opencv():
            self._capture = (open_capture or _open_capture)(number)
            if not self._capture.isOpened():
                self._capture.release()
                raise SourceError(f"{self._name}: cannot be opened; {_cameras_in_words()}")
            _ask(self._capture, size, frame_rate, format)
            first = self._read()
        if first is None:
            self._capture.release()
            raise SourceError(f"{self._name}: opened, but delivers no picture; is another program using it?")
        self._first: tuple[UInt8Array, int] | None = first
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        height, width = first[0].shape[:2]
        self._info = VideoInfo(
            width=width,
            height=height,
            time_base=MICROSECONDS,
            frame_rate=rate_of(rate) if 0 < rate < 1000 else None,
            live=True,
            notes=_differences(self._name, size, (width, height)),
        )

    def _frames(self) -> Iterator[Frame]:
        reading, self._first = self._first, None
        start_ns = reading[1] if reading else 0
        index = 0
        while reading is not None:
            image, arrived_ns = reading
            yield Frame(image, index, (arrived_ns - start_ns) // 1000, MICROSECONDS)
            index += 1
            reading = self._read()
            if reading is None and not self._stop.is_set():
                raise SourceError(f"{self._name}: the camera stopped sending pictures; was it unplugged?")

    def _read(self) -> tuple[UInt8Array, int] | None:
        """The next picture as RGB, and when it came; None when none comes or the source was stopped."""
        for _ in range(EMPTY_READS_BEFORE_GIVING_UP):
            if self._stop.is_set():
                return None
            good, bgr = self._capture.read()
            if good and bgr is not None:
                arrived_ns = self._clock_ns()
                code = cv2.COLOR_GRAY2RGB if bgr.ndim == 2 else cv2.COLOR_BGR2RGB
                return np.asarray(cv2.cvtColor(bgr, code), np.uint8), arrived_ns
            self._count("empty_reads")
        return None

    def _release(self) -> None:
        self._capture.release()


def is_camera(spec: str) -> bool:
    """Whether this text names a camera, plugged in or not."""
    return camera_number(spec) is not None or spec.startswith(_LINKS)


def camera_number(spec: str) -> int | None:
    """The number in "cam0", "0" or "/dev/video0"; None for anything else."""
    found = _CAMERA.fullmatch(spec) if spec.isascii() else None
    return int(found[1]) if found else None


def list_cameras() -> list[str]:
    """Device files of cameras on this machine, lowest number first. One camera may have several, not all of which
    give pictures. Empty where the system does not list cameras as files."""
    found = [path for path in glob.glob("/dev/video*") if camera_number(path) is not None]
    return sorted(found, key=lambda path: camera_number(path) or 0)


def _cameras_in_words() -> str:
    cameras = list_cameras()
    return f"cameras here: {', '.join(cameras)}" if cameras else "no camera was found (no /dev/video*)"


def _open_capture(number: int) -> Capture:
    capture: Capture = cv2.VideoCapture(number, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
    return capture


def _differences(name: str, asked: tuple[int, int] | None, got: tuple[int, int]) -> tuple[str, ...]:
    if asked is None or asked == got:
        return ()
    return (f"{name}: requested {asked[0]}x{asked[1]}, got {got[0]}x{got[1]}",)


def _ask(capture: Capture, size: tuple[int, int] | None, frame_rate: float | None, format: str | None) -> None:
    """Tell the camera what is wanted; it does what it can, and says nothing about the rest."""
    # One picture waiting at most: an old picture is worth nothing in a live view.
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    if format is not None or size is not None:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*FORMATS[format or CAMERA_FORMAT]))
    if size is not None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    if frame_rate is not None:
        capture.set(cv2.CAP_PROP_FPS, frame_rate)
