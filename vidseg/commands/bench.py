"""Speed on this machine: the model alone, each stage alone, a whole run, and what its slowest part would allow."""

from __future__ import annotations

import json
import platform
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from vidseg.app.run import run
from vidseg.atomic import PartFile, write_whole_file
from vidseg.commands.bench_stages import (
    THREADS,
    BatchTime,
    StageCost,
    decode,
    model_alone,
    output_stages,
    segment_stages,
)
from vidseg.commands.busy_threads import BusyWatch, ThreadBusy
from vidseg.commands.sample import sample_source
from vidseg.config import RunConfig
from vidseg.cores import usable_cores
from vidseg.errors import ConfigError, VidsegError, first_line
from vidseg.frames import Frame, UInt8Array, VideoInfo
from vidseg.names import shown_name
from vidseg.opencv import installed_packages
from vidseg.runtimes.model_file import read_model_file
from vidseg.runtimes.model_format import is_model_file
from vidseg.runtimes.registry import ENGINES, candidates, fitting_engines
from vidseg.runtimes.sessions import file_runtimes
from vidseg.timing import StageTimers
from vidseg.version import __version__
from vidseg.wiring.effects import drawn_labels, render_options
from vidseg.wiring.engine import Engine, check_engine, label_set, load_engine
from vidseg.wiring.interrupts import Interrupts, StopRequest
from vidseg.wiring.network_cores import beside_other_stages, requests_beside
from vidseg.wiring.outputs import with_usable_encoder
from vidseg.wiring.reporter import Reporter


class BenchReporter(Reporter, Protocol):
    """Told what is measured besides."""

    def phase(self, text: str) -> None:
        """What is being measured now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest:
    """What to measure, and for how long."""

    config: RunConfig
    """Source, model and how it runs; `output` and the like are not looked at."""
    batches: tuple[int, ...] = (1, 2, 4)
    compare: bool = False
    """Run all runtimes that fit, side by side."""
    seconds: float = 3.0
    """For each measurement."""
    json: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """A run from the source into a temporary file."""

    frames: int
    fps: float
    cpu_ms: float
    """Processor time of the whole process per frame: more than that of the stages alone, for they share caches."""
    cores_busy: float
    """Processor time per elapsed time: with 2 cores 2.0 at most."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What the stages would allow, in frames per second, if nothing were lost between them."""

    slowest_stage: str
    slowest_thread: str
    by_thread: float
    """One frame in the time of the thread with the most work."""
    by_cores: float | None
    """All cores busy with the CPU time that a frame takes; None where the model is not on the CPU."""

    @property
    def fps(self) -> float:
        """The lower of the two."""
        return self.by_thread if self.by_cores is None else min(self.by_thread, self.by_cores)


@dataclass(frozen=True, slots=True)
class Compared:
    """One runtime of a comparison. `same_labels`: share of pixels, 0..1, with the label of `reference` in float32."""

    runtime: str
    times: tuple[BatchTime, ...]
    same_labels: float
    reference: str


