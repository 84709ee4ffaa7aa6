"""The parts of `vidseg bench` that are measured one at a time, with nothing else running."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidseg.config import RunConfig
from vidseg.errors import ConfigError
from vidseg.frames import Frame, Segmentation, UInt8Array, VideoInfo
from vidseg.names import shown_name
from vidseg.render.overlay import OverlayRenderer
from vidseg.sinks.factory import open_video_sink
from vidseg.timing import StageTimers
from vidseg.wiring.effects import drawn_labels, render_options
from vidseg.wiring.engine import Engine, label_set
from vidseg.wiring.outputs import encode_options
from vidseg.wiring.run_source import open_as_asked

MAX_FRAMES = 48
"""Kept in memory and gone through again and again."""
WARM_UP = 3
"""Calls of each stage before the clock counts."""
MIN_CALLS = 5
THREADS = (
    ("decode", ("decode",)),
    ("network", ("preprocess", "model")),
    ("masks", ("smooth", "postprocess")),
    ("output", ("render", "encode")),
)
"""The stages that share a thread of the pipeline: their times add up, those of different threads overlap."""


@dataclass(frozen=True, slots=True)
class BatchTime:
    """The model alone on so many pictures at once. Milliseconds of one call; throughput in pictures per second."""

    batch: int
    p50_ms: float
    p95_ms: float
    throughput: float
    calls: int


@dataclass(frozen=True, slots=True)
class StageCost:
    """One stage alone, per frame: median wall milliseconds (of encoding: the mean), mean CPU milliseconds."""

    name: str
    wall_ms: float
    cpu_ms: float
    frames: int


def decode(config: RunConfig, seconds: float) -> tuple[VideoInfo, list[Frame], StageCost]:
    """The source, its first frames, and what decoding costs; a short source is read again.

    Raises:
        ConfigError: it cannot be read again, or has no frames.
        SourceError: it cannot be read.
    """
    shown = shown_name(config.source or "")
    kept: list[Frame] = []
    walls: list[float] = []
    cpu, info = 0.0, None
    end = time.perf_counter() + seconds
    while info is None or (walls and (len(walls) < MIN_CALLS or time.perf_counter() < end)):
        source = open_as_asked(config)
        info = source.info
        try:
            if info.live or info.still:
                raise ConfigError(f"{shown}: bench needs a video file or test, which can be read again")
            frames = iter(source)
            while True:
                start, cpu_start = time.perf_counter(), time.process_time()
                frame = next(frames, None)
                if frame is None:
                    break
                walls.append(time.perf_counter() - start)
                cpu += time.process_time() - cpu_start
                if len(kept) < MAX_FRAMES and (not kept or frame.index > kept[-1].index):
                    kept.append(frame)
                if len(walls) >= MIN_CALLS and time.perf_counter() >= end:
                    break
        finally:
            source.close()
    if not kept:
        raise ConfigError(f"{shown}: has no frames")
    return info, kept, StageCost("decode", _median_ms(walls), 1000 * cpu / len(walls), len(walls))


def model_alone(
    engine: Engine, info: VideoInfo, frames: list[Frame], batches: tuple[int, ...], seconds: float
) -> tuple[BatchTime, ...]:
    """What a call of the network takes at each of these batch sizes, measured for `seconds` each."""
    found = []
    for batch in sorted(batches):  # a compiled network fills up a batch that is smaller than one it has seen
        images = torch.cat([engine.seen(frames[number % len(frames)].image, info) for number in range(batch)])
        walls = _repeated(lambda images=images: _run_model(engine, images), seconds)  # type: ignore[misc]
        p50, p95 = (float(1000 * np.percentile(walls, share)) for share in (50, 95))
        found.append(BatchTime(batch, p50, p95, batch * len(walls) / sum(walls), len(walls)))
    return tuple(found)


def _run_model(engine: Engine, images: Tensor) -> None:
    with torch.inference_mode():
        engine.runtime.run(images)
        if engine.device.type == "cuda":
            torch.cuda.synchronize(engine.device)


class _StageClock(StageTimers):
    """Wall and CPU seconds by stage since the last `take`. The CPU is that of the whole process."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds: dict[str, tuple[float, float]] = {}

    @contextmanager
    def measure(self, stage: str, frames: int = 1) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        old = self._seconds.get(stage, (0.0, 0.0))
        self._seconds[stage] = (old[0] + time.perf_counter() - wall, old[1] + time.process_time() - cpu)

    def take(self) -> dict[str, tuple[float, float]]:
        taken, self._seconds = self._seconds, {}
        return taken


