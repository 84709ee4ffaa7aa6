"""One worker's part of a video: its warm-up, then its chunk. Runs in any process that has the same files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vidseg.chunks.chunked_run import ChunkSource
from vidseg.chunks.split.plan import ChunkJob
from vidseg.errors import ResumeError
from vidseg.frames import Frame, UInt8Array, VideoInfo
from vidseg.interfaces import Remembers, ResumableSink, ResumableSource
from vidseg.names import shown_name
from vidseg.pipeline.options import Carried, inference_stride
from vidseg.pipeline.pipeline import Pipeline
from vidseg.pipeline.stats import RunStats
from vidseg.saved_state import State
from vidseg.sinks.chunked_video import ChunkedAvSink
from vidseg.sinks.records.label_maps import LabelMapSink
from vidseg.timing import StageTimers
from vidseg.wiring.effects import drawn_labels, flow_propagator, render_options
from vidseg.wiring.engine import load_engine
from vidseg.wiring.frame_policy import pipeline_options
from vidseg.wiring.outputs import encode_options, make_renderer, starts_inside
from vidseg.wiring.reporter import SilentReporter
from vidseg.wiring.run_source import Announcements, open_run_source

Tell = Callable[[int], None]
"""Told now and then how many frames of the chunk are written."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a worker's labels go on from after a certain frame, to be compared with another worker's."""

    labels: UInt8Array
    """The newest label map (H, W)."""
    digest: str
    """Equal where all later labels are equal, to the last bit."""


@dataclass(frozen=True, slots=True)
class ChunkDone:
    """What a worker found out."""

    number: int
    stats: RunStats
    """Of the chunk alone, without the warm-up."""
    warmed_up: int
    """Frames that were read for the warm-up."""
    before: Memory | None
    """At the end of the warm-up; None without one."""
    last: Memory
    """At the end of the chunk."""
    sinks: tuple[State, ...]


class BoundedSource(ChunkSource):
    """The frames of a job in two chunks: the warm-up, if there is one, and its own."""

    def __init__(self, source: ResumableSource, job: ChunkJob, stats: RunStats) -> None:
        super().__init__(source, seconds=1, max_fps=job.config.max_fps, stats=stats)
        self._start, self._stop = job.start.index, job.stop
        self.restore(job.begin.reading)
        self._frames = self._until_stop()

    def _begins_chunk(self, first: Frame, frame: Frame, count: int) -> bool:
        return first.index < self._start <= frame.index

    def _until_stop(self) -> Iterator[Frame]:
        for frame in self._source:
            if self._stop is not None and frame.index >= self._stop:
                return
            yield frame


def do_chunk(job: ChunkJob, tell: Tell) -> ChunkDone:
    """Do the job; its packets are in the file `job.path` then, its label maps where they belong.

    Raises:
        VidsegError: as any run; and ResumeError where the frames are not those that were planned with.
        Whatever `tell` raises: nobody wants the chunk any more.
    """
    config = job.config
    source = open_run_source(config, Announcements(), lambda text: None)
    sinks: list[ResumableSink] = []
    try:
        assert isinstance(source, ResumableSource), "planned with one that is"
        info = source.info
        engine = load_engine(config, SilentReporter(), info=info)
        sinks.extend(_open_sinks(job, info))
        for sink, state in zip(sinks, job.start.sinks, strict=True):
            sink.restore(state)
        timers, options = StageTimers(), pipeline_options(config, info, engine.batch(config, info))
        options = replace(options, max_fps=None, limit=None)
        carried = Carried(inference_stride(options, still=False))
        carried.stride.restore(job.begin.stride)
        segmenter = engine.segmenter(config, info, timers)
        propagator = flow_propagator(config, timers)
        bounded = BoundedSource(source, job, carried.stats)

        def look(pipeline: Pipeline) -> None:
            tell(pipeline.stats.delivered)

        before = None
        warmed_up = 0
        if job.begin.number < job.start.number:
            warm_up = Pipeline(
                bounded, segmenter, None, [], propagator=propagator, options=options, timers=timers, carried=carried
            )
            warm_up.run(on_tick=lambda _: tell(0))
            warmed_up = carried.stats.delivered
            before = _memory(carried, segmenter, propagator)
        stats = RunStats()
        carried = Carried(carried.stride, carried.last, stats)
        labels = drawn_labels(config, engine.labels)
        Pipeline(
            bounded,
            segmenter,
            make_renderer(config, render_options(config, labels), labels),
            [sink.begin_chunk(job.path) for sink in sinks],
            propagator=propagator,
            options=options,
            timers=timers,
            carried=carried,
        ).run(on_tick=look)
        if stats.delivered != job.frames:
            shown = shown_name(config.source or "")
            raise ResumeError(
                f"{shown}: gave {stats.delivered} frames from {job.start.seconds:.2f} s on, but {job.frames} "
                "before; do not change it while the run reads it"
            )
        last = _memory(carried, segmenter, propagator)
        return ChunkDone(job.number, stats, warmed_up, before, last, tuple(sink.state() for sink in sinks))
    finally:
        for sink in sinks:
            sink.abort()
        source.close()


def _memory(carried: Carried, segmenter: Remembers, propagator: Remembers | None) -> Memory:
    assert carried.last is not None, "a job begins with a frame for the model"
    found = hashlib.sha256()
    states = [segmenter.state(), None if propagator is None else propagator.state(), carried.stride.state()]
    _add(found, [*states, carried.last.label_map])
    return Memory(carried.last.label_map, found.hexdigest())


def _add(found: hashlib._Hash, value: Any) -> None:
    """Add a state, or a part of one, to a digest."""
    if isinstance(value, np.ndarray):
        found.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
    elif isinstance(value, dict | list):
        for item in value.items() if isinstance(value, dict) else value:
            _add(found, list(item) if isinstance(item, tuple) else item)
    else:
        found.update(repr(value).encode() + b"\n")


def _open_sinks(job: ChunkJob, info: VideoInfo) -> Iterator[ResumableSink]:
    """As the outputs of the run, in the same order; the claims on their names stay with the run."""
    config = job.config
    if config.output:
        yield ChunkedAvSink(
            job.path.with_suffix(Path(config.output).suffix),
            info,
            overwrite=False,
            encode=replace(encode_options(config), audio="none"),
            rebase=starts_inside(config) or None,
        )
    if config.save_masks:
        yield LabelMapSink(config.save_masks, overwrite=True)
