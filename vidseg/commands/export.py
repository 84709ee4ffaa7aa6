"""A network as a file for other programs, checked against torch before it gets its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vidseg import zoo
from vidseg.atomic import PartFile, write_failure
from vidseg.commands.sample import PATTERN, frames_of, sample_source
from vidseg.errors import ConfigError, DeviceError, ExportError, WriteError
from vidseg.frames import UInt8Array
from vidseg.labels import ade20k
from vidseg.runtimes.convert import INPUT_NAME, OUTPUT_NAMES, picture_network, to_onnx, to_openvino, to_torchscript
from vidseg.runtimes.fold import fold_batch_norms
from vidseg.runtimes.loading import load_model
from vidseg.runtimes.model_format import MIN_SIDE, exported_yaml, yaml_beside
from vidseg.runtimes.registry import import_problem, is_installed, reinstall_advice
from vidseg.runtimes.sessions import OnnxSession, OpenVinoSession, Session, TorchScriptSession
from vidseg.segmentation.postprocess import QueryOutput, labels_of
from vidseg.segmentation.preprocess import network_size, to_network
from vidseg.version import __version__
from vidseg.wiring.reporter import Reporter

ENDINGS = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".torchscript"}
"""Of the main file of each format."""
_ENGINES = {"onnx": "onnxruntime", "openvino": "openvino", "torchscript": "torch"}
MIN_SAME_LABELS = 0.995
"""Share of pixels whose label has to be that of torch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to export, and where to."""

    model: str
    format: str = "onnx"
    output: Path | None = None
    """None: the model's name in the current folder."""
    outputs: str = "queries"
    """"queries": class and mask logits; "semantic": one map of scores per class, which any tool can use."""
    imgsz: int | None = None
    """Long side that our own runs take by default; the file itself takes any size."""
    fixed_hw: tuple[int, int] | None = None
    """Height and width: the file takes this size only."""
    weights: str | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and how far it agrees with torch."""

    paths: tuple[Path, ...]
    """The network first, the YAML last."""
    max_difference: float
    """Largest absolute difference of any output."""
    same_labels: float
    """Share of pixels with the label of torch, 0..1."""
    checked: tuple[tuple[int, int], ...]
    """Heights and widths that were tried."""
    engine: str
    """What read the file for the check."""


def export(request: ExportRequest, reporter: Reporter) -> Exported:
    """Write the network in the format asked for. A file that disagrees with torch never gets its name.

    Raises:
        ConfigError: an unknown format or kind of outputs, or a size out of range.
        DeviceError: what the format needs is not installed.
        SinkError: the output cannot be written or exists.
        ExportError: the file gives something else than the network.
        VidsegError: anything else the user can mend.
    """
    entry = zoo.entry(request.model)
    output = _checked_output(request, entry.name)
    paths = [output, *([output.with_suffix(".bin")] if request.format == "openvino" else [])]
    paths.append(yaml_beside(output))
    weights = Path(request.weights) if request.weights else None
    known = ade20k() if weights is None else zoo.weights_labels(weights)
    labels: str | list[str] = "ade20k" if known is ade20k() else list(known.names)
    imgsz = request.imgsz or entry.imgsz["cpu"]
    described = exported_yaml(
        model=entry.name,
        licence="that of the weights" if request.weights else f"{entry.licence}; {entry.licence_note}",
        labels=labels,
        outputs=request.outputs,
        input_name=INPUT_NAME,
        output_names=OUTPUT_NAMES[request.outputs],
        imgsz=imgsz,
        fixed_hw=request.fixed_hw,
        version=__version__,
        calibration=zoo.weights_calibration(weights or zoo.ensure(entry, announce=reporter.note)),
    )
    with ExitStack() as claims:
        files = []
        for path in paths:
            files.append(PartFile(path, overwrite=request.overwrite))
            claims.callback(files[-1].discard)
        network = load_model(
            entry.name, weights, num_classes=len(known), announce=reporter.note, progress=reporter.download
        )
        facts = {
            "vidseg": __version__,
            "model": entry.name,
            "labels": json.dumps(labels),
            "description": described.decode(),
        }
        reporter.detail(f"converting {entry.name}")
        contents = [*_converted(request, network, facts), described]
        for file, content in zip(files, contents, strict=True):
            try:
                file.part.write_bytes(content)
            except OSError as error:
                raise WriteError(write_failure(file.path, error)) from error
        sizes = _sizes(imgsz) if request.fixed_hw is None else (request.fixed_hw,)
        session = _session(request.format, [file.part for file in files[:-1]])
        difference, same = compare(session, network, request.outputs, sizes, several=request.fixed_hw is None)
        if not same >= MIN_SAME_LABELS:
            raise ExportError(
                f"{output}: not kept: {session.name} agrees with torch on only {same:.2%} of the labels "
                f"(required: {MIN_SAME_LABELS:.1%}; largest difference {difference:.3g})"
            )
        for file in reversed(files):  # the network last: where it is, what belongs to it is too
            file.commit()
    return Exported(tuple(paths), difference, same, sizes, session.name)


def compare(
    session: Session, network: nn.Module, outputs: str, sizes: tuple[tuple[int, int], ...], *, several: bool
) -> tuple[float, float]:
    """Largest difference of any output, and the share of equal labels, on pictures and on noise.

    Args:
        outputs: one of `OUTPUT_NAMES`.
        sizes: heights and widths to try.
        several: also try two pictures at once.
    """
    original = picture_network(network, outputs)
    pictures = [frame.image for spec in (sample_source(), PATTERN) for frame in frames_of(spec, 2, every=20)]
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    pictures.append(noise)
    difference, same, total = 0.0, 0, 0
    for number, size in enumerate(sizes):
        images = [to_network(picture, size) for picture in pictures]
        batches = [torch.cat(images[:2]), *images[2:]] if several and number == 0 else images
        for batch in batches:
            with torch.inference_mode():
                found = original(batch)
            expected = found if isinstance(found, tuple) else (found,)
            given = [
                torch.from_numpy(array) for array in session.run({INPUT_NAME: batch.numpy()}, OUTPUT_NAMES[outputs])
            ]
            for one, other in zip(given, expected, strict=True):
                if one.shape != other.shape:
                    return float("inf"), 0.0
                difference = max(difference, float((one - other).abs().max()))
            for position in range(len(batch)):
                ours, theirs = (_labels([each[position] for each in side], size) for side in (given, expected))
                same += int((ours == theirs).sum())
                total += ours.size
    return difference, same / total


def _labels(outputs: list[Tensor], size_hw: tuple[int, int]) -> UInt8Array:
    """Class ids (H, W) of the outputs of one picture."""
    if len(outputs) == 1:
        return labels_of(outputs[0], None, size_hw)
    return QueryOutput.from_logits(outputs[0], outputs[1], size_hw).labels("semantic")


def _converted(request: ExportRequest, network: nn.Module, facts: dict[str, str]) -> list[bytes]:
    """The contents of all files but the YAML."""
    exported = picture_network(fold_batch_norms(network), request.outputs)
    names, size_hw = OUTPUT_NAMES[request.outputs], request.fixed_hw
    if request.format == "onnx":
        return [to_onnx(exported, names, size_hw=size_hw, facts=facts)]
    if request.format == "openvino":
        return list(to_openvino(exported, names, size_hw=size_hw, facts=facts))
    return [to_torchscript(exported, size_hw=size_hw, facts=facts)]


def _session(kind: str, parts: list[Path]) -> Session:
    """What lies on disk, read by the engine it is made for. By content: the files do not have their names yet."""
    contents = [part.read_bytes() for part in parts]
    open_contents: dict[str, Callable[..., Session]] = {
        "onnx": OnnxSession,
        "openvino": OpenVinoSession,
        "torchscript": TorchScriptSession,
    }
    return open_contents[kind](*contents)


def _sizes(imgsz: int) -> tuple[tuple[int, int], ...]:
    """Heights and widths to try: landscape, portrait, and a small one, none of them that of the conversion."""
    return network_size(360, 640, imgsz), network_size(640, 360, imgsz), (72, 88)


def _checked_output(request: ExportRequest, model: str) -> Path:
    if request.format not in ENDINGS:
        raise ConfigError(f"--format is {request.format!r}; accepted: {', '.join(ENDINGS)}")
    if request.outputs not in OUTPUT_NAMES:
        raise ConfigError(f"--outputs is {request.outputs!r}; accepted: {', '.join(OUTPUT_NAMES)}")
    if request.imgsz is not None and request.fixed_hw is not None:
        raise ConfigError("--imgsz and --fixed both set the size; give one of them")
    for name, sides in (("imgsz", (request.imgsz,)), ("fixed", request.fixed_hw or ())):
        if any(side is not None and not MIN_SIDE <= side <= 4096 for side in sides):
            raise ConfigError(f"--{name}: sides are {MIN_SIDE} to 4096 pixels")
    engine = _ENGINES[request.format]
    if not is_installed(engine):
        raise DeviceError(f"--format {request.format}: needs {engine}; get it with pip install 'vidseg[{engine}]'")
    problem = import_problem(engine)
    if problem is not None:
        raise DeviceError(
            f"--format {request.format}: {engine} cannot be imported ({problem}); {reinstall_advice(engine)}"
        )
    ending = ENDINGS[request.format]
    output = Path(f"{model}{ending}") if request.output is None else request.output
    if output.suffix != ending:
        raise ConfigError(f"{output}: --format {request.format} needs a name that ends in {ending}")
    return output
