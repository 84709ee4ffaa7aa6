"""A loaded network that is ready to run, and how frames get to it; several runs can share it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vidseg import cores, zoo
from vidseg.confidence import IDENTITY, Calibration
from vidseg.config import WINNER_QUERY, RunConfig
from vidseg.cores import limited_cores
from vidseg.data.regions import region_detections
from vidseg.defaults import CUDA_BATCH
from vidseg.errors import ConfigError, DeviceError, VidsegError, first_line
from vidseg.frames import UInt8Array, VideoInfo
from vidseg.labels import LabelSet, ade20k
from vidseg.memory import require
from vidseg.motion.tracker import FlowTracker
from vidseg.runtimes.accelerators import ACCELERATORS, accelerator
from vidseg.runtimes.base import Queued, Runtime, Sized, precision_name
from vidseg.runtimes.file_runtime import FileRuntime, QueryFileRuntime, ScoreFileRuntime, open_model_file
from vidseg.runtimes.loading import load_model
from vidseg.runtimes.model_file import read_model_file
from vidseg.runtimes.model_format import ModelFile, is_model_file
from vidseg.runtimes.quantized import find_quantized
from vidseg.runtimes.registry import (
    ENGINES,
    candidates,
    create_runtime,
    import_problem,
    is_installed,
    runtime_device,
)
from vidseg.runtimes.sessions import READERS, file_runtimes
from vidseg.runtimes.shared import SharedRuntime
from vidseg.runtimes.torch_runtime import pick_precision, unused_gpu
from vidseg.segmentation.dense_segmenter import DenseSegmenter
from vidseg.segmentation.doubt import Doubt
from vidseg.segmentation.label_votes import LabelVotes
from vidseg.segmentation.preprocess import network_size, on_canvas, to_network
from vidseg.segmentation.segmenter import QuerySegmenter
from vidseg.segmentation.temporal import ScoreSmoother
from vidseg.segmentation.tiled_segmenter import QueryScoreRuntime, TiledSegmenter, windows_of
from vidseg.timing import StageTimers
from vidseg.wiring.frame_policy import is_smoothed
from vidseg.wiring.network_input import NetworkInput, file_input, network_input
from vidseg.wiring.reporter import Reporter

_LEAST_BYTES = 100_000_000
"""That a run takes beside its network, however small: engine, frames under way, encoder."""
_BYTES_PER_PARAMETER = 8
"""While a network is loaded there are the numbers of the file and the network's own."""
_FILE_COPIES = 4
"""The same of a network file: its content, and what the engine makes of it for any size and for two sizes."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A network with its runtime. Made by `load_engine`."""

    model: str
    """Its name in the zoo, or its file."""
    runtime: Runtime | ScoreFileRuntime
    size: NetworkInput
    """How frames are fed."""
    device: torch.device
    labels: LabelSet = field(default_factory=ade20k)
    calibration: Calibration = IDENTITY
    """What the winner's share of the scores says of being right."""
    requests: int = 1
    """Frames that the network processes in parallel; if above 1, several frames are passed at once."""
    precision: str = "auto"
    """The number format that was taken; given as `--precision`, another process takes the same."""

    def segmenter(
        self,
        config: RunConfig,
        info: VideoInfo,
        timers: StageTimers,
        *,
        keep_queries: bool = False,
        confidence: bool = False,
    ) -> QuerySegmenter | DenseSegmenter:
        """A segmenter for one source: its memory of past frames is its own, the network is shared.

        Raises:
            ConfigError: confidence is asked for, and the network cannot tell it.
        """
        smooth = is_smoothed(config, info)
        expected = _size_of_video(config, self.size, info)
        if isinstance(self.runtime, Sized) and expected is not None:
            self.runtime.expect(expected)
        network = self.runtime if config.tiles is None else self._blendable(config)
        scored = isinstance(network, ScoreFileRuntime | QueryScoreRuntime) and not network.gives_labels
        scores_regions = keep_queries and scored
        keep = confidence or config.keeps_confidence or scores_regions
        doubt = Doubt(self.calibration, minimum=config.min_confidence or 0.0, keep=keep)
        given = self.size.format(info)
        shared: dict[str, Any] = {"imgsz": self.size.imgsz, "given": given, "doubt": doubt, "timers": timers}
        if not (info.live or is_watched(config) or config.tiles) and self.takes_each_alone:
            # what is watched would only be older: the newest frame is better chosen when the network is free
            shared["queue"] = self.runtime if isinstance(self.runtime, Queued) else None
        if isinstance(network, ScoreFileRuntime | QueryScoreRuntime):
            if doubt.asked and network.gives_labels:
                raise ConfigError(_no_confidence(config, self.model))
            smoother = LabelVotes if network.gives_labels else ScoreSmoother
            tiled = partial(TiledSegmenter, tiles=windows_of(config.tiles))
            made = DenseSegmenter if config.tiles is None else tiled
            return made(
                network,
                network_size=network_size,
                smoother=smoother(FlowTracker(), seconds=config.smooth_seconds) if smooth else None,
                regions=partial(region_detections, names=self.labels.names) if keep_queries else None,
                **shared,
            )
        return QuerySegmenter(
            network,
            labels=self.labels,
            rule=config.rule,
            least=config.conf if config.rule == WINNER_QUERY else None,
            mask_score=config.mask_score,
            keep_queries=keep_queries,
            smoother=ScoreSmoother(FlowTracker(), seconds=config.smooth_seconds) if smooth else None,
            activated=self._activated,
            **shared,
        )

    def _blendable(self, config: RunConfig) -> ScoreFileRuntime | QueryScoreRuntime:
        """The network as one that scores classes. Raises ConfigError where its queries are asked for."""
        if isinstance(self.runtime, ScoreFileRuntime):
            return self.runtime
        if config.rule != "semantic":
            raise ConfigError(f"--tiles: windows are blended by --rule semantic, not by {config.rule}; leave one out")
        return QueryScoreRuntime(self.runtime, len(self.labels), activated=self._activated)

    @property
    def _activated(self) -> bool:
        return isinstance(self.runtime, QueryFileRuntime) and self.runtime.activated

    def seen(self, image: UInt8Array, info: VideoInfo) -> Tensor:
        """(1, 3, h, w) uint8: what the network sees of a frame (H, W, 3) of the source, or of its first window."""
        height, width = self.size.window_hw(*image.shape[:2])
        image = np.ascontiguousarray(image[:height, :width])
        given = self.size.format(info)
        if given is None:
            return to_network(image, network_size(height, width, self.size.imgsz))
        return on_canvas(image, given.place(height, width, self.size.imgsz), given)

    def shared(self) -> Engine:
        """The same for several threads: one after the other gets through."""
        if isinstance(self.runtime, FileRuntime):
            return self  # takes turns by itself
        return replace(self, runtime=SharedRuntime(self.runtime))

    @property
    def takes_each_alone(self) -> bool:
        """Whether frames are inputs of their own, however many are given at once."""
        return _takes_each_alone(self.runtime)

    def batch(self, config: RunConfig, info: VideoInfo) -> int:
        """Frames segmented at once at most. What is watched comes one by one, unless it is asked for otherwise."""
        if config.batch is not None:
            return config.batch
        if info.live:
            return 1
        if self.device.type == "cuda":
            return CUDA_BATCH
        return 1 if is_watched(config) else self.requests


