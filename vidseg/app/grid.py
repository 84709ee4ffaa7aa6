"""Several sources in one grid: which options apply, how the sources are opened, and how they share one network."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from vidseg.config import RunConfig
from vidseg.defaults import CUDA_BATCH
from vidseg.errors import ConfigError
from vidseg.frames import VideoInfo, rate_of
from vidseg.interfaces import VideoSource
from vidseg.names import page_title, shown_name
from vidseg.pipeline.background_inference import BackgroundInference
from vidseg.pipeline.file_grid import TIME_BASE, FileGrid, FileLane
from vidseg.pipeline.grid import ClockGrid, grid_rate
from vidseg.pipeline.grid_lane import LaneSpec
from vidseg.pipeline.inference_worker import InferenceWorker, Slot
from vidseg.pipeline.policy import InferenceStride, RateLimit
from vidseg.render.grid import TiledPainter
from vidseg.sources.factory import SourceKind, classify
from vidseg.timing import StageTimers
from vidseg.wiring.effects import propagator_for
from vidseg.wiring.run_source import (
    Announcements,
    check_camera_options,
    comes_back,
    open_as_asked,
    open_once,
    reconnect_options,
    takes_parts_away,
)

if TYPE_CHECKING:
    from vidseg.wiring.engine import Engine

MOST_LANES = 36


def is_grid(config: RunConfig) -> bool:
    """True for several sources in one grid; several pictures are one source."""
    return bool(config.more_sources) and any(classify(each) is not SourceKind.IMAGES for each in sources_of(config))


def check_grid_options(config: RunConfig) -> None:
    """Refuse what has no meaning for several sources at once.

    Raises:
        ConfigError: an option, or a source that is no video.
    """
    sources = sources_of(config)
    if len(sources) > MOST_LANES:
        raise ConfigError(
            f"{len(sources)} sources are given, but at most {MOST_LANES} can be shown together; "
            "to process files one after another, use `vidseg batch`"
        )
    single = (
        ("--resume", config.resume, "continues one video file"),
        ("--workers", config.workers is not None, "splits one video file"),
        ("--save-json", config.save_json, "describes the frames of one source"),
        ("--save-csv", config.save_csv, "describes the frames of one source"),
        ("--save-parquet", config.save_parquet, "describes the frames of one source"),
        ("--save-plot", config.save_plot, "describes the frames of one source"),
        ("--save-confidence", config.save_confidence, "describes the frames of one source"),
        ("--view confidence", config.view == "confidence", "shows one source"),
    )
    for option, given, does in single:
        if given:
            raise ConfigError(
                f"{option}: {does}, but {len(sources)} sources are given; leave it out, or run each source on its own"
            )
    if config.live == "every-frame":
        raise ConfigError(
            f"--live every-frame: {len(sources)} sources are shown live, with the newest frame of each; "
            "leave out --live, or run each source on its own"
        )
    kinds = [classify(source) for source in sources]
    for source, kind in zip(sources, kinds, strict=True):
        if kind is SourceKind.IMAGES:
            raise ConfigError(
                f"{shown_name(source)}: images cannot be shown beside other sources; accepted: video files, streams, "
                "cameras, test patterns; give images alone to `vidseg run` or `vidseg batch`"
            )
    if (config.start, config.end) != (None, None) and {SourceKind.URL, SourceKind.CAMERA} & set(kinds):
        raise ConfigError("--start and --end are for files, but one of these is live; use --duration to end the run")
    check_camera_options(config, *kinds)


def sources_of(config: RunConfig) -> list[str]:
    """All of them, in the order given."""
    return [*([] if config.source is None else [config.source]), *config.more_sources]


Grid = ClockGrid | FileGrid


def open_grid(config: RunConfig, announcements: Announcements, note: Callable[[str], None], hidden: bool) -> Grid:
    """All sources of the configuration in one grid. Files that nobody watches keep every frame.

    Args:
        hidden: some classes must not be seen.
        announcements, note: as in `open_lanes`.
    Raises:
        SourceError: as `open_lanes`.
    """
    files = all(classify(each) in (SourceKind.FILE, SourceKind.PATTERN) for each in sources_of(config))
    watched = config.show or config.serve or config.sent or config.pace
    if watched or not files:
        return open_lanes(config, announcements, note)
    return _open_files(config, announcements, note, hidden)


def _open_files(config: RunConfig, announcements: Announcements, note: Callable[[str], None], hidden: bool) -> FileGrid:
    names = [page_title(source) for source in sources_of(config)]
    with ExitStack() as opened:
        lanes = []
        for source, name in zip(sources_of(config), names, strict=True):
            own = open_as_asked(replace(config, source=source, more_sources=(), audio="none"))
            opened.callback(own.close)
            for text in own.info.notes:
                note(f"{name}: {text}")
            stride = InferenceStride(
                config.stride if isinstance(config.stride, int) else 1, RateLimit(config.infer_fps)
            )
            lanes.append(FileLane(name, own, stride, RateLimit(config.max_fps), fail_closed=hidden))
        infos = [lane.source.info for lane in lanes]
        painter = TiledPainter(names, [(info.height, info.width) for info in infos], plain=takes_parts_away(config))
        rates = [info.frame_rate or Fraction(25) for info in infos]
        rate = max(rates) if config.max_fps is None else min(max(rates), Fraction(config.max_fps))
        height, width = painter.size_hw
        info = VideoInfo(
            width,
            height,
            TIME_BASE,
            rate_of(rate),
            has_audio=any(info.has_audio for info in infos),
            tiles=painter.cells,
            source_paths=tuple(path for info in infos for path in info.source_paths),
        )
        opened.pop_all()
        return FileGrid(lanes, info, painter, announce=announcements)


def open_lanes(config: RunConfig, announcements: Announcements, note: Callable[[str], None]) -> ClockGrid:
    """All sources of the configuration, arranged in a grid.

    A stream or camera that cannot be had at the start is tried again, unless `--reconnect` says otherwise, and does not
    hold up the others; where none can be had, that is an error unless they are to be waited for.

    Args:
        announcements: told later, from other threads, what becomes of the connections.
        note: told at once.
    Raises:
        SourceError: a file cannot be opened, or none of the streams.
    """
    sources = sources_of(config)
    names = [page_title(source) for source in sources]
    specs = []
    for source, name in zip(sources, names, strict=True):
        own = replace(config, source=source, more_sources=(), audio="none")
        kind = classify(source)
        specs.append(
            LaneSpec(
                name,
                partial(_open, own, name, announcements),
                attempts=reconnect_options(own).attempts if comes_back(own, kind) else 1,
                needed=kind not in (SourceKind.URL, SourceKind.CAMERA),
            )
        )
    grid = ClockGrid(specs, announce=announcements)
    try:
        infos = grid.wait_opened(patient=config.reconnect not in (None, "0"))
        known = [info for info in infos if info is not None]
        for name, info in zip(names, infos, strict=True):
            for text in () if info is None else info.notes:
                note(f"{name}: {text}")
        painter = TiledPainter(
            names,
            [None if info is None else (info.height, info.width) for info in infos],
            plain=takes_parts_away(config),
        )
        rate = grid_rate(infos, config.max_fps)
        height, width = painter.size_hw
        grid.arrange(
            VideoInfo(
                width,
                height,
                1 / rate,
                rate,
                live=True,
                from_files=all(info is not None and not info.live for info in infos),
                has_audio=any(info.has_audio for info in known),
                tiles=painter.cells,
                source_paths=tuple(path for info in known for path in info.source_paths),
            ),
            painter,
        )
    except BaseException:
        grid.close()
        raise
    announcements.print(note)
    return grid


def _open(config: RunConfig, name: str, announce: Callable[[str], None]) -> VideoSource:
    return open_once(config, lambda text: announce(text if text.startswith(f"{name}:") else f"{name}: {text}"))


def infer_lanes(grid: Grid, config: RunConfig, engine: Engine, hidden: tuple[int, ...], timers: StageTimers) -> None:
    """Let one network serve all lanes, in turn, each with a memory of its own.

    Args:
        hidden: ids of the classes that must not be seen.
    """
    from vidseg.segmentation.segmenter_group import SegmenterGroup

    count = len(grid.lanes)
    opened = [None if lane.source is None else lane.source.info for lane in grid.lanes]
    known = next((info for info in opened if info is not None), grid.info)
    infos = [replace(grid.info, width=own.width, height=own.height) for own in (info or known for info in opened)]
    group = SegmenterGroup([engine.segmenter(config, info, timers) for info in infos])
    batch = config.batch or (min(count, CUDA_BATCH) if engine.device.type == "cuda" else 1)
    if isinstance(grid, FileGrid):
        for lane in grid.lanes:
            lane.propagator = None if lane.stride.every_frame else propagator_for(config, hidden, timers)
        grid.infer_with(group.segment, batch)
        return

    def inference(slot: Slot) -> BackgroundInference:
        first, second = propagator_for(config, hidden, timers), propagator_for(config, hidden, StageTimers())
        return BackgroundInference(
            slot,
            None if first is None or second is None else (first, second),
            infer_fps=config.infer_fps,
            fail_closed=bool(hidden),
            stride=config.stride if isinstance(config.stride, int) else 1,
            shared=True,
        )

    grid.infer_with(InferenceWorker(group.segment, slots=count, batch=batch), inference)
