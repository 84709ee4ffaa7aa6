"""Cameras that are made of FFmpeg filter graphs, for what lies above the device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import cv2
import pytest

NUMBER = 7


def plug_in(monkeypatch: pytest.MonkeyPatch, graph: str) -> str:
    """Make "cam7" the camera that gives this graph's pictures; its name."""

    def opened(number: int) -> GraphCapture:
        assert number == NUMBER
        return GraphCapture(graph)

    monkeypatch.setattr("vidseg.sources.camera_source._open_capture", opened)
    return f"cam{NUMBER}"


class GraphCapture:
    """Satisfies `vidseg.sources.camera_source.Capture` with the pictures of a graph such as
    `testsrc=size=640x480:rate=25`, each at its time. A graph that ends is a camera that is pulled out.
    """

    def __init__(self, graph: str) -> None:
        self._container: av.container.InputContainer | None = None
        self._pictures: Iterator[av.VideoFrame] = iter(())
        self._rate = 0.0
        try:
            self._container = av.open(f"{graph},realtime", format="lavfi")
            stream = self._container.streams.video[0]
        except (av.FFmpegError, IndexError):
            self.release()
            return
        self._rate = float(stream.average_rate or 0)
        self._pictures = self._container.decode(stream)

    def isOpened(self) -> bool:
        return self._container is not None

    def read(self) -> tuple[bool, Any]:
        try:
            picture = next(self._pictures, None)
        except av.FFmpegError:
            picture = None
        return picture is not None, None if picture is None else picture.to_ndarray(format="bgr24")

    def get(self, prop: int, /) -> float:
        return self._rate if prop == cv2.CAP_PROP_FPS else 0.0

    def set(self, prop: int, value: float, /) -> bool:
        return False

    def release(self) -> None:
        self._pictures = iter(())
        if self._container is not None:
            self._container.close()
            self._container = None
