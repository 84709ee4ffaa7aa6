"""What the decode thread does: frames out of the source, at the rate and up to the number that are asked for."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator

from vidseg.errors import SourceError
from vidseg.frames import Frame
from vidseg.interfaces import VideoSource
from vidseg.pipeline.buffer import Buffer
from vidseg.pipeline.options import PipelineOptions
from vidseg.pipeline.policy import RateLimit, cover
from vidseg.pipeline.stats import RunStats
from vidseg.timing import RateMeter, StageTimers


class DecodeStage:
    """Reads the source, counts its frames in `stats`, and hands on those that are to be processed.

    Args:
        incoming: where frames go.
        rate: ticks with each frame.
        stop: no frame is read once it is set.
    """

    def __init__(
        self,
        source: VideoSource,
        options: PipelineOptions,
        stats: RunStats,
        *,
        incoming: Buffer[Frame],
        timers: StageTimers,
        rate: RateMeter,
        clock: Callable[[], float],
        stop: threading.Event,
    ) -> None:
        self._source = source
        self._options = options
        self._stats = stats
        self._incoming = incoming
        self._timers = timers
        self._rate = rate
        self._clock = clock
        self._stop = stop

    def run(self) -> None:
        """Read to the end, the limit, or `stop`. Raises what the source raises before its first frame."""
        limit = RateLimit(self._options.max_fps)
        stretch = self._options.max_fps is not None and not self._source.info.live
        held: Frame | None = None  # a kept frame whose time on screen grows by the frames skipped behind it
        for frame in self._source_frames():
            if not (frame.placeholder or limit.keep(frame.seconds)):
                self._stats.skipped += 1
                if held is not None:
                    cover(held, frame)
                continue
            if held is not None:
                self._incoming.put(held)
            if stretch:
                held = frame
            else:
                self._incoming.put(frame)
        if held is not None:
            self._incoming.put(held)

    def _source_frames(self) -> Iterator[Frame]:
        """Frames until the source ends or breaks off, the run is to stop, or the limit is reached."""
        frames = iter(self._source)
        stats = self._stats
        cards, end = 0, math.inf
        while not self._stop.is_set():
            start = self._clock()
            try:
                frame = next(frames, None)
            except SourceError as error:
                if not stats.decoded:
                    raise
                stats.broken_source = str(error)
                return
            if frame is None or frame.seconds >= end:
                return
            if not stats.decoded and self._options.seconds is not None:
                end = frame.seconds + self._options.seconds
            if not self._source.info.live:  # a live source mostly waits for its next frame
                self._timers.add("decode", self._clock() - start)
            frame.arrived = self._clock()
            stats.decoded += 1
            self._rate.tick()
            cards += frame.placeholder
            yield frame
            if stats.decoded - cards - stats.skipped - self._incoming.dropped >= (self._options.limit or math.inf):
                return