def _takes_each_alone(runtime: Runtime | ScoreFileRuntime) -> bool:
    return runtime.name.startswith("openvino") and ", cpu, " in runtime.name


def _size_of_video(config: RunConfig, size: NetworkInput, info: VideoInfo) -> tuple[int, int] | None:
    """What the network sees of all frames of the source; None where they differ, or it sees them in windows."""
    return None if info.still or config.tiles is not None else size.network_hw(info, info.height, info.width)


def label_set(config: RunConfig) -> LabelSet:
    """The classes of the model that the configuration names; loads no network.

    Raises:
        ConfigError: the description of a network file is wrong.
        CheckpointError: the weights file cannot be read.
    """
    if is_model_file(config.model):
        return read_model_file(config.model, config.label_set).labels
    return zoo.weights_labels(Path(config.weights)) if config.weights else ade20k()


def check_engine(config: RunConfig) -> tuple[torch.device, torch.dtype]:
    """Device and number format of the configuration, without loading anything.

    Raises:
        VidsegError: an unknown model or device, or things that do not go together.
    """
    if is_model_file(config.model):
        return _check_file_engine(config, read_model_file(config.model, config.label_set))
    device = runtime_device(config.runtime, config.device)
    # of "auto" the exact one, which cannot fail: what is faster is known when the network is there
    precision = pick_precision(config.precision, device)
    candidates(config.runtime, device, precision)
    network_input(config, device)
    return device, precision


