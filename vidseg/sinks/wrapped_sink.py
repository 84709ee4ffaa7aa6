"""The base of outputs that hand frames on to another one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from vidseg.frames import Frame, Segmentation, UInt8Array
from vidseg.interfaces import Sink


class WrappedSink(ABC):
    """Satisfies `vidseg.interfaces.Sink`, and what else the sink inside satisfies: all but `write` is that sink's."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)

    @property
    def needs_picture(self) -> bool:
        """That of the sink inside."""
        return self._sink.needs_picture

    @abstractmethod
    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Take one frame. Raises WriteError."""

    def close(self) -> None:
        """Finish the sink inside. Raises WriteError."""
        self._sink.close()

    def abort(self) -> None:
        """Give up the sink inside. Never raises."""
        self._sink.abort()
