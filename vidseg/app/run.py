"""Wires source, segmenter, renderer and sinks into the pipeline. The only place that sees all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vidseg.app.grid import Grid, check_grid_options, infer_streams, is_grid, open_grid
from vidseg.config import RunConfig
from vidseg.errors import ConfigError, VidsegError, WriteError
from vidseg.frames import VideoInfo
from vidseg.interfaces import SendingSink, Sink, VideoSource
from vidseg.labels import LabelSet
from vidseg.names import shown_name
from vidseg.pipeline.buffer import Buffer
from vidseg.pipeline.grid_stream import StreamStats
from vidseg.pipeline.options import PipelineOptions, Result
from vidseg.pipeline.pipeline import Pipeline
from vidseg.pipeline.stats import RunStats
from vidseg.render.display import find_display
from vidseg.render.options import RenderOptions
from vidseg.render.window import Window
from vidseg.timing import StageTimers
from vidseg.viewers.live import LiveOutputs, page_title, relay
from vidseg.viewers.watch import watch
from vidseg.wiring.damage import refuse_strict_live, with_damage
from vidseg.wiring.effects import propagator_for, render_options
from vidseg.wiring.frame_policy import failing_outputs, pipeline_options
from vidseg.wiring.input_files import InputFiles
from vidseg.wiring.interrupts import Interrupts, killable
from vidseg.wiring.live_source import Announcements, open_run_source
from vidseg.wiring.outputs import (
    check_sent,
    make_renderer,
    open_sinks,
    output_names,
    shown_outputs,
    with_usable_encoder,
)
from vidseg.wiring.pacing import PacedSource, Pacer
from vidseg.wiring.stats_file import StatsFile

if TYPE_CHECKING:
    from vidseg.wiring.engine import Engine


class Reporter(Protocol):
    """Told what happens; prints it, or does not. A `vidseg.wiring.engine.Reporter` too."""

    def note(self, text: str) -> None:
        """Something the user should know, one sentence."""
        ...

    def detail(self, text: str) -> None:
        """Something for those who want to know more."""
        ...

    def address(self, text: str) -> None:
        """Where the web page is, token included: told even when only errors are."""
        ...

    def download(self, done: int, total: int | None) -> None:
        """Bytes of weights so far, and in all if known."""
        ...

    def problem(self, text: str) -> None:
        """Something went wrong, and the run goes on or ends with what it has."""
        ...

    def progress(self, pipeline: Pipeline, total: int | None) -> None:
        """About ten times a second; `total` frames will be delivered, None where unknown."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    stats: RunStats
    outputs: tuple[str, ...] = field(default=())
    """Finished files and folders."""
    exit_code: int = 0
    aborted: bool = False
    kept: str | None = None
    """Where an unfinished run left what is finished, one sentence."""
    streams: tuple[StreamStats, ...] = ()
    """Of several sources, each its own counts."""
    runtime: str | None = None
    """What the network ran on."""
    damage: str | None = None
    """What of a file could not be read, one sentence."""


