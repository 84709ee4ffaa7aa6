"""A run that is watched: in a window whose keys may seek in a file, or on the web page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

from vidseg.config import RunConfig
from vidseg.frames import VideoInfo
from vidseg.interfaces import VideoSource
from vidseg.labels import LabelSet
from vidseg.names import page_title, shown_name
from vidseg.pipeline.buffer import Buffer
from vidseg.pipeline.options import Carried, PipelineOptions, Result, inference_stride
from vidseg.pipeline.pipeline import Pipeline
from vidseg.pipeline.stats import RunStats
from vidseg.render.options import RenderOptions
from vidseg.render.window import Window
from vidseg.sources.pipe_reader import is_pipe
from vidseg.sources.source_base import SourceBase
from vidseg.sources.time_range import TimeRange
from vidseg.viewers.outputs import Viewers, relay
from vidseg.viewers.player import Player, Reach
from vidseg.viewers.recorder import Recorder
from vidseg.viewers.watch import Watch
from vidseg.wiring.output_shape import output_names
from vidseg.wiring.pacing import Pacer
from vidseg.wiring.reporter import Reporter
from vidseg.wiring.run_source import open_as_asked


class MakePipeline(Protocol):
    """Makes the pipeline of a run over this source; `stats` are those of the pipeline that it takes the place of."""

    def __call__(self, source: VideoSource, stats: RunStats | None = None) -> Pipeline: ...


class Replay:
    """A file from another place: reopened, with a new pipeline.

    Args:
        config: of a run of one source.
        source: that of its first pipeline.
    """

    def __init__(self, config: RunConfig, source: VideoSource, make: MakePipeline) -> None:
        self._config = config
        self._make = make
        self._part = TimeRange()
        self.reach: Reach | None = None
        self.refusal = ""
        """Why there is no `reach`."""
        info = source.info
        if info.live:
            self.refusal = "not for live sources"
        elif output_names(config) or config.serve or config.metrics or config.stats:
            self.refusal = "not while something is written or sent"
        elif not isinstance(source, SourceBase) or any(map(is_pipe, info.source_paths)):
            self.refusal = "not for this source"
        else:
            self._part = source.part
            self.reach = _reach(info, source.zero_seconds + source.part.start)

    def pipeline_at(self, seconds: float, stats: RunStats) -> Pipeline:
        """The pipeline from the first frame at or after this time. Raises VidsegError."""
        source = open_as_asked(replace(self._config, start=None, end=None, duration=None))
        assert isinstance(source, SourceBase)
        start = Fraction(seconds).limit_denominator(1_000_000) - source.zero_seconds
        source.keep(TimeRange(max(start, self._part.start), self._part.end))
        return self._make(source, stats)


def _reach(info: VideoInfo, first: Fraction) -> Reach:
    rate = info.frame_rate
    if info.still and rate:
        step = float(1 / rate)
        end = None if info.frame_count is None else float(first + info.frame_count / rate)
        return Reach(float(first), end, step=step, far=10 * step, picture=step)
    return Reach(float(first), None if info.duration_seconds is None else float(first) + info.duration_seconds)


def following(options: PipelineOptions, stats: RunStats | None, *, still: bool) -> tuple[PipelineOptions, Carried]:
    """The options, and the state carried over, of a pipeline that replaces one that counted `stats`.

    `limit` is counted from where it begins.
    """
    stats = stats or RunStats()
    if options.limit is not None:
        options = replace(options, limit=options.limit + stats.decoded - stats.skipped - stats.dropped)
    return options, Carried(inference_stride(options, still=still), stats=stats)


class Watching:
    """Shows a run to those who watch, if there are any. To be entered in the main thread where there is a window.

    Args:
        replay: for a file whose window may go to another place.
        look: asked many times a second whether the window should go.
    """

    def __init__(
        self,
        config: RunConfig,
        info: VideoInfo,
        options: RenderOptions,
        labels: LabelSet,
        reporter: Reporter,
        viewers: Viewers,
        look: Callable[[Pipeline], bool],
        replay: Replay | None = None,
    ) -> None:
        self._config = config
        self._viewers = viewers
        self._look = look
        self._replay = replay
        self._stack = ExitStack()
        self._watch: Watch | None = None
        self._hold = info.still and not config.output
        self._pacer = None if info.live or info.still or config.output else Pacer()
        self._recorder: Recorder | None = None
        if config.show:
            self._recorder = Recorder(Path(config.record_dir or ""), info, say=reporter.note, labels=labels)
            title = f"vidseg - {shown_sources(config)}"
            window = self._stack.enter_context(Window(title, options, labels=labels))
            without = "not for several sources" if config.more_sources else "not for saved masks"
            reach, refusal = (None, without) if replay is None else (replay.reach, replay.refusal)
            self._watch = Watch(
                *(window, Player(self._pacer, reach, refusal), self._recorder),
                live=info.has_latency,
                hold=self._hold,
                publish=viewers.publish if viewers.shown else None,
            )
            if self._hold and (info.frame_count or 0) > 1:
                window.state.say("Space: the next picture, q: quit")
        self.recorded: list[str] = []
        """Files of recordings, once the run is over."""
        self.moved = False
        """True after the window went to another place."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def run(self, pipeline: Pipeline) -> Pipeline:
        """Run the pipeline, and those in its place that keys ask for; the last one. Raises as `Pipeline.run`."""
        while True:
            goals: list[float] = []
            display = partial(self._display, pipeline, goals) if self._watch or self._viewers.shown else None
            pipeline.run(display, on_tick=self._tick)
            if not goals:
                return pipeline
            assert self._replay is not None
            self.moved = True
            pipeline = self._replay.pipeline_at(goals[0], pipeline.stats)

    def _tick(self, pipeline: Pipeline) -> None:
        self._look(pipeline)

    def _display(self, pipeline: Pipeline, goals: list[float], results: Buffer[Result]) -> None:
        stop = partial(self._look, pipeline)
        try:
            if self._watch is not None:
                goal = self._watch.watch(results, pipeline, stop)
                if goal is not None:
                    goals.append(goal)
                    pipeline.abort()
                    return
                self._stack.close()  # the window goes before outputs are finished, which may take a while
            else:
                relay(results, self._viewers.publish, pacer=self._pacer, hold=self._hold, stop=stop)
        finally:
            if not goals:
                self._end()

    def _end(self) -> None:
        self.recorded = self._viewers.end()
        if self._recorder is not None:
            self._recorder.finish()
            self.recorded = [*self.recorded, *self._recorder.files]

    @property
    def failures(self) -> list[str]:
        """Why recordings failed, one sentence each."""
        return [*self._viewers.failures, *([] if self._recorder is None else self._recorder.failures)]


def shown_sources(config: RunConfig) -> str:
    """What is watched, for a title."""
    if config.more_sources:
        return ", ".join(page_title(source) for source in (config.source or "", *config.more_sources))
    return shown_name(config.source or "")