@dataclass(frozen=True, slots=True)
class BenchResult:
    """All that was measured. `network_hw` is what the network saw; `cores` those that this process may use."""

    source: str
    size_hw: tuple[int, int]
    model: str
    runtime: str
    network_hw: tuple[int, int]
    cores: int
    machine: dict[str, str]
    model_alone: tuple[BatchTime, ...]
    stages: tuple[StageCost, ...]
    end_to_end: EndToEnd
    bound: Bound
    busy: tuple[ThreadBusy, ...] = ()
    """How busy each thread of the whole run was."""
    compared: tuple[Compared, ...] = ()
    threads_alone: int | None = None
    """CPU threads of the model alone and of the comparison; None leaves the choice to the runtime, which takes all."""
    tiles: str | None = None
    """Columns and rows of the windows that the network sees, each at `network_hw`."""
    threads_run: int | None = None
    """The same for the stages and the whole run, which leave cores to each other."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = asdict(self)
        plain["bound"]["fps"] = self.bound.fps
        return plain


_WHOLE = "whole.mp4"
_FEWEST_FRAMES = 60
"""Of the whole run: the pipeline fills and empties once in it."""


def bench(request: BenchRequest, reporter: BenchReporter) -> BenchResult:
    """Measure, and write the JSON file where one is asked for.

    Raises:
        ConfigError: an option is out of range, or the source is live or single pictures.
        SinkError: the JSON file exists, or its folder does not.
        VidsegError: anything else the user can mend.
    """
    if not request.batches or any(not 1 <= batch <= 64 for batch in request.batches):
        raise ConfigError(f"--batch is {','.join(map(str, request.batches))}; accepted: numbers from 1 to 64")
    if not 0 < request.seconds <= 600:
        raise ConfigError(f"--seconds is {request.seconds:g}; accepted: above 0, at most 600")
    if request.json is not None:  # a wrong name is told at the start
        PartFile(request.json, overwrite=request.overwrite).discard()
    spec = request.config.source or sample_source()
    config = replace(request.config, source=spec)
    check_engine(config)
    render_options(config, drawn_labels(config, label_set(config)))
    info, frames, decoding = decode(config, request.seconds)
    usable = with_usable_encoder(replace(config, output=_WHOLE, matte=()), info, reporter.note)
    config = replace(config, codec=usable.codec, encoder_preset=usable.encoder_preset)
    all_cores = load_engine(config, reporter, info=info)
    all_cores.segmenter(config, info, StageTimers())  # options that the network cannot do are told now
    torch_threads = torch.get_num_threads()
    with (
        tempfile.TemporaryDirectory(prefix="vidseg-bench-") as folder,
        Interrupts(abandon=lambda: _remove_files(folder)),
    ):
        reporter.phase("model alone")
        alone = model_alone(all_cores, info, frames, request.batches, request.seconds)
        reporter.phase("each stage alone")
        # from here on as `vidseg run` does it: with cores left for the other stages
        requests = requests_beside(config, info)
        config = beside_other_stages(config)
        alike = config.threads == request.config.threads and requests == 1
        engine = all_cores if alike else load_engine(config, reporter, requests=requests, info=info)
        segmentations, costs = segment_stages(engine, config, info, frames, request.seconds)
        stages = (decoding, *costs, *output_stages(config, info, frames, segmentations, folder, request.seconds))
        reporter.phase("end to end")
        end_to_end, busy = _end_to_end(config, engine, stages, folder, request.seconds)
    compared: tuple[Compared, ...] = ()
    if request.compare:
        torch.set_num_threads(torch_threads)  # the run left cores to its other stages
        compared = _compare(replace(config, threads=request.config.threads), frames, request, reporter)
    height, width = frames[0].size_hw
    result = BenchResult(
        source=shown_name(spec),
        size_hw=(height, width),
        model=engine.model,
        runtime=engine.runtime.name,
        network_hw=engine.size.network_hw(info, height, width),
        cores=usable_cores(),
        machine=machine(engine.device) | {"torch_threads": str(torch_threads)},
        model_alone=alone,
        stages=stages,
        end_to_end=end_to_end,
        bound=_bound(config, engine, stages),
        busy=busy,
        compared=compared,
        threads_alone=request.config.threads,
        tiles=config.tiles,
        threads_run=config.threads,
    )
    if request.json is not None:
        write_whole_file(request.json, (json.dumps(result.as_dict(), indent=2) + "\n").encode())
    return result


def _bound(config: RunConfig, engine: Engine, stages: tuple[StageCost, ...]) -> Bound:
    stride = config.stride if isinstance(config.stride, int) else 1
    return bound_of(stages, usable_cores(), on_cpu=engine.device.type == "cpu", stride=stride)


def bound_of(stages: tuple[StageCost, ...], cores: int, *, on_cpu: bool, stride: int = 1) -> Bound:
    """What these stages would allow. With a stride the network's count for that part of the frames that it sees."""
    seldom = {stage for thread, members in THREADS for stage in members if thread in ("network", "masks")}
    stages = tuple(
        replace(stage, wall_ms=stage.wall_ms / stride, cpu_ms=stage.cpu_ms / stride) if stage.name in seldom else stage
        for stage in stages
    )
    wall = {stage.name: stage.wall_ms for stage in stages}
    threads = {name: sum(wall.get(stage, 0.0) for stage in members) for name, members in THREADS}
    slowest = max(threads, key=lambda name: threads[name])
    cpu_ms = sum(stage.cpu_ms for stage in stages)
    return Bound(
        slowest_stage=max(wall, key=lambda name: wall[name]),
        slowest_thread=slowest,
        by_thread=1000 / max(threads[slowest], 1e-6),
        by_cores=1000 * cores / max(cpu_ms, 1e-6) if on_cpu else None,
    )