def run(
    config: RunConfig,
    reporter: Reporter,
    *,
    engine: Engine | None = None,
    interrupts: Interrupts | None = None,
    watchers: Sequence[Sink] = (),
) -> Outcome:
    """Do what the configuration says, from the main thread when it shows a window.

    Cheap checks come first, so that a wrong option is told before a network is loaded.

    Args:
        engine: a network that is loaded already; what the configuration says of one is not looked at then.
        interrupts: looked at instead of catching signals here, for runs beside each other.
        watchers: sinks besides the outputs, closed before them: one that raises then keeps them from appearing.
    Raises:
        VidsegError: anything the user can mend.
    """
    # here, so that what needs no network (`vidseg.app.render`) uses the rest of this module without torch
    from vidseg.chunks.resume import resumable_sinks, resumable_source, run_in_pieces, work_folder
    from vidseg.chunks.split.run import is_split, run_split, split_sinks, split_source
    from vidseg.wiring.engine import beside_other_stages, check_engine, label_set, load_engine

    if config.source is None:
        raise ConfigError("no source given; accepted: a file, URL, cam0, folder, glob, image, or test")
    if not (output_names(config) or config.show or config.serve or config.metrics or config.stats):
        raise ConfigError("nothing to do; give -o FILE, --show, --serve PORT, --save-masks DIR or --stats FILE")
    check_sent(config)
    if is_grid(config):
        check_grid_options(config)
    labels = label_set(config) if engine is None else engine.labels
    options = render_options(config, labels)
    renderer = make_renderer(config, options, labels)
    split = is_split(config)
    folder = work_folder(config) if config.resume else None
    if config.show:
        find_display()
    check_engine(config)
    timers = StageTimers()
    if folder is not None and folder.was_named():
        folder.remove()
        reporter.note("the run was finished already")
        return Outcome(RunStats(), shown_outputs(config))

    with ExitStack() as unfinished:
        live = unfinished.enter_context(LiveOutputs(config))
        files = InputFiles([config.source, *config.more_sources])
        unfinished.enter_context(files.blamed())
        with killable():  # a stream may take long to answer
            announcements = Announcements()
            grid = _opened_grid(config, options, announcements, reporter)
            source: VideoSource = grid or open_run_source(config, announcements, reporter.note)
        opened = unfinished.enter_context(ExitStack())
        opened.callback(source.close)
        info = source.info
        refuse_strict_live(config, info)
        files.add(info.source_paths)
        pieced_source = resumable_source(config, source) if config.resume else None
        shared_source = split_source(config, source) if split else None
        for text in info.notes:
            reporter.note(text)
        if config.output and config.audio == "copy" and info.has_audio and not (info.audio_path or info.sound):
            what = "several sources" if grid is not None else "the stream"
            reporter.note(f"the sound of {what} is left out")

        config = with_usable_encoder(config, info, reporter.note)
        claims = ExitStack()
        own = interrupts is None
        if interrupts is None:
            interrupts = unfinished.enter_context(Interrupts(abandon=claims.close, tell=reporter.note))
        unfinished.enter_context(claims)
        sinks = open_sinks(config, info, labels, announcements)
        unfinished_sinks = claims.enter_context(ExitStack())
        for sink in (*watchers, *sinks):
            unfinished_sinks.callback(sink.abort)
        pieced_sinks = resumable_sinks([*watchers, *sinks]) if config.resume else []
        shared_sinks = split_sinks([*watchers, *sinks]) if split else []
        stats_file = None
        if config.stats:
            stats_file = StatsFile(Path(config.stats), overwrite=config.overwrite, source_paths=info.source_paths)
            claims.callback(stats_file.discard)

        if engine is None:
            engine = load_engine(beside_other_stages(config), reporter)
        batch = engine.batch(config, info)
        reporter.detail(f"model {engine.model}, {engine.runtime.name}, long side {engine.imgsz}, batch {batch}")
        if config.blur_classes:
            reporter.note(f"what {engine.model} misses stays visible; look at the result before you publish it")

        if shared_source is not None:
            smooth = not info.still if config.smooth is None else config.smooth
            shared, done = run_split(
                *(config, shared_source, shared_sinks, renderer, batch, files),
                smooth=smooth,
                reporter=reporter,
                interrupts=interrupts,
            )
            if not done:
                return Outcome(shared, exit_code=interrupts.exit_code, aborted=True)
            outcome = Outcome(shared, shown_outputs(config))
            return _finished(outcome, config, info, engine, sinks, stats_file, reporter)

        if folder is not None and pieced_source is not None:
            if own:
                interrupts.started()
            total = expected_frames(config, info)
            stats, kept = run_in_pieces(
                *(config, folder, pieced_source, pieced_sinks, engine, renderer, options, timers, files),
                reporter=reporter,
                interrupts=interrupts,
                total=total,
            )
            outcome = _pieced_outcome(config, stats, kept, reporter, interrupts)
            return _finished(outcome, config, info, engine, sinks, stats_file, reporter)

        if grid is None and is_paced(config, info):  # a grid has a clock of its own
            source = PacedSource(source)
        if grid is not None:
            infer_streams(grid, config, engine, options.blur_classes, timers)
            pipeline = Pipeline(
                grid,
                None,
                renderer,
                sinks,
                # a grid that waits for the outputs leaves moments out instead of making pictures for nothing
                options=PipelineOptions(
                    limit=config.limit,
                    queue_size=1,
                    live="every-frame",
                    max_staleness=config.max_staleness,
                    failing=failing_outputs(info),
                ),
                timers=timers,
                watchers=watchers,
            )
        else:
            pipeline = Pipeline(
                source,
                engine.segmenter(config, info, timers, keep_queries=config.save_json is not None),
                renderer,
                sinks,
                propagator=propagator_for(config, options.blur_classes, timers),
                second_propagator=propagator_for(config, options.blur_classes, StageTimers()),
                options=pipeline_options(config, info, batch),
                timers=timers,
                watchers=watchers,
            )
        live.start(pipeline, info, options, labels, reporter, model=engine.model, runtime=engine.runtime.name)
        opened.pop_all()  # the pipeline closes the source, on the thread that reads it
        unfinished_sinks.pop_all()  # and closes or aborts the sinks, but for one that is blocked
        if own:
            interrupts.started()
        try:
            outcome = run_pipeline(
                *(pipeline, info, config, options, labels, reporter, interrupts, live, announcements),
                sinks=sinks,
                grid=grid,
            )
        except WriteError:
            if not pipeline.aborted:  # an output that fails costs no other one
                failed = Outcome(pipeline.stats, streams=_streams(grid))
                try:
                    _finished(failed, config, info, engine, sinks, stats_file, reporter)
                except VidsegError as other:
                    reporter.problem(str(other))
            told = [str(failure) for failure in pipeline.outputs.failures[1:]]
            for text in filter(None, (pipeline.stats.broken_source, *told)):
                reporter.problem(text)
            raise
        outcome = tell_change(outcome, files, reporter)
        return _finished(outcome, config, info, engine, sinks, stats_file, reporter)


