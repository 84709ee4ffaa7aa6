"""Frames of an animated WebP file, which FFmpeg does not decode."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from vidseg.errors import SourceError
from vidseg.frames import Frame, UInt8Array, VideoInfo
from vidseg.names import expand_user, shown_name
from vidseg.sources.source_base import SourceBase
from vidseg.video.quiet import quiet_opencv

_MILLISECONDS = Fraction(1, 1000)
_UNSAID_MILLISECONDS = 100
"""For a frame of no duration, as browsers show it."""
_BYTES_AT_ONCE = 64 << 20


def is_webp(path: str) -> bool:
    """True for a file that begins as WebP does; a pipe is not looked into, since what is read there is gone."""
    path = expand_user(path)
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:] == b"WEBP"


class AnimationSource(SourceBase):
    """The frames of an animated WebP in order, at their times; transparency is dropped.

    Counters: truncated (fewer frames could be decoded than the file has).

    Raises:
        SourceError: it cannot be read, or not one frame can be decoded.
    """

    def __init__(self, spec: str | os.PathLike[str]) -> None:
        super().__init__()
        path = expand_user(os.fspath(spec))
        self._name = shown_name(os.fspath(spec))
        try:
            self._data = np.fromfile(path, np.uint8)
        except OSError as error:
            raise SourceError(f"{self._name}: {error.strerror}") from None
        self._durations = _durations(self._data.tobytes())
        self._at_once = 1
        first = self._decoded(0)
        if not first:
            raise SourceError(f"{self._name}: no frame of this animation could be decoded; it may be damaged")
        height, width = first[0].shape[:2]
        self._at_once = max(1, _BYTES_AT_ONCE // (4 * height * width))
        self._info = VideoInfo(
            width=width,
            height=height,
            time_base=_MILLISECONDS,
            frame_rate=Fraction(1000 * len(self._durations), sum(self._durations)),
            frame_count=len(self._durations),
            duration_seconds=sum(self._durations) / 1000,
            source_paths=(path,),
        )

    def _frames(self) -> Iterator[Frame]:
        index = time = 0
        while index < len(self._durations) and not self._stop.is_set():
            pictures = self._decoded(index)
            if not pictures:
                self._count("truncated")
                return
            for picture in pictures[: len(self._durations) - index]:
                duration = self._durations[index]
                yield Frame(picture, index, time, _MILLISECONDS, duration)
                index, time = index + 1, time + duration

    def _decoded(self, start: int) -> list[UInt8Array]:
        """Some (H, W, 3) uint8 RGB pictures from there on; none at the end, or where they are damaged."""
        decode: Any = getattr(cv2, "imdecodeanimation", None)
        if decode is None:
            raise SourceError(f"{self._name}: animated WebP needs OpenCV 4.11; pip install -U opencv-python")
        try:
            with quiet_opencv():
                _, animation = decode(self._data, start, self._at_once)
        except cv2.error:
            return []
        return [np.asarray(cv2.cvtColor(each[..., :3], cv2.COLOR_BGR2RGB), np.uint8) for each in animation.frames]


def _durations(data: bytes) -> list[int]:
    """Milliseconds of each frame, from the headers of a WebP file."""
    found, at = [], 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"ANMF":
            found.append(int.from_bytes(data[at + 20 : at + 23], "little") or _UNSAID_MILLISECONDS)
        at += 8 + length + length % 2
    return found or [_UNSAID_MILLISECONDS]
