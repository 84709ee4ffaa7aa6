"""Sources that give the frames of another source, some of them, or at other times."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from vidseg.frames import Frame, VideoInfo
from vidseg.interfaces import VideoSource

Source = TypeVar("Source", bound=VideoSource)


class WrappedSource(ABC, Generic[Source]):
    """Satisfies `vidseg.interfaces.VideoSource`: all is that of the source inside, but for the frames."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def info(self) -> VideoInfo:
        """That of the source."""
        return self._source.info

    @property
    def counters(self) -> Mapping[str, int]:
        """Those of the source."""
        return self._source.counters

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]: ...

    def interrupt(self) -> None:
        """End soon; from any thread."""
        self._source.interrupt()

    def close(self) -> None:
        """Close the source."""
        self._source.close()