def _opened_grid(
    config: RunConfig, options: RenderOptions, announcements: Announcements, reporter: Reporter
) -> Grid | None:
    """Several sources as one; None where there is one."""
    if not is_grid(config):
        return None
    return open_grid(config, announcements, reporter.note, bool(options.blur_classes))


def _finished(
    outcome: Outcome,
    config: RunConfig,
    info: VideoInfo,
    engine: Engine,
    sinks: list[Sink],
    stats_file: StatsFile | None,
    reporter: Reporter,
) -> Outcome:
    """The outcome with runtime and damage, once the notes of the sinks are told and the counts are written."""
    for sink in sinks:
        for text in getattr(sink, "notes", ()):
            reporter.note(text)
    if stats_file is not None and not outcome.aborted:
        stats_file.write(
            outcome.stats, config, engine.model, engine.runtime.name, engine.imgsz, streams=outcome.streams
        )
    return replace(with_damage(outcome, config, info), runtime=engine.runtime.name)


def tell_change(outcome: Outcome, files: InputFiles, reporter: Reporter) -> Outcome:
    """The outcome, failed if it is made of a file that changed meanwhile: outputs may be a mixture, or lack an end."""
    changed = files.what_changed() if outcome.outputs else None
    if changed is None:
        return outcome
    reporter.problem(f"{changed}; what was made of it is kept")
    return replace(outcome, exit_code=outcome.exit_code or 1)


def _pieced_outcome(
    config: RunConfig, stats: RunStats, kept: str | None, reporter: Reporter, interrupts: Interrupts
) -> Outcome:
    if kept is None:
        return Outcome(stats, shown_outputs(config))
    if stats.broken_source is not None:
        reporter.problem(stats.broken_source)
    return Outcome(stats, exit_code=interrupts.exit_code if interrupts.count else 1, aborted=True, kept=kept)


def is_paced(config: RunConfig, info: VideoInfo) -> bool:
    """True where a file is to play at its own speed: receivers of a stream take it as fast as it comes."""
    return not info.live and (config.sent if config.pace is None else config.pace)


