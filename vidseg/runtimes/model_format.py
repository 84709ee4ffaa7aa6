"""Networks out of files: how they are fed and what comes out, as values; and the YAML of our own exports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vidseg.confidence import IDENTITY, Calibration
from vidseg.labels import LabelSet

NETWORK_ENDINGS = (".onnx", ".xml", ".torchscript")
TASKS = ("semantic_segmentation", "query_segmentation")
DEFAULT_LONG_SIDE = 512
"""Where nothing is said of a size."""
MIN_SIDE = 32
QUERY_OUTPUTS = ("class_logits", "mask_logits")
"""Keys of the outputs of a query network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFormat:
    """How the network is fed. Fields are those of the YAML, see `model_file`; None: not said."""

    name: str | None = None
    dtype: str | None = None
    layout: str = "NCHW"
    channels: str = "RGB"
    fixed_hw: tuple[int, int] | None = None
    """Height and width, where `shape` has numbers for them: the network takes this size only."""
    size_hw: tuple[int, int] | None = None
    long_side: int | None = None
    multiple_of: int = 1
    resize: str = "keep"
    divide_by: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def default_imgsz(self) -> int:
        """Long side in pixels of what the network sees, unless told otherwise."""
        sides = self.fixed_hw or self.size_hw
        return max(sides) if sides else self.long_side or DEFAULT_LONG_SIDE

    def network_size(self, height: int, width: int, imgsz: int) -> tuple[int, int]:
        """(height, width) that the network sees of a frame: its only size, or one with the long side `imgsz`."""
        if self.fixed_hw is not None:
            return self.fixed_hw
        if self.resize == "stretch" and self.size_hw is not None:
            height, width = self.size_hw
        step = self.multiple_of
        smallest = -(-MIN_SIDE // step) * step

        def side(length: int) -> int:
            return max(smallest, round(length * imgsz / max(height, width) / step) * step)

        return side(height), side(width)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """What comes out. `names` are those of the scores or labels, or of class_logits and mask_logits."""

    names: tuple[str, ...] = ()
    layout: str = "NCHW"
    values: str = "logits"
    align_corners: bool = False
    offset: int = 0
    background_channel: int | None = None
    num_classes: int | None = None
    """Channels, by the YAML: a check of the file."""

    @property
    def gives_labels(self) -> bool:
        """True where the network has chosen the labels already."""
        return self.layout == "NHW"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A network file and what its YAML says. Made by `model_file.read_model_file`."""

    path: Path
    """Of the network."""
    yaml_path: Path
    task: str
    input: InputFormat
    output: OutputFormat
    labels: LabelSet
    description: str = ""
    calibration: Calibration = IDENTITY
    """What the winner's share of the scores says of being right."""

    @property
    def files(self) -> tuple[Path, ...]:
        """What it lies in: the network, the weights beside an .xml, and the YAML."""
        weights = self.path.with_suffix(".bin")
        separate = self.path.suffix.casefold() == ".xml" and weights.is_file()
        return (self.path, *((weights,) if separate else ()), self.yaml_path)

    @property
    def queries(self) -> bool:
        """True for a network of this project's family: class and mask logits of queries come out."""
        return self.task == "query_segmentation"


def is_model_file(name: str) -> bool:
    """True where a model is named by a file: a network, or the YAML of one."""
    return Path(name).suffix.casefold() in (*NETWORK_ENDINGS, ".yaml", ".yml")


def yaml_beside(network: Path) -> Path:
    """The YAML that describes this network only, not others that differ in their ending: net.onnx.yaml of net.onnx."""
    return network.with_name(network.name + ".yaml")


def exported_yaml(
    *,
    model: str,
    licence: str,
    labels: str | list[str],
    outputs: str,
    input_name: str,
    output_names: tuple[str, ...],
    imgsz: int,
    fixed_hw: tuple[int, int] | None,
    version: str,
    calibration: Calibration = IDENTITY,
) -> bytes:
    """What `model_file.read_model_file` reads, for a network of this project: uint8 pictures in.

    Args:
        outputs: "queries" or "semantic".
        imgsz: default long side, where the size is free.
    """
    height, width = fixed_hw or ("height", "width")
    batch = "batch" if fixed_hw is None else 1
    given: dict[str, Any] = {
        "name": input_name,
        "dtype": "uint8",
        "layout": "NCHW",
        "channels": "RGB",
        "shape": [batch, 3, height, width],
    }
    if fixed_hw is None:
        given |= {"size": imgsz, "multiple_of": 8, "resize": "keep"}
    if outputs == "queries":
        output: dict[str, Any] = dict(zip(QUERY_OUTPUTS, output_names, strict=True))
    else:
        output = {"name": output_names[0], "layout": "NCHW", "values": "scores"}
    content: dict[str, Any] = {
        "model": model,
        "vidseg": version,
        "licence": licence,
        "task": TASKS[outputs == "queries"],
        "input": given,
        "output": output,
        "labels": labels,
    }
    if calibration != IDENTITY:
        content["confidence"] = calibration.as_lists()
    return yaml.safe_dump(content, sort_keys=False, width=110, default_flow_style=None).encode()