def machine(device: torch.device | None = None) -> dict[str, str]:
    """Versions of what matters for speed, the processor, and the GPU where the device is one."""
    found = {"vidseg": __version__, "python": platform.python_version(), "system": platform.platform()}
    found["processor"] = _processor()
    found["torch_threads"] = str(torch.get_num_threads())
    if device is not None and device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    for package in ("torch", "openvino", "onnxruntime", "av", *installed_packages(), "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _end_to_end(
    config: RunConfig, engine: Engine, stages: tuple[StageCost, ...], folder: str, seconds: float
) -> tuple[EndToEnd, tuple[ThreadBusy, ...]]:
    expected = _bound(config, engine, stages).fps
    whole = replace(
        config,
        output=str(Path(folder, _WHOLE)),
        overwrite=True,
        limit=max(_FEWEST_FRAMES, round(expected * seconds)),
        audio="none",
        show=False,
        save_masks=None,
        save_confidence=None,
        stats=None,
    )
    # signals are the caller's: nobody would want this finished
    begun, wall = time.process_time(), time.perf_counter()
    watch = BusyWatch()
    stats = run(whole, watch, engine=engine, interrupts=StopRequest()).stats
    cpu = time.process_time() - begun
    watch.look(stats.stages)
    busy = watch.threads()
    found = EndToEnd(
        frames=stats.delivered,
        fps=stats.fps,
        cpu_ms=1000 * cpu / stats.delivered,
        cores_busy=cpu / (time.perf_counter() - wall),
    )
    return found, busy


def _compare(
    config: RunConfig, frames: list[Frame], request: BenchRequest, reporter: BenchReporter
) -> tuple[Compared, ...]:
    """The model alone in every runtime that is installed and fits, and the share of right labels."""
    device, precision = check_engine(replace(config, runtime="auto"))
    if is_model_file(config.model):
        names = file_runtimes(
            read_model_file(config.model, config.label_set).path, "auto", precision, trusted=config.trust_model
        )
        reference = names[-1]
    else:
        names, reference = candidates("auto", device, precision), "torch"
        names += [name for name in fitting_engines(device, precision) if not ENGINES[name].automatic]
    chosen = frames[:: max(1, len(frames) // 4)][:4]
    still = VideoInfo(frames[0].size_hw[1], frames[0].size_hw[0], frames[0].time_base, still=True)
    single = replace(config, smooth=False, device=str(device))

    def labels_by(engine: Engine) -> UInt8Array:
        found = engine.segmenter(single, still, StageTimers()).segment(chosen)
        return np.stack([each.label_map for each in found])

    expected = labels_by(load_engine(replace(single, runtime=reference, precision="float32"), reporter))
    compared = []
    for name in names:
        reporter.phase(f"model alone in {name}")
        try:
            engine = load_engine(replace(single, runtime=name), reporter, info=replace(still, still=False))
            times = model_alone(engine, still, frames, request.batches, request.seconds)
            same = float((labels_by(engine) == expected).mean())
        except VidsegError as error:  # no compiler here, or a damaged installation
            reporter.note(f"left out: {error}")
            continue
        except Exception as error:  # what has been measured until here must not be lost
            reporter.note(f"left out: {name} failed ({first_line(error)})")
            continue
        compared.append(Compared(engine.runtime.name, times, same, reference))
    return tuple(compared)


def _remove_files(folder: str) -> None:
    for path in Path(folder).glob("*"):
        path.unlink(missing_ok=True)
    Path(folder).rmdir()
