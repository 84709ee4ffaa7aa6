"""Networks out of files: how they are fed and what comes out, as values; and the YAML of our own exports."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from vidseg.confidence import IDENTITY, Calibration
from vidseg.labels import LabelSet
from vidseg.runtimes.geometry import Placement, letterboxed
from vidseg.zoo.registry import entries

NETWORK_ENDINGS = (".onnx", ".xml", ".tflite", ".torchscript")
FOREIGN_ENDINGS = {
    ".pt": "yolo export model={name} format=onnx",
    ".pth": "torch.onnx.export, or vidseg export of weights of vidseg's own models",
    ".keras": "python -m tf2onnx.convert, after model.export('folder'), or tf.lite.TFLiteConverter",
    ".h5": "python -m tf2onnx.convert, or tf.lite.TFLiteConverter",
    ".pb": "python -m tf2onnx.convert",
    ".engine": "the ONNX file that the TensorRT engine was built from",
    ".trt": "the ONNX file that the TensorRT engine was built from",
    ".pdmodel": "paddle2onnx --model_dir {folder} --model_filename {name} --save_file {stem}.onnx",
    ".safetensors": "optimum-cli export onnx --model {folder} onnx/",
}
"""Files that hold no network an engine here can open, and how their makers turn them into one."""
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
    short_side: int | None = None
    max_side: int | None = None
    """The long side is at most this, where the short one is given."""
    cut: bool = True
    """Fractions of a side are cut off, as transformers does, where the short one is given; else rounded."""
    multiple_of: int = 1
    round_up: bool = False
    """Sides are enlarged to the next multiple where the short one is given, as transformers does; else the nearest."""
    resize: str | None = None
    """None: the aspect is kept, with padding where the size is fixed."""
    resample: str = "bilinear"
    antialias: bool = True
    padding: tuple[int, int, int] = (127, 127, 127)
    """RGB of what surrounds a letterboxed picture."""
    centred: bool = True
    """Where a letterboxed picture lies; else in the top left corner."""
    divide_by: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def default_imgsz(self) -> int:
        """Long side in pixels of what the network sees, unless told otherwise; the short one where that is given."""
        sides = self.fixed_hw or self.size_hw
        return max(sides) if sides else self.long_side or self.short_side or DEFAULT_LONG_SIDE

    def with_long_side(self, side: int) -> InputFormat:
        """The same, but for a size that was asked for."""
        return replace(self, long_side=side, short_side=None, max_side=None)

    def with_short_side(self, side: int) -> InputFormat:
        """The same with frames whose short side is `side`."""
        return replace(self, short_side=side, long_side=None, size_hw=None, max_side=None, resize=self._kept())

    def place(self, height: int, width: int, imgsz: int) -> Placement:
        """What the network sees of a frame. `imgsz`: the long side, where no short one is given."""
        if self.resize == "stretch":
            whole = self.fixed_hw or self._scaled(*(self.size_hw or (height, width)), imgsz)
            return Placement(whole, whole)
        if self.fixed_hw is not None:
            return letterboxed(height, width, self.fixed_hw, centred=self.centred)
        if self.resize != "letterbox":
            whole = self._scaled(height, width, imgsz)
            return Placement(whole, whole)
        if self.size_hw is not None:
            return letterboxed(height, width, self._scaled(*self.size_hw, imgsz), centred=self.centred)
        content = self._content(height, width, imgsz)
        canvas = self._stepped(content[0], math.ceil), self._stepped(content[1], math.ceil)
        corner = ((canvas[0] - content[0]) // 2, (canvas[1] - content[1]) // 2) if self.centred else (0, 0)
        return Placement(canvas, content, corner)

    def network_size(self, height: int, width: int, imgsz: int) -> tuple[int, int]:
        """(height, width) that the network sees of a frame, padding included."""
        return self.place(height, width, imgsz).canvas_hw

    def _kept(self) -> str | None:
        return None if self.resize == "stretch" else self.resize

    def _scaled(self, height: int, width: int, imgsz: int) -> tuple[int, int]:
        """Both sides brought to size, and to a multiple of `multiple_of`."""
        if self.short_side is not None:
            rounded = math.ceil if self.round_up else round
            height, width = self._content(height, width, imgsz)
            return self._stepped(height, rounded), self._stepped(width, rounded)
        longest = max(height, width)
        return self._stepped(height * imgsz / longest, round), self._stepped(width * imgsz / longest, round)

    def _content(self, height: int, width: int, imgsz: int) -> tuple[int, int]:
        """Both sides of the picture itself."""
        if self.short_side is None:
            ratio = imgsz / max(height, width)
            return max(1, round(height * ratio)), max(1, round(width * ratio))
        short, long = min(height, width), max(height, width)
        whole = int if self.cut else round
        new_short, new_long = self.short_side, whole(self.short_side * long / short)
        if self.max_side is not None and new_long > self.max_side:
            new_short, new_long = max(1, whole(self.max_side * new_short / new_long)), self.max_side
        return (new_short, new_long) if height <= width else (new_long, new_short)

    def _stepped(self, length: float, rounded: Callable[[float], int]) -> int:
        step = self.multiple_of
        smallest = -(-MIN_SIDE // step) * step
        return max(smallest, rounded(length / step) * step)


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
    activated: bool = False
    """Of a query network: softmax without "no object", and sigmoid, are in the file already."""

    @property
    def gives_labels(self) -> bool:
        """True where the network has chosen the labels already."""
        return self.layout == "NHW"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A network file and what its YAML says. Made by `model_file.read_model_file`."""

    path: Path
    """Of the network."""
    described_by: tuple[Path, ...]
    """Files that say how it is fed, besides the network's own metadata; the first in rank first."""
    task: str
    input: InputFormat
    output: OutputFormat
    labels: LabelSet
    description: str = ""
    calibration: Calibration = IDENTITY
    """What the winner's share of the scores says of being right."""
    found: tuple[str, ...] = ()
    """What was read, and where, in words."""
    assumed: tuple[str, ...] = ()
    """What nobody said."""

    @property
    def origin(self) -> str:
        """What messages name: the YAML, or the network."""
        return str(self.described_by[0] if self.described_by else self.path)

    @property
    def files(self) -> tuple[Path, ...]:
        """What it lies in: the network, the weights beside an .xml, and what describes it."""
        weights = self.path.with_suffix(".bin")
        separate = self.path.suffix.casefold() == ".xml" and weights.is_file()
        return (self.path, *((weights,) if separate else ()), *self.described_by)

    @property
    def queries(self) -> bool:
        """True for a network of this project's family: class and mask logits of queries come out."""
        return self.task == "query_segmentation"


def is_model_file(name: str) -> bool:
    """True where a model is named by a file: a network, the YAML of one, or a folder; also one of no use here."""
    path = Path(name)
    if path.suffix.casefold() in (*NETWORK_ENDINGS, *FOREIGN_ENDINGS, ".yaml", ".yml") or "/" in name:
        return True
    known = {word for entry in entries() for word in (entry.name, *entry.aliases)}
    return name.casefold() not in known and path.is_dir()  # a folder beside us does not hide a model of that name


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
