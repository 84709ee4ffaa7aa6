"""Wires source, segmenter, renderer and sinks into the pipeline. The only place that sees all of them."""

from __future__ import annotations

import itertools
import math
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch

from vidseg import zoo
from vidseg.app.interrupts import Interrupts, killable
from vidseg.app.stats_file import StatsFile
from vidseg.app.watch import Pacer, watch
from vidseg.config import RunConfig
from vidseg.errors import ConfigError
from vidseg.frames import VideoInfo
from vidseg.interfaces import Sink
from vidseg.labels import ade20k
from vidseg.motion.propagate import FlowPropagator
from vidseg.motion.tracker import FlowTracker
from vidseg.pipeline.buffer import Buffer
from vidseg.pipeline.pipeline import Pipeline, PipelineOptions, Result
from vidseg.pipeline.stats import RunStats
from vidseg.records.label_maps import LabelMapSink
from vidseg.render.display import find_display
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import OverlayRenderer
from vidseg.render.window import Window
from vidseg.runtimes.loading import load_model
from vidseg.runtimes.registry import candidates, create_runtime, runtime_device
from vidseg.runtimes.torch_runtime import pick_precision
from vidseg.segment.segmenter import QuerySegmenter
from vidseg.segment.temporal import ScoreSmoother
from vidseg.timing import StageTimers
from vidseg.video.factory import open_source
from vidseg.video.names import shown_name
from vidseg.video.sink_factory import open_video_sink

CUDA_BATCH = 8
"""Frames segmented at once on CUDA by default: one at a time leaves a GPU idle. A CPU gains nothing from more."""


class Reporter(Protocol):
    """Told what happens; prints it, or does not."""

    def note(self, text: str) -> None:
        """Something the user should know, one sentence."""
        ...

    def detail(self, text: str) -> None:
        """Something for those who want to know more."""
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


def run(config: RunConfig, reporter: Reporter) -> Outcome:
    """Do what the configuration says, from the main thread when it shows a window.

    Cheap checks come first, so that a wrong option is told before a network is loaded.

    Raises:
        VidsegError: anything the user can mend.
    """
    if config.source is None:
        raise ConfigError("no source given; accepted: a file, URL, cam0, folder, glob, image, or test")
    if not (config.output or config.show or config.save_masks or config.stats):
        raise ConfigError("nothing to do; give -o FILE, --show, --save-masks DIR or --stats FILE")
    options = render_options(config)
    if config.show:
        find_display()
    device = runtime_device(config.runtime, config.device)
    precision = pick_precision(config.precision, device)
    candidates(config.runtime, device, precision)  # raises where they do not go together
    entry = zoo.entry(config.model)
    timers = StageTimers()

    with ExitStack() as unfinished:
        with killable():  # a stream may take long to answer
            source = open_source(
                config.source,
                rtsp_transport="udp" if config.rtsp_transport == "udp" else "tcp",
                open_timeout=config.timeout,
                read_timeout=config.timeout,
            )
        opened = unfinished.enter_context(ExitStack())
        opened.callback(source.close)
        info = source.info
        for text in info.notes:
            reporter.note(text)
        if config.output and config.audio == "copy" and info.has_audio and info.audio_path is None:
            reporter.note("the sound of a stream is not recorded")

        claims = ExitStack()
        interrupts = unfinished.enter_context(Interrupts(abandon=claims.close))
        unfinished.enter_context(claims)
        sinks = open_sinks(config, info)
        for sink in sinks:
            claims.callback(sink.abort)
        stats_file = None
        if config.stats:
            stats_file = StatsFile(Path(config.stats), overwrite=config.overwrite, source_paths=info.source_paths)
            claims.callback(stats_file.discard)

        if config.threads is not None:
            torch.set_num_threads(config.threads)
        weights = Path(config.weights) if config.weights else None
        network = load_model(entry.name, weights, announce=reporter.note, progress=reporter.download)
        runtime = create_runtime(
            config.runtime,
            network,
            entry.name,
            device=device,
            precision=precision,
            threads=config.threads,
            announce=reporter.detail,
        )
        imgsz = config.imgsz or entry.imgsz["cpu" if device.type == "cpu" else "cuda"]
        smooth = not info.still if config.smooth is None else config.smooth
        smoother = ScoreSmoother(FlowTracker(), seconds=config.smooth_seconds) if smooth else None
        propagator = FlowPropagator(timers) if config.propagate == "flow" else None
        segmenter = QuerySegmenter(runtime, imgsz=imgsz, rule=config.rule, smoother=smoother, timers=timers)
        batch = config.batch or (CUDA_BATCH if device.type == "cuda" and not info.live else 1)
        reporter.detail(f"model {entry.name}, {runtime.name}, long side {imgsz}, batch {batch}")
        if config.blur_classes:
            reporter.note(f"what {entry.name} misses stays visible; look at the result before you publish it")

        pipeline = Pipeline(
            source,
            segmenter,
            OverlayRenderer(options),
            sinks,
            propagator=propagator,
            options=PipelineOptions(config.stride, config.max_fps, config.limit, batch),
            timers=timers,
        )
        opened.pop_all()  # the pipeline closes the source, on the thread that reads it
        interrupts.started()
        outcome = _run_pipeline(pipeline, info, config, options, reporter, interrupts)
        for sink in sinks:
            for text in getattr(sink, "notes", ()):
                reporter.note(text)
        if stats_file is not None and not outcome.aborted:
            stats_file.write(outcome.stats, config, entry.name, runtime.name, imgsz)
        return outcome