def input_size(config: RunConfig) -> NetworkInput:
    """How frames are fed; loads no network.

    Raises:
        VidsegError: as `check_engine`.
    """
    if is_model_file(config.model):
        file = read_model_file(config.model, config.label_set)
        return file_input(config, file, file.input)
    return network_input(config, check_engine(config)[0])


def is_watched(config: RunConfig) -> bool:
    """Whether somebody waits for each frame."""
    return bool(config.show or config.serve or config.pace or config.sent)


def set_threads(asked: int | None) -> int | None:
    """Let torch use so many threads, and no more than the cores it may use; the number that other engines get."""
    cores = limited_cores()
    if asked is not None:
        torch.set_num_threads(asked)
    elif cores is not None:
        torch.set_num_threads(min(torch.get_num_threads(), cores))
    return cores if asked is None else asked


def load_engine(config: RunConfig, reporter: Reporter, *, requests: int = 1, info: VideoInfo | None = None) -> Engine:
    """Load, fetch or convert the network that the configuration names.

    Args:
        requests: frames for it to work on at once, where its engine can; they share the cores.
        info: the source that it is for, where there is one only.
    Raises:
        VidsegError: anything the user can mend.
    """
    if is_model_file(config.model):
        return _load_file_engine(config, reporter, requests)
    device, precision = check_engine(config)
    chosen = config.device != "auto" or (config.runtime != "auto" and ENGINES[config.runtime].devices == ("cpu",))
    if not chosen and device.type == "cpu" and (problem := unused_gpu()) is not None:
        reporter.note(f"runs on the CPU: {problem}")
    entry = zoo.entry(config.model)
    require(_LEAST_BYTES + _BYTES_PER_PARAMETER * entry.parameters, f"{entry.name} on {device.type}")
    threads = set_threads(config.threads)
    weights = Path(config.weights) if config.weights else None
    labels = label_set(config)
    network = load_model(
        entry.name, weights, num_classes=len(labels), announce=reporter.note, progress=reporter.download
    )
    create = partial(
        create_runtime,
        model=network,
        model_name=entry.name,
        device=device,
        threads=threads,
        requests=requests,
        size_hw=None if info is None else _size_of_video(config, network_input(config, device), info),
        announce=reporter.note,
    )
    runtime, precision = _created(config, create, network, weights, (device, precision), reporter)
    calibration = zoo.weights_calibration(weights or zoo.ensure(entry))
    requests = requests if _takes_each_alone(runtime) else 1
    return Engine(
        *(entry.name, runtime, network_input(config, device), device, labels),
        calibration=calibration,
        requests=requests,
        precision=precision_name(precision),
    )


def _created(
    config: RunConfig,
    create: Callable[..., Runtime],
    network: nn.Module,
    weights: Path | None,
    exact: tuple[torch.device, torch.dtype],
    reporter: Reporter,
) -> tuple[Runtime, torch.dtype]:
    """The engine, in the number format asked for. Of "auto" on OpenVINO the fastest whose labels hold.

    That is int8 where there is such a version of the weights, which was measured when it was made; or bfloat16 where
    the processor computes in it. A version that fails is reported, and the exact one is used.
    """
    device, precision = exact
    name = zoo.entry(config.model).name
    passed_over = list[str]()
    faster = config.precision == "auto" and _runs_openvino(config.runtime, device)
    quantized = None
    if config.precision == "int8" or faster:
        quantized = find_quantized(name, network, weights=weights, announce=passed_over.append)
        if quantized is None and not faster:
            reason = passed_over[0] if passed_over else f"there is no int8 version of these weights of {name}"
            raise ConfigError(f"--precision int8: {reason}; {_INT8_ADVICE}")
    reduced = torch.int8 if quantized is not None else torch.bfloat16 if faster and cores.computes_bfloat16() else None
    runtime = None
    if reduced is not None:
        try:
            runtime = create("openvino" if faster else config.runtime, precision=reduced, quantized=quantized)
        except Exception as error:
            if not faster and (quantized is None or isinstance(error, VidsegError)):
                raise
            what = f"the int8 version of {name}" if quantized is not None else f"{name} in bfloat16"
            reason = f"{what} does not run ({first_line(error)})"
            if not faster:
                raise DeviceError(f"--precision int8: {reason}; {_INT8_ADVICE}") from error
            if quantized is None:
                reporter.note(f"{reason}; it runs in float32 instead")
            else:
                passed_over.append(reason)
    if runtime is None:
        runtime, reduced = create(config.runtime, precision=precision), None
    elif faster and reduced == torch.bfloat16:
        reporter.note(_bfloat16_note(name))
    for text in passed_over:
        reporter.note(f"{text}; {runtime.name} runs instead, `vidseg quantize` makes it again")
    return runtime, reduced or precision


