"""Everything that a run reads, draws and writes, opened in an order that allows refusing and undoing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.app.grid import Grid, is_grid, open_grid
from vidseg.config import RunConfig
from vidseg.frames import VideoInfo
from vidseg.interfaces import Renderer, ResumableSink, ResumableSource, Sink, VideoSource
from vidseg.labels import LabelSet
from vidseg.render.options import RenderOptions
from vidseg.timing import StageTimers
from vidseg.viewers.outputs import Viewers
from vidseg.wiring.damage import refuse_strict_live
from vidseg.wiring.input_files import InputFiles
from vidseg.wiring.interrupts import Interrupts, StopRequest, killable
from vidseg.wiring.output_shape import without_unseen_frames
from vidseg.wiring.outputs import made_folder, open_sinks, with_usable_encoder
from vidseg.wiring.reporter import Reporter
from vidseg.wiring.run_source import Announcements, open_run_source
from vidseg.wiring.stats_file import StatsFile

if TYPE_CHECKING:
    from vidseg.wiring.engine import Engine


@dataclass(slots=True)
class OpenedRun:
    """Everything that a run needs."""

    config: RunConfig
    """With an encoder that works here."""
    info: VideoInfo
    labels: LabelSet
    options: RenderOptions
    renderer: Renderer
    engine: Engine
    batch: int
    """Frames segmented at once at most."""
    source: VideoSource
    grid: Grid | None
    """The source, where it is several."""
    sinks: list[Sink]
    watchers: Sequence[Sink]
    stats_file: StatsFile | None
    viewers: Viewers
    files: InputFiles
    announcements: Announcements
    timers: StageTimers
    reporter: Reporter
    interrupts: StopRequest
    chunked: tuple[ResumableSource, list[ResumableSink]] | None
    """For `--resume` and `--workers`: source, and watchers and sinks, as what is read and written in chunks."""
    _source_to_close: ExitStack
    _sinks_to_abort: ExitStack

    def hand_over(self) -> None:
        """To the pipeline, which closes the source on the thread that reads it, and closes or aborts the sinks, but
        for one that is blocked."""
        self._source_to_close.pop_all()
        self._sinks_to_abort.pop_all()


def open_run(
    config: RunConfig,
    reporter: Reporter,
    unfinished: ExitStack,
    *,
    labels: LabelSet,
    options: RenderOptions,
    renderer: Renderer,
    engine: Engine | None,
    interrupts: StopRequest | None,
    watchers: Sequence[Sink],
    new_folder: str | None,
) -> OpenedRun:
    """Open what the configuration says; `unfinished` gives it back.

    Raises:
        VidsegError: anything the user can mend.
    """
    # here, so that what needs no network (`vidseg.app.render`) gets by without torch
    from vidseg.chunks.refusals import resumable_sinks, resumable_source

    assert config.source is not None
    viewers = unfinished.enter_context(Viewers(config))
    files = InputFiles([config.source, *config.more_sources])
    unfinished.enter_context(files.blamed())
    announcements = Announcements()
    grid, source = _opened_source(config, options, announcements, reporter)
    opened = unfinished.enter_context(ExitStack())
    opened.callback(source.close)
    info = source.info
    refuse_strict_live(config, info)
    files.add(info.source_paths)
    asked = config.chunk_options
    chunked_source = resumable_source(asked[0], config, source) if asked else None
    _tell_of_source(config, info, reporter, several=grid is not None)

    config = with_usable_encoder(config, info, reporter.note)
    if grid is None:  # of a grid each source has a rate of its own; the output leaves out frames of the whole
        config = without_unseen_frames(config)
    claims = ExitStack()
    if interrupts is None:
        interrupts = unfinished.enter_context(Interrupts(abandon=claims.close, tell=reporter.note))
    unfinished.enter_context(claims)
    if new_folder is not None:
        claims.enter_context(made_folder(new_folder))
    sinks = open_sinks(config, info, labels, announcements)
    unfinished_sinks = claims.enter_context(ExitStack())
    for sink in (*watchers, *sinks):
        unfinished_sinks.callback(sink.abort)
    chunked = None if chunked_source is None else (chunked_source, resumable_sinks(asked[0], [*watchers, *sinks]))
    stats_file = None
    if config.stats:
        stats_file = StatsFile(Path(config.stats), overwrite=config.overwrite, source_paths=info.source_paths)
        claims.callback(stats_file.discard)

    engine, batch = _loaded(config, info, engine, reporter)
    return OpenedRun(
        *(config, info, labels, options, renderer, engine, batch, source, grid, sinks, watchers, stats_file),
        *(viewers, files, announcements, StageTimers(), reporter, interrupts, chunked, opened, unfinished_sinks),
    )


def _opened_source(
    config: RunConfig, options: RenderOptions, announcements: Announcements, reporter: Reporter
) -> tuple[Grid | None, VideoSource]:
    """Several sources as one, and what is read: that or the one source."""
    with killable():  # a stream may take long to answer
        if is_grid(config):
            grid = open_grid(config, announcements, reporter.note, bool(options.blur_classes))
            return grid, grid
        return None, open_run_source(config, announcements, reporter.note)


def _tell_of_source(config: RunConfig, info: VideoInfo, reporter: Reporter, *, several: bool) -> None:
    for text in info.notes:
        reporter.note(text)
    if config.output and config.audio == "copy" and info.has_audio and not (info.audio_path or info.audio):
        what = "several sources" if several else "the stream"
        reporter.note(f"the audio of {what} is left out")


def _loaded(config: RunConfig, info: VideoInfo, engine: Engine | None, reporter: Reporter) -> tuple[Engine, int]:
    """The network, and how many frames it gets at once."""
    from vidseg.wiring.network_cores import load_beside
    from vidseg.wiring.network_input import published_advice

    if engine is None:
        engine = load_beside(config, reporter, info)
    batch = engine.batch(config, info)
    beside = f" ({engine.requests} in parallel)" if engine.requests > 1 else ""
    reporter.detail(f"model {engine.model}, {engine.runtime.name}, {engine.size.words(info)}, batch {batch}{beside}")
    advice = None if info.still else published_advice(engine.model, engine.size)
    if advice is not None:
        reporter.note(advice)
    if config.blur_classes:
        reporter.note(f"what {engine.model} misses stays visible; check the result before you publish it")
        if config.min_confidence:
            reporter.note("regions below --min-confidence are hidden too")
    return engine, batch
