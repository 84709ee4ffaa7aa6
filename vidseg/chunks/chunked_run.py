"""A video done in chunks, one pipeline after the other, with a commit after each.

Between two chunks all threads of the pipeline are over, so the memories of all stages belong to the same frame: they
are written down as one state, and a process that restores it goes on as if it had never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from vidseg.frames import Frame, Segmentation
from vidseg.interfaces import FrameSegmenter, Propagator, Remembers, Renderer, ResumableSink, ResumableSource
from vidseg.pipeline.options import Carried, PipelineOptions, inference_stride
from vidseg.pipeline.pipeline import Pipeline
from vidseg.pipeline.policy import RateLimit, cover
from vidseg.pipeline.stats import RunStats
from vidseg.saved_state import State
from vidseg.timing import StageTimers
from vidseg.wiring.work_folder import WorkFolder
from vidseg.wiring.wrapped_source import WrappedSource

_LEAST_FRAMES = 2
"""In a chunk: two key frames in a row would need different numbers in H.264, which two encoders do not give."""
_COUNTS = ("decoded", "skipped", "delivered", "inferred", "held", "elapsed_seconds", "last_pts_seconds")


class RememberingSegmenter(FrameSegmenter, Remembers, Protocol):
    """A segmenter whose memory can be written down."""


class RememberingPropagator(Propagator, Remembers, Protocol):
    """A propagator whose memory can be written down."""


class ChunkSource(WrappedSource[ResumableSource]):
    """The frames of one source, chunk by chunk: each iteration yields one.

    A chunk ends before the first frame that is `seconds` or more later than its own first one, so that the cuts depend
    on the times of the frames alone. Frames above `max_fps` are left out here, and a chunk begins with one that is
    kept; a kept frame's time on screen grows by those left out behind it.

    Remembers the place from which the next chunk comes, and the first frame of that chunk.
    """

    def __init__(self, source: ResumableSource, *, seconds: float, max_fps: float | None, stats: RunStats) -> None:
        super().__init__(source)
        self._frames: Iterator[Frame] | None = None
        self._seconds = Fraction(seconds).limit_denominator(1_000_000)  # 0.4 is meant, not the float just above
        self._limit = RateLimit(max_fps)
        self._stats = stats
        self._pending: Frame | None = None
        self._place = self._now()
        self.ended = False
        """True once the source has no more frames."""

    def close(self) -> None:
        """Nothing: the source is needed for the next chunk, and whoever opened it closes it."""

    def state(self) -> State:
        """The place from which the next chunk comes; to be asked between two chunks."""
        return self._place

    def restore(self, state: State) -> None:
        """Begin with the chunk at that place."""
        self._source.restore(state["source"])
        self._limit.restore(state["limit"])
        self._place = state

    def __iter__(self) -> Iterator[Frame]:
        first: Frame | None = None
        held: Frame | None = None
        count = 0
        while True:
            frame = self._next(held)
            if frame is None:
                self.ended = True
                break
            if first is None:
                first = frame
            elif self._begins_chunk(first, frame, count):
                self._pending = frame
                break
            if held is not None:
                yield held
            held = frame
            count += 1
        if held is not None:
            yield held

    def _begins_chunk(self, first: Frame, frame: Frame, count: int) -> bool:
        """True if `frame` is the first of the next chunk, after `count` frames of which one was `first`."""
        return count >= _LEAST_FRAMES and (frame.pts - first.pts) * frame.time_base >= self._seconds

    def _next(self, held: Frame | None) -> Frame | None:
        """The next frame that is kept; None at the end."""
        pending, self._pending = self._pending, None
        if pending is not None:
            return pending
        self._frames = self._frames or iter(self._source)
        while True:
            self._place = self._now()
            frame = next(self._frames, None)
            if frame is None or self._limit.keep(frame.seconds):
                return frame
            self._stats.decoded += 1
            self._stats.skipped += 1
            if held is not None:
                cover(held, frame)

    def _now(self) -> State:
        return {"source": self._source.state(), "limit": self._limit.state()}


@dataclass(frozen=True, slots=True)
class Stages:
    """What a run is made of, besides the source."""

    segmenter: RememberingSegmenter
    renderer: Renderer | None
    propagator: RememberingPropagator | None
    sinks: Sequence[ResumableSink]


class ChunkedRun:
    """Does the chunks that are missing, and joins them. Use once: construct, `restore`, `run`.

    Args:
        options: of the pipelines; `max_fps` is heeded here.
        seconds: length of a chunk.
        check: raises where a chunk that is finished must not be kept, nor the output get its name.
        facts: written beside every state, and handed back by the folder: what the run was made with.
    """

    def __init__(
        self,
        source: ResumableSource,
        stages: Stages,
        folder: WorkFolder,
        *,
        options: PipelineOptions,
        seconds: float,
        facts: State,
        timers: StageTimers | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._check = check
        self._stages = stages
        self._folder = folder
        self._options = options
        self._facts = facts
        self._timers = timers or StageTimers()
        self._carried = Carried(inference_stride(options, still=source.info.still))
        self.stats = self._carried.stats
        self._source = ChunkSource(source, seconds=seconds, max_fps=options.max_fps, stats=self.stats)
        self._chunks = 0
        self._finished = False
        self.kept_frames = 0
        """Frames in the chunks that are committed."""

    def restore(self, state: State) -> None:
        """Go on after the last chunk that was committed."""
        self._chunks, self._finished = state["pieces"], state["finished"]
        for name in _COUNTS:
            setattr(self.stats, name, state["stats"][name])
        self.kept_frames = self.stats.delivered
        self._carried.stride.restore(state["stride"])
        last = state["last"]
        if last is not None:
            self._carried.last = Segmentation(last["label_map"], last["frame_index"], last["levels"])
        self._stages.segmenter.restore(state["segmenter"])
        if self._stages.propagator is not None:
            self._stages.propagator.restore(state["propagator"])
        for sink, kept in zip(self._stages.sinks, state["sinks"], strict=True):
            sink.check(self._paths())
            sink.restore(kept)
        if not self._finished:
            self._source.restore(state["source"])

    def run(self, on_tick: Callable[[Pipeline], None] | None = None) -> bool:
        """Do what is missing; True when the outputs are there, False when the run was stopped or the source broke off.

        Committed chunks stay in the folder until all are done. A chunk stopped in its middle is processed again.

        Raises:
            Whatever a stage raised first.
        """
        while not self._finished:
            if not self._do_chunk(on_tick):
                return False
        self._check()
        for sink in self._stages.sinks:
            sink.join(self._paths(), self._whole)
        self._folder.remove()
        return True

    def _whole(self, part: Path) -> None:
        self._check()  # the audio was read from the input just now
        self._folder.about_to_be_named(part)

    def _paths(self) -> list[Path]:
        return [self._folder.chunk(number) for number in range(self._chunks)]

    def _do_chunk(self, on_tick: Callable[[Pipeline], None] | None) -> bool:
        stages, options, before = self._stages, self._options, self.stats.delivered
        path = self._folder.chunk(self._chunks)
        pipeline = Pipeline(
            self._source,
            stages.segmenter,
            stages.renderer,
            [sink.begin_chunk(path) for sink in stages.sinks],
            propagator=stages.propagator,
            options=replace(options, max_fps=None),
            timers=self._timers,
            carried=self._carried,
        )
        pipeline.run(on_tick=on_tick)
        if self.stats.stopped_early or self.stats.broken_source is not None:
            return False
        self._check()
        self._finished = self._source.ended or self.stats.delivered >= (options.limit or math.inf)
        self._chunks += self.stats.delivered > before
        self._folder.commit(self._state())
        self.kept_frames = self.stats.delivered
        return True

    def _state(self) -> State:
        stages, last = self._stages, self._carried.last
        kept: Any = None
        if last is not None and not self._carried.stride.every_frame:
            kept = {"label_map": last.label_map, "frame_index": last.frame_index, "levels": last.levels}
        return {
            "facts": self._facts,
            "pieces": self._chunks,
            "finished": self._finished,
            "stats": {name: getattr(self.stats, name) for name in _COUNTS},
            "stride": self._carried.stride.state(),
            "last": kept,
            "segmenter": stages.segmenter.state(),
            "propagator": None if stages.propagator is None else stages.propagator.state(),
            "sinks": [sink.state() for sink in stages.sinks],
            "source": self._source.state(),
        }