def expected_frames(config: RunConfig, info: VideoInfo) -> int | None:
    """How many frames the run will deliver, as far as the source announces it."""
    count = info.frame_count
    if count is not None and config.max_fps is not None and info.frame_rate:
        moments = (count - 1) * config.max_fps / float(info.frame_rate)  # of the grid of `RateLimit`, after the first
        count = min(count, 1 + math.floor(moments + min(1e-3 * config.max_fps, 0.1)))
    return min((number for number in (count, config.limit) if number is not None), default=None)


def run_pipeline(
    pipeline: Pipeline,
    info: VideoInfo,
    config: RunConfig,
    options: RenderOptions,
    labels: LabelSet,
    reporter: Reporter,
    interrupts: Interrupts,
    live: LiveOutputs,
    announcements: Announcements,
    *,
    sinks: Sequence[Sink] = (),
    grid: Grid | None = None,
) -> Outcome:
    """Run to the end, look after signals, progress and the window meanwhile, and say how it went.

    Args:
        sinks: those of the pipeline; it is stopped when one says that it has `given_up`.
    """
    total = expected_frames(config, info)
    handled = 0

    def look() -> bool:
        """Act on signals, report progress; True once the window should go."""
        nonlocal handled
        if interrupts.count > handled:
            handled = interrupts.count
            if handled == 1:
                reporter.note("stopping: finishing what is under way; once more to abort")
                pipeline.request_stop()
            else:
                pipeline.abort()
        elif any(isinstance(sink, SendingSink) and sink.given_up for sink in sinks):
            pipeline.request_stop()
        live.settle()
        announcements.print(reporter.note)
        if grid is not None:
            pipeline.stats.inferred = grid.inferred
        reporter.progress(pipeline, total)
        return handled > 0

    def tick(_: Pipeline) -> None:
        look()

    def display(results: Buffer[Result]) -> None:
        pacer = None if info.live or info.still or config.output else Pacer()
        hold = info.still and not config.output
        publish = live.publish if live.shown else None
        try:
            if config.show:
                with Window(f"vidseg - {shown_sources(config)}", options, labels=labels) as window:
                    watch(window, results, pipeline, pacer=pacer, hold=hold, stop=look, publish=publish)
            elif publish is not None:
                relay(results, publish, pacer=pacer, hold=hold, stop=look)
        finally:
            recorded.extend(live.end())

    recorded: list[str] = []
    try:
        stats = pipeline.run(display if config.show or live.shown else None, on_tick=tick)
    finally:
        if grid is not None:
            grid.close()  # waits for the model, which no thread of the pipeline does
    streams = _streams(grid)
    if grid is not None:
        stats.inferred = grid.inferred
    announcements.print(reporter.note)
    nothing = pipeline.aborted or not stats.delivered
    outputs = shown_outputs(config)
    if stats.broken_source is not None:
        reporter.problem(f"{stats.broken_source}; what came before that was kept")
    broken = [stream.broken for stream in streams if stream.broken is not None]
    for reason in broken:
        reporter.problem(f"{reason}; the other streams went on")
    for reason in live.failures:
        reporter.problem(reason)
    failed = stats.broken_source is not None or bool(broken) or bool(live.failures)
    exit_code = interrupts.exit_code if interrupts.count else int(failed)
    if pipeline.left_behind is not None:
        left = {str(getattr(sink, "path", "")) for sink in pipeline.left_sinks}
        outputs = tuple(path for path in outputs if path not in left)
        reporter.problem(f"{pipeline.left_behind}; the rest was finished")
        exit_code = 1
    return Outcome(
        stats,
        (*(() if nothing else outputs), *recorded),
        exit_code=exit_code,
        aborted=pipeline.aborted,
        streams=streams,
    )


def _streams(grid: Grid | None) -> tuple[StreamStats, ...]:
    """The counts of each stream; none where there is one source."""
    return () if grid is None else tuple(stream.stats for stream in grid.streams)


def shown_sources(config: RunConfig) -> str:
    """What is watched, for a title."""
    if is_grid(config):
        return ", ".join(page_title(source) for source in (config.source or "", *config.more_sources))
    return shown_name(config.source or "")
