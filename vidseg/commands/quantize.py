"""Makes the int8 version of a model's weights from pictures, and reports how its labels differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vidseg import zoo
from vidseg.atomic import PartFile, write_failure
from vidseg.configure import checked
from vidseg.errors import ConfigError, WriteError
from vidseg.frames import Frame
from vidseg.runtimes.base import Runtime
from vidseg.runtimes.loading import load_model
from vidseg.runtimes.network import weights_sha256
from vidseg.runtimes.quantized import cached_path, path_beside, quantize, write_quantized
from vidseg.runtimes.registry import create_runtime
from vidseg.segmentation.preprocess import network_size, to_network
from vidseg.segmentation.segmenter import QuerySegmenter
from vidseg.sources.factory import open_source
from vidseg.wiring.reporter import Reporter

CHECK_EVERY = 10
"""Of so many pictures one is kept back to compare the labels of both versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeRequest:
    """What to quantise, and with which pictures."""

    source: str
    """Folder, glob or video of pictures like those that will be segmented."""
    model: str = "m2f-mobile-ade"
    weights: str | None = None
    imgsz: int | None = None
    pictures: int = 200
    out: Path | None = None
    """None: the cache, where `--precision int8` finds it, as beside the weights (`quantized.path_beside`)."""
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Quantized:
    """What was made. `same_labels` is the share of pixels, 0..1, that kept their label, over `checked` pictures."""

    path: Path
    place: Path
    """Where runs find it: `path` itself, or where it has to be put."""
    calibrated: int
    checked: int
    same_labels: float


def make_quantized(request: QuantizeRequest, reporter: Reporter) -> Quantized:
    """Quantise, compare, write.

    Raises:
        VidsegError: anything the user can mend.
    """
    if request.pictures < 2 * CHECK_EVERY:
        raise ConfigError(f"--pictures is {request.pictures}; accepted: {2 * CHECK_EVERY} or more")
    checked("command line", {"imgsz": request.imgsz})
    if request.out is not None:  # a wrong name is told at the start
        if request.out.suffix != ".zip":
            raise ConfigError(f"{request.out}: an int8 version is a .zip file; give -o NAME.int8.zip")
        PartFile(request.out, overwrite=request.overwrite).discard()
    entry = zoo.entry(request.model)
    imgsz = request.imgsz or entry.imgsz["cpu"]
    frames = list(_evenly(request.source, request.pictures))
    if len(frames) < 2 * CHECK_EVERY:
        raise ConfigError(f"{request.source}: contains {len(frames)} images; give at least {2 * CHECK_EVERY}")
    weights = Path(request.weights) if request.weights else None
    network = load_model(
        entry.name,
        weights,
        num_classes=None if weights is None else len(zoo.weights_labels(weights)),
        announce=reporter.note,
        progress=reporter.download,
    )
    calibration = [
        to_network(frame.image, network_size(*frame.size_hw, imgsz))[0].numpy()
        for number, frame in enumerate(frames)
        if number % CHECK_EVERY
    ]
    reporter.note(f"quantising {entry.name} with {len(calibration)} images; takes about a minute")
    parts = quantize(network, calibration)
    cpu = torch.device("cpu")
    kept = frames[::CHECK_EVERY]
    before = create_runtime("openvino", network, entry.name, device=cpu, announce=reporter.note)
    after = create_runtime("openvino", network, entry.name, device=cpu, precision=torch.int8, quantized=parts)
    same = np.mean([_same_labels(frame, before, after, imgsz) for frame in kept])
    places = [cached_path(entry.name, weights_sha256(network))]
    if weights is not None:
        places.append(path_beside(weights))
    path = request.out or places[0]
    if request.out is None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(write_failure(path, error)) from error
    write_quantized(path, parts, network)
    place = path if path.absolute() in [each.absolute() for each in places] else places[-1]
    return Quantized(path, place, len(calibration), len(kept), float(same))


def _evenly(text: str, count: int) -> Iterator[Frame]:
    """About `count` frames, spread over a source that says how many it has; else its first ones."""
    source = open_source(text)
    try:
        step = max(1, (source.info.frame_count or 0) // count)
        taken = 0
        for number, frame in enumerate(source):
            if number % step == 0:
                yield frame
                taken += 1
            if taken == count:
                return
    finally:
        source.close()


def _same_labels(frame: Frame, before: Runtime, after: Runtime, imgsz: int) -> float:
    maps = [QuerySegmenter(runtime, imgsz=imgsz).segment([frame])[0].label_map for runtime in (before, after)]
    return float(np.mean(maps[0] == maps[1]))