def render_options(config: RunConfig) -> RenderOptions:
    """How to draw, with classes looked up by name or id. Raises ConfigError for an unknown class."""
    labels = ade20k()
    return RenderOptions(
        opacity=config.opacity,
        view=config.view,
        contours=config.contours,
        legend=config.legend,
        labels=config.labels,
        classes=tuple(labels.find_all(config.classes)),
        ignore_classes=tuple(labels.find_all(config.ignore_classes)),
        blur_classes=tuple(labels.find_all(config.blur_classes)),
    )


def open_sinks(config: RunConfig, info: VideoInfo) -> list[Sink]:
    """The outputs that the configuration asks for, checked and claimed; none is left behind when one fails."""
    named = [path for path in (config.output, config.save_masks, config.stats) if path]
    for path, other in itertools.combinations(named, 2):
        if os.path.realpath(path) == os.path.realpath(other):
            raise ConfigError(f"{path}: is given for two outputs; give each its own name")
    with ExitStack() as stack:
        sinks: list[Sink] = []
        if config.output:
            sinks.append(
                open_video_sink(
                    config.output,
                    info,
                    overwrite=config.overwrite,
                    codec=config.codec,
                    crf=config.crf,
                    encoder_preset=config.encoder_preset,
                    audio="none" if config.audio == "none" else "copy",
                    source_paths=info.source_paths,
                )
            )
            stack.callback(sinks[-1].abort)
        if config.save_masks:
            sinks.append(LabelMapSink(config.save_masks, overwrite=config.overwrite, source_paths=info.source_paths))
        stack.pop_all()
        return sinks


def expected_frames(config: RunConfig, info: VideoInfo) -> int | None:
    """How many frames the run will deliver, as far as the source announces it."""
    count = info.frame_count
    if count is not None and config.max_fps is not None and info.frame_rate:
        count = math.ceil(count * min(1.0, config.max_fps / float(info.frame_rate)))
    return min((number for number in (count, config.limit) if number is not None), default=None)


def _run_pipeline(
    pipeline: Pipeline,
    info: VideoInfo,
    config: RunConfig,
    options: RenderOptions,
    reporter: Reporter,
    interrupts: Interrupts,
) -> Outcome:
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
        reporter.progress(pipeline, total)
        return handled > 0

    def tick(_: Pipeline) -> None:
        look()

    def display(results: Buffer[Result]) -> None:
        pacer = None if info.live or info.still or config.output else Pacer()
        with Window(f"vidseg - {shown_name(config.source or '')}", options) as window:
            watch(window, results, pipeline, pacer=pacer, hold=info.still and not config.output, stop=look)

    stats = pipeline.run(display if config.show else None, on_tick=tick)
    nothing = pipeline.aborted or not stats.delivered
    outputs = tuple(path for path in (config.output, config.save_masks) if path)
    if stats.broken_source is not None:
        reporter.problem(f"{stats.broken_source}; what came before that was kept")
    return Outcome(
        stats,
        () if nothing else outputs,
        exit_code=interrupts.exit_code if interrupts.count else int(stats.broken_source is not None),
        aborted=pipeline.aborted,
    )
