"""Looks at a live source the way a run does, and says what it saw and how long it took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Self

from vidseg.config import RunConfig
from vidseg.frames import Frame
from vidseg.wiring.run_source import Announcements, open_run_source

PATIENCE_SECONDS = 20.0


def reading_threads() -> list[str]:
    """Threads of sources that are still there."""
    return [thread.name for thread in threading.enumerate() if thread.name == "vidseg-read"]


class Viewer:
    """Iterates a source of `RunConfig(source=url, ...)` in the test's thread. Leaving it closes the source."""

    def __init__(self, url: str, *, timeout: float = 1.0, **options: object) -> None:
        self.announcements = Announcements()
        self.said: list[str] = []
        config = RunConfig(source=url, timeout=timeout, **options)  # type: ignore[arg-type]
        self.source = open_run_source(config, self.announcements, self.said.append)
        self._frames: Iterator[Frame] = iter(self.source)
        self.last_pts = -1
        self.cards = 0

    def until(self, wanted: Callable[[Frame], bool]) -> float:
        """Seconds until the first frame that is wanted, cards included. Times have to grow all the way."""
        begin = time.monotonic()
        for frame in self._frames:
            assert frame.pts > self.last_pts, "times grow"
            assert frame.size_hw == (self.source.info.height, self.source.info.width)
            self.last_pts = frame.pts
            self.cards += frame.placeholder
            self.announcements.print(self.said.append)
            if wanted(frame):
                return time.monotonic() - begin
            assert time.monotonic() - begin < PATIENCE_SECONDS, f"not seen in time; {self.said}"
        raise AssertionError(f"the source ended; {self.said}")

    def frames(self, count: int) -> None:
        """Wait for so many real frames."""
        left = [count]

        def enough(frame: Frame) -> bool:
            left[0] -= not frame.placeholder
            return left[0] <= 0

        self.until(enough)

    def away(self) -> float:
        """Seconds until the first card."""
        return self.until(lambda frame: frame.placeholder)

    def back(self) -> float:
        """Seconds until the first real frame."""
        return self.until(lambda frame: not frame.placeholder)

    def hears(self, words: str) -> None:
        """Look on until these words are said."""
        self.until(lambda frame: any(words in text for text in self.said))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()
