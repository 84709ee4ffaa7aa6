"""Wires source, segmenter, renderer and sinks into the pipeline. The only place that sees all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from vidseg.app.grid import Grid, check_grid_options, infer_lanes, is_grid, sources_of
from vidseg.app.opened_run import OpenedRun, open_run
from vidseg.app.watching import Replay, Watching, following
from vidseg.config import RunConfig
from vidseg.errors import ConfigError, VidsegError, WriteError
from vidseg.frames import VideoInfo
from vidseg.interfaces import SendingSink, Sink, VideoSource
from vidseg.labels import LabelSet
from vidseg.pipeline.grid_lane import LaneStats
from vidseg.pipeline.options import PipelineOptions
from vidseg.pipeline.pipeline import Pipeline
from vidseg.pipeline.stats import RunStats
from vidseg.render.display import find_display
from vidseg.render.options import RenderOptions
from vidseg.sources.factory import check_exists
from vidseg.timing import StageTimers
from vidseg.viewers.outputs import Viewers
from vidseg.wiring.damage import with_damage
from vidseg.wiring.effects import drawn_labels, propagator_for, render_options
from vidseg.wiring.frame_policy import failing_outputs, is_smoothed, pipeline_options
from vidseg.wiring.input_files import InputFiles
from vidseg.wiring.interrupts import StopRequest
from vidseg.wiring.output_shape import output_names
from vidseg.wiring.outputs import check_files, check_sent, make_renderer, shown_outputs
from vidseg.wiring.pacing import PacedSource
from vidseg.wiring.reporter import Reporter
from vidseg.wiring.run_source import Announcements

if TYPE_CHECKING:
    from vidseg.wiring.engine import Engine
    from vidseg.wiring.work_folder import WorkFolder


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
    lanes: tuple[LaneStats, ...] = ()
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
    interrupts: StopRequest | None = None,
    watchers: Sequence[Sink] = (),
    new_folder: str | None = None,
) -> Outcome:
    """Do what the configuration says, from the main thread when it shows a window.

    Cheap checks come first, so that a wrong option is refused before a network is loaded.

    Args:
        engine: a network that is loaded already; what the configuration says of one is not looked at then.
        interrupts: checked instead of catching signals here, for parallel runs.
        watchers: sinks besides the outputs, closed before them: one that raises then keeps them from appearing.
        new_folder: made for the output where it is missing, and left only with something in it.
    Raises:
        VidsegError: anything the user can mend.
    """
    if config.source is None:
        raise ConfigError("no source given; accepted: a file, URL, cam0, folder, glob, image, or test")
    if not (output_names(config) or config.show or config.serve or config.metrics or config.stats):
        for each in sources_of(config):
            check_exists(each)
        raise ConfigError("nothing to do; give -o FILE, --show, --serve PORT, --save-masks DIR or --stats FILE")
    check_sent(config)
    if is_grid(config):
        check_grid_options(config)
    if config.show and not config.chunk_options:  # which show nothing
        find_display()
    check_files(config)

    # here, so that mistakes are told, and what needs no network (`vidseg.app.render`) is done, without torch
    from vidseg.chunks.resume import with_kept_precision, work_folder
    from vidseg.chunks.split.run import is_split
    from vidseg.wiring.engine import check_engine, label_set

    labels = drawn_labels(config, label_set(config) if engine is None else engine.labels)
    options = render_options(config, labels)
    renderer = make_renderer(config, options, labels)
    split = is_split(config)
    folder = work_folder(config) if config.resume else None
    check_engine(config)
    if folder is not None and folder.was_named():
        folder.remove()
        reporter.note("the run has already finished")
        return Outcome(RunStats(), shown_outputs(config))

    if folder is not None:
        config = with_kept_precision(config, folder)

    with ExitStack() as unfinished:
        opened = open_run(
            *(config, reporter, unfinished),
            labels=labels,
            options=options,
            renderer=renderer,
            engine=engine,
            interrupts=interrupts,
            watchers=watchers,
            new_folder=new_folder,
        )
        if split:
            return _run_shared(opened)
        if folder is not None:
            return _run_chunks(opened, folder)
        return _run_at_once(opened)


def _run_shared(opened: OpenedRun) -> Outcome:
    """By several workers."""
    from vidseg.chunks.split.run import run_split

    assert opened.chunked is not None
    source, sinks = opened.chunked
    config, interrupts = opened.config, opened.interrupts
    stats, done = run_split(
        *(config, source, sinks, opened.renderer, opened.batch, opened.engine.precision, opened.files),
        smooth=is_smoothed(config, opened.info),
        reporter=opened.reporter,
        interrupts=interrupts,
    )
    if not done:
        return Outcome(stats, exit_code=interrupts.exit_code, aborted=True)
    return _finished(Outcome(stats, shown_outputs(config)), opened)


def _run_chunks(opened: OpenedRun, folder: WorkFolder) -> Outcome:
    """One chunk after the other, each kept once it is done."""
    from vidseg.chunks.resume import run_in_chunks

    assert opened.chunked is not None
    source, sinks = opened.chunked
    config, reporter, interrupts = opened.config, opened.reporter, opened.interrupts
    opened.interrupts.started()
    stats, kept = run_in_chunks(
        *(config, folder, source, sinks, opened.engine, opened.renderer, opened.timers, opened.files),
        reporter=reporter,
        interrupts=interrupts,
        total=expected_frames(config, opened.info),
    )
    return _finished(_chunked_outcome(config, stats, kept, reporter, interrupts), opened)


def _run_at_once(opened: OpenedRun) -> Outcome:
    """From the first frame to the last, or until it is to stop."""
    config, info, reporter, grid = opened.config, opened.info, opened.reporter, opened.grid
    engine = opened.engine
    pipeline = _plain_pipeline(opened, opened.source) if grid is None else _grid_pipeline(opened, grid)
    opened.viewers.start(
        *(pipeline, info, opened.options, opened.labels, reporter), model=engine.model, runtime=engine.runtime.name
    )
    opened.hand_over()
    opened.interrupts.started()
    try:
        outcome = run_pipeline(
            *(pipeline, info, config, opened.options, opened.labels, reporter, opened.interrupts, opened.viewers),
            opened.announcements,
            sinks=opened.sinks,
            grid=grid,
            replay=None if grid is not None else Replay(config, opened.source, partial(_plain_pipeline, opened)),
        )
    except WriteError:
        if not pipeline.aborted:  # an output that fails costs no other one
            try:
                _finished(Outcome(pipeline.stats, lanes=_lanes(grid)), opened)
            except VidsegError as other:
                reporter.problem(str(other))
        told = [str(failure) for failure in pipeline.outputs.failures[1:]]
        for text in filter(None, (pipeline.stats.broken_source, *told)):
            reporter.problem(text)
        raise
    return _finished(tell_change(outcome, opened.files, reporter), opened)


def _grid_pipeline(opened: OpenedRun, grid: Grid) -> Pipeline:
    config, timers = opened.config, opened.timers
    infer_lanes(grid, config, opened.engine, opened.options.blur_classes, timers)
    return Pipeline(
        *(grid, None, opened.renderer, opened.sinks),
        # a grid that waits for the outputs leaves moments out instead of making pictures for nothing
        options=PipelineOptions(
            limit=config.limit,
            seconds=config.duration,  # each file of a grid ends by itself, a pattern in real time does not
            queue_size=1,
            keeps="every-frame",
            max_staleness=config.max_staleness,
            failing=failing_outputs(opened.info),
        ),
        timers=timers,
        watchers=opened.watchers,
    )


def _plain_pipeline(opened: OpenedRun, source: VideoSource, stats: RunStats | None = None) -> Pipeline:
    config, info, timers = opened.config, opened.info, opened.timers
    hidden = opened.options.blur_classes
    options, carried = following(pipeline_options(config, info, opened.batch), stats, still=info.still)
    return Pipeline(
        PacedSource(source) if is_paced(config, info) else source,
        opened.engine.segmenter(config, info, timers, keep_queries=config.save_json is not None),
        *(opened.renderer, opened.sinks),
        propagator=propagator_for(config, hidden, timers),
        second_propagator=propagator_for(config, hidden, StageTimers()),
        options=options,
        timers=timers,
        carried=carried,
        watchers=opened.watchers,
    )


def _finished(outcome: Outcome, opened: OpenedRun) -> Outcome:
    """The outcome with runtime and damage, once the notes of the sinks are told and the counts are written."""
    config, engine = opened.config, opened.engine
    for sink in opened.sinks:
        for text in sink.notes:
            opened.reporter.note(text)
    if opened.stats_file is not None and not outcome.aborted:
        opened.stats_file.write(
            *(outcome.stats, config, engine.model, engine.runtime.name, engine.size.sides(opened.info)),
            lanes=outcome.lanes,
        )
    return replace(with_damage(outcome, config, opened.info), runtime=engine.runtime.name)


def tell_change(outcome: Outcome, files: InputFiles, reporter: Reporter) -> Outcome:
    """The outcome, failed if it is made of a file that changed meanwhile: outputs may be a mixture, or lack an end."""
    changed = files.what_changed() if outcome.outputs else None
    if changed is None:
        return outcome
    reporter.problem(f"{changed}; its output so far is kept")
    return replace(outcome, exit_code=outcome.exit_code or 1)


def _chunked_outcome(
    config: RunConfig, stats: RunStats, kept: str | None, reporter: Reporter, interrupts: StopRequest
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
    interrupts: StopRequest,
    viewers: Viewers,
    announcements: Announcements,
    *,
    sinks: Sequence[Sink] = (),
    grid: Grid | None = None,
    replay: Replay | None = None,
) -> Outcome:
    """Run to the end, look after signals, progress and the window meanwhile, and say how it went.

    Args:
        replay: for a window that may go to another place in a file.
        sinks: those of the pipeline; it is stopped when one says that it has `given_up`.
    """
    total = expected_frames(config, info)
    handled = 0

    def look(pipeline: Pipeline) -> bool:
        """Act on signals, report progress; True once the window should go."""
        nonlocal handled
        if interrupts.count > handled:
            handled = interrupts.count
            if handled == 1:
                reporter.note("stopping: finishing the frames in progress; press Ctrl+C again to abort")
                pipeline.request_stop()
            else:
                pipeline.abort()
        elif any(isinstance(sink, SendingSink) and sink.given_up for sink in sinks):
            pipeline.request_stop()
        viewers.end_unwanted()
        announcements.print(reporter.note)
        if grid is not None:
            pipeline.stats.inferred = grid.inferred
        reporter.progress(pipeline.progress, None if watching.moved else total)
        return handled > 0

    watching = Watching(config, info, options, labels, reporter, viewers, look, replay)
    try:
        with watching:
            pipeline = watching.run(pipeline)
    finally:
        if grid is not None:
            grid.close()  # waits for the model, which no thread of the pipeline does
    if grid is not None:
        pipeline.stats.inferred = grid.inferred
    announcements.print(reporter.note)
    return _outcome_of(pipeline, config, reporter, interrupts, watching, _lanes(grid))


def _outcome_of(
    pipeline: Pipeline,
    config: RunConfig,
    reporter: Reporter,
    interrupts: StopRequest,
    watching: Watching,
    lanes: tuple[LaneStats, ...],
) -> Outcome:
    """How a pipeline ended, and the messages about it."""
    stats = pipeline.stats
    nothing = pipeline.aborted or not stats.delivered
    outputs = shown_outputs(config)
    if stats.broken_source is not None:
        reporter.problem(f"{stats.broken_source}; the output up to there is kept")
    broken = [lane.broken for lane in lanes if lane.broken is not None]
    for reason in broken:
        reporter.problem(f"{reason}; the other streams continued")
    for reason in watching.failures:
        reporter.problem(reason)
    failed = stats.broken_source is not None or bool(broken) or bool(watching.failures)
    exit_code = interrupts.exit_code if interrupts.count else int(failed)
    if pipeline.left_behind is not None:
        left = {str(sink.path) for sink in pipeline.left_sinks}
        outputs = tuple(path for path in outputs if path not in left)
        reporter.problem(f"{pipeline.left_behind}; the other outputs were finished")
        exit_code = 1
    return Outcome(
        stats,
        (*(() if nothing else outputs), *watching.recorded),
        exit_code=exit_code,
        aborted=pipeline.aborted,
        lanes=lanes,
    )


def _lanes(grid: Grid | None) -> tuple[LaneStats, ...]:
    """The counts of each lane; none where there is one source."""
    return () if grid is None else tuple(lane.stats for lane in grid.lanes)