def segment_stages(
    engine: Engine, config: RunConfig, info: VideoInfo, frames: list[Frame], seconds: float
) -> tuple[list[Segmentation], list[StageCost]]:
    """A segmentation of each frame, and the stages of the segmenter, frame by frame."""
    clock = _StageClock()
    segmenter = engine.segmenter(config, info, clock)
    for frame in frames[:WARM_UP]:
        segmenter.segment([frame])
    clock.take()
    samples: list[dict[str, tuple[float, float]]] = []
    segmentations: list[Segmentation] = []
    end = time.perf_counter() + seconds
    while len(samples) < max(MIN_CALLS, len(frames)) or time.perf_counter() < end:
        found = segmenter.segment([frames[len(samples) % len(frames)]])
        if len(segmentations) < len(frames):
            segmentations += found
        samples.append(clock.take())
        if len(segmentations) >= MIN_CALLS and time.perf_counter() >= end:
            break
    costs = []
    for name in samples[0]:
        walls, cpus = zip(*(sample[name] for sample in samples), strict=True)
        costs.append(StageCost(name, _median_ms(walls), 1000 * sum(cpus) / len(cpus), len(samples)))
    order = [stage for _, members in THREADS for stage in members]
    return segmentations, sorted(costs, key=lambda cost: order.index(cost.name))


def output_stages(
    config: RunConfig,
    info: VideoInfo,
    frames: list[Frame],
    segmentations: list[Segmentation],
    folder: str,
    seconds: float,
) -> tuple[StageCost, StageCost]:
    """Rendering, and encoding of the rendered pictures."""
    labels = drawn_labels(config, label_set(config))
    renderer = OverlayRenderer(render_options(config, labels), labels)
    pairs = list(zip(frames, segmentations, strict=False))
    for frame, segmentation in pairs[:WARM_UP]:
        renderer.render(frame.image, segmentation)
    pictures: list[UInt8Array] = []
    walls: list[float] = []
    cpu = time.process_time()
    end = time.perf_counter() + seconds
    while len(walls) < MIN_CALLS or time.perf_counter() < end:
        frame, segmentation = pairs[len(walls) % len(pairs)]
        start = time.perf_counter()
        picture = renderer.render(frame.image, segmentation)
        walls.append(time.perf_counter() - start)
        if len(pictures) < len(pairs):
            pictures.append(picture)
    render = StageCost("render", _median_ms(walls), 1000 * (time.process_time() - cpu) / len(walls), len(walls))

    # encoders keep frames and work on their own threads: only the whole can be timed
    step = frames[1].pts - frames[0].pts if len(frames) > 1 else 1
    start, cpu = time.perf_counter(), time.process_time()
    sink = open_video_sink(
        Path(folder, "encode.mp4"),
        info,
        overwrite=True,
        encode=replace(encode_options(config), audio="none"),
    )
    count = 0
    try:
        while count < MIN_CALLS or time.perf_counter() - start < seconds:
            frame, segmentation = pairs[count % len(pictures)]
            again = replace(frame, index=count, pts=frames[0].pts + count * max(1, step))
            sink.write(again, segmentation, pictures[count % len(pictures)])
            count += 1
        sink.close()
    except BaseException:
        sink.abort()
        raise
    wall_ms = 1000 * (time.perf_counter() - start) / count
    return render, StageCost("encode", wall_ms, 1000 * (time.process_time() - cpu) / count, count)


def _repeated(call: Callable[[], None], seconds: float) -> list[float]:
    """Wall seconds of calls for so long, warm."""
    for _ in range(WARM_UP):
        call()
    walls: list[float] = []
    end = time.perf_counter() + seconds
    while len(walls) < MIN_CALLS or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        walls.append(time.perf_counter() - start)
    return walls


def _median_ms(walls: tuple[float, ...] | list[float]) -> float:
    return float(1000 * np.median(walls))