_INT8_ADVICE = "make one with `vidseg quantize`, or use --precision auto"


def _bfloat16_note(name: str) -> str:
    return f"{name} runs in bfloat16, twice as fast and almost exact; --precision float32 is exact"


def _runs_openvino(runtime: str, device: torch.device) -> bool:
    installed = runtime in ("auto", "openvino") and device.type == "cpu" and is_installed("openvino")
    return installed and import_problem("openvino") is None


def _no_confidence(config: RunConfig, model: str) -> str:
    wishes = {"--min-confidence": config.min_confidence, "--save-confidence": config.save_confidence}
    option = next((name for name, given in wishes.items() if given), None)
    option = option or ("--view confidence" if config.view == "confidence" else "confidence")
    return f"{option}: {model} outputs labels without confidence; use a network with scores"


def _check_file_engine(config: RunConfig, file: ModelFile) -> tuple[torch.device, torch.dtype]:
    name = file.path.name
    if file.output.gives_labels and (config.min_confidence or config.keeps_confidence):
        raise ConfigError(_no_confidence(config, name))
    file_input(config, file, file.input)
    if config.weights is not None:
        raise ConfigError(f"--weights: {name} contains its own weights; leave out --weights")
    if config.rule != "semantic" and not file.queries:
        raise ConfigError(f"--rule {config.rule}: {name} has no queries; leave out --rule")
    chosen = accelerator(config.device)
    if config.device not in ("auto", "cpu") and chosen is None:
        known = ", ".join(("auto", "cpu", *ACCELERATORS))
        raise DeviceError(f"--device {config.device}: runs no network files; accepted: {known}")
    if chosen is not None and config.runtime not in ("auto", chosen.engine):
        raise ConfigError(
            f"--device {config.device} belongs to {chosen.engine}, not to --runtime {config.runtime}; leave one out"
        )
    if chosen is not None and config.precision != "auto":
        raise ConfigError(f"--precision: {config.device} computes in its own number format; leave out --precision")
    device = torch.device("cpu")
    precision = pick_precision(config.precision, device)
    file_runtimes(file.path, config.runtime, precision, trusted=config.trust_model)
    return device, precision


def _load_file_engine(config: RunConfig, reporter: Reporter, requests: int) -> Engine:
    file = read_model_file(config.model, config.label_set)
    device, precision = _check_file_engine(config, file)
    require(_LEAST_BYTES + _FILE_COPIES * file.path.stat().st_size, file.path.name)
    threads = set_threads(config.threads)
    opened = partial(
        open_model_file,
        file,
        trusted=config.trust_model,
        threads=threads,
        requests=requests,
    )
    runtime, chosen = None, accelerator(config.device)
    if (
        chosen is None
        and config.precision == "auto"
        and cores.computes_bfloat16()
        and _takes_bfloat16(config, file, device)
    ):
        with suppress(VidsegError):  # what is wrong is told below
            runtime = opened("openvino", precision=torch.bfloat16)
    if runtime is None:
        runtime = opened(config.runtime, precision=precision, announce=reporter.note, accelerator=chosen)
    else:
        precision = torch.bfloat16
        reporter.note(_bfloat16_note(file.path.name))
    size = file_input(config, file, runtime.input)
    for text in file.assumed:
        reporter.note(f"{file.path.name}: assumed: {text}")
    return Engine(
        file.path.name,
        runtime,
        size,
        device,
        labels=file.labels,
        calibration=file.calibration,
        requests=requests if _takes_each_alone(runtime) else 1,
        precision=precision_name(precision),
    )


def _takes_bfloat16(config: RunConfig, file: ModelFile, device: torch.device) -> bool:
    known = READERS[file.path.suffix.casefold()]
    return "openvino" in known and _runs_openvino(config.runtime, device)
