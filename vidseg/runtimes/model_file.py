"""How a network file is fed, and what comes out of it: by a YAML file beside it, its maker's files, and its shapes.

The YAML goes first, then what the maker wrote (`makers`), then what the shapes tell (`inferred`); the rest is assumed,
and said. Beside net.onnx the YAML is net.onnx.yaml, or else net.yaml; every key may be left out.

file: net.onnx               # optional; default: the YAML's own name with .onnx, .xml or .torchscript, or without .yaml
task: semantic_segmentation  # or query_segmentation: exports of this project's own networks
input:
  name: image                # optional: a network has one input
  dtype: float32             # float32, float16, uint8; needed for TorchScript only, the other files say it
  layout: NCHW               # or NHWC
  channels: RGB              # or BGR
  size: [513, 513]           # height, width it was trained at; or one number: the long side; or any; or
                             # {short: 640, longest: 2048}, {long: 640}, {height: 512, width: 1024}
  multiple_of: 32            # sides are rounded to this
  rounding: nearest          # or up, where size has a short side
  resize: keep               # the aspect of the frame; stretch: to the aspect of `size`; letterbox: pad to `size`.
                             # Not said: keep, and letterbox where the file takes one size only
  padding: [114, 114, 114]   # RGB around a letterboxed picture
  align: centre              # where a letterboxed picture lies; or corner: top left
  resample: bilinear         # or bicubic, nearest
  antialias: true            # as Pillow and torchvision shrink; false: as OpenCV
  divide_by: 1               # x = (pixel / divide_by - mean) / std, pixels 0..255
  mean: [123.7, 116.3, 103.5]
  std: [58.4, 57.1, 57.4]
output:
  name: logits               # default: the only output
  layout: NCHW               # scores by class; or NHWC; or NHW: a map of labels
  values: logits             # or scores: >= 0 already, e.g. probabilities
  align_corners: false       # how scores lie on the picture
  offset: 1                  # class id = channel - offset; channels before are no class
  background_channel: 0      # a channel that means "nothing"
  activated: false           # of queries: softmax without "no object" and sigmoid are in the file
labels: ade20k               # or cityscapes, voc, coco, a list of names, or a .csv or .txt file
confidence:                  # optional: the share of the scores that the winner has, and how often it is right then
  - [0, 0]
  - [0.5, 0.4]
  - [1, 0.98]
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidseg.confidence import IDENTITY, Calibration, parse_calibration
from vidseg.errors import ConfigError, ModelError
from vidseg.known_labels import TABLES, as_known
from vidseg.label_file import read_labels
from vidseg.labels import LabelSet
from vidseg.names import counted
from vidseg.runtimes.inferred import (
    channels_of,
    infer_input,
    infer_output,
    is_activated,
    picture_input,
    table_of,
)
from vidseg.runtimes.makers import description_of
from vidseg.runtimes.makers.description import Description
from vidseg.runtimes.model_format import (
    QUERY_OUTPUTS,
    TASKS,
    InputFormat,
    ModelFile,
    OutputFormat,
)
from vidseg.runtimes.network_path import find_network
from vidseg.runtimes.ports import Header, read_header
from vidseg.yaml_file import read_yaml

_DIVISORS = "numbers from 1e-9 to 1e9, with either sign"
_GREY = 127
_RESIZES = ("keep", "stretch", "letterbox")
_RESAMPLES = ("bilinear", "bicubic", "nearest")
_TOP = (
    *("file", "task", "input", "output", "labels", "classes", "confidence"),
    *("description", "model", "licence", "vidseg"),
)
_INPUT = (
    *("name", "dtype", "layout", "channels", "shape", "size"),
    *("multiple_of", "rounding", "resize", "padding", "align", "resample", "antialias", "divide_by", "mean", "std"),
)
_OUTPUT = (
    *("name", "dtype", "layout", "shape", "values", "align_corners"),
    *("offset", "label_offset", "background_channel", "num_classes", "activated"),
)


def read_model_file(name: str, labels: str | None = None) -> ModelFile:
    """The network of a file, a folder or a YAML, and all that is known of it. Of the network only the header is read.

    Args:
        labels: a known class table, or a file of names; before all others.
    Raises:
        ConfigError: a file is missing, or holds something unknown or out of range, or nothing names the classes.
        ModelError: the file is no network.
    """
    path, yaml_path = find_network(name)
    content = {} if yaml_path is None else _read_yaml(yaml_path)
    where = str(yaml_path)
    _check_keys(where, content, _TOP)
    header = read_header(path)
    maker = description_of(path, header.notes)
    assumed = list(maker.assumed) if maker else []
    given = {**(maker.input if maker else {}), **_mapping(where, "input", content)}
    output = {**(maker.output if maker else {}), **_mapping(where, "output", content)}
    task = _one_of(where, "task", content["task"], TASKS) if "task" in content else None
    origin = str(yaml_path or (maker.files[0] if maker and maker.files else path))
    port = next((each for each in header.inputs if each.name == given.get("name")), picture_input(header.inputs))
    infer_input(given, port, described=bool(yaml_path or (maker and maker.input)), assumed=assumed)
    task = infer_output(output, task, given, header.outputs)
    queries = task == "query_segmentation"
    channels = channels_of(task, output, header.outputs)
    chosen, named_by = _labels(name, path, yaml_path, content, maker, labels, channels, output, queries, header)
    if queries and "activated" not in output:
        output["activated"] = is_activated(channels, len(chosen))
    if not queries and labels and yaml_path is None and channels == len(chosen) + 1 and "offset" not in output:
        output |= {"offset": 1, "background_channel": 0}
        assumed.append("channel 0 is background, the classes follow")
    shape = port.shape if port is not None else None
    if "shape" not in given and shape is not None and len(shape) == 4:
        given["shape"] = list(shape)
    return ModelFile(
        path=path,
        described_by=tuple([yaml_path] if yaml_path else []) + (maker.files if maker else ()),
        task=task,
        input=_input(f"{origin}: input", given),
        output=(_query_output if queries else _output)(f"{origin}: output", output),
        labels=chosen,
        description=str(content.get("description", "")),
        calibration=_calibration(origin, content.get("confidence")),
        found=_found(path, yaml_path, maker, named_by),
        assumed=tuple(assumed),
    )


def _calibration(where: str, given: Any) -> Calibration:
    try:
        return IDENTITY if given is None else parse_calibration(given)
    except ValueError as error:
        raise ConfigError(f"{where}: confidence: {error}; accepted: e.g. [[0, 0], [0.5, 0.4], [1, 0.98]]") from None


def _labels(
    name: str,
    path: Path,
    yaml_path: Path | None,
    content: Mapping[str, Any],
    maker: Description | None,
    asked: str | None,
    channels: int | None,
    output: Mapping[str, Any],
    queries: bool,
    header: Header,
) -> tuple[LabelSet, str]:
    """The classes, and who names them, in words."""
    listed_by = f"vidseg models info {name}"
    if asked is not None:
        origin = f"--label-set {asked}"
        return read_labels(asked, Path(), origin, listed_by=listed_by, channels=channels), origin
    if "labels" in content and "classes" in content:
        raise ConfigError(f"{yaml_path}: give either labels or classes: ade20k, a list of names, or a file")
    for key in ("labels", "classes"):
        if yaml_path is not None and key in content:
            origin = f"{yaml_path}: {key}"
            return read_labels(content[key], yaml_path.parent, origin, listed_by=listed_by, channels=channels), origin
    if maker is not None and maker.labels is not None:
        known = as_known(maker.labels)
        by = f"{maker.maker}{f', {maker.files[0].name}' if maker.files else ''}"
        return known or read_labels(maker.labels, path.parent, by, listed_by=listed_by), by
    table = table_of(channels, queries=queries, activated=bool(output.get("activated")) or is_activated(channels, None))
    if table is not None:
        return read_labels(table, Path(), name, listed_by=listed_by), f"{channels} channels, taken for {table}"
    if not header.outputs and path.suffix.casefold() != ".torchscript":
        _refuse_what_is_no_network(path)
    many = counted(channels, "channel") if channels else "its file does not say how many there are"
    raise ConfigError(
        f"{yaml_path or path}: nothing names the classes ({many}); give --label-set {'|'.join(TABLES)}|FILE, "
        f"or labels in {path.name}.yaml beside it"
    )


def _refuse_what_is_no_network(path: Path) -> None:
    from vidseg.runtimes.sessions import open_session

    open_session(path, "auto")  # says what is wrong with it
    raise ModelError(f"{path}: does not describe its output; write {path.name}.yaml beside it")


def _found(path: Path, yaml_path: Path | None, maker: Description | None, named_by: str) -> tuple[str, ...]:
    found = [] if yaml_path is None else [str(yaml_path)]
    if maker is not None:
        found.append(f"{maker.maker}: {', '.join(map(str, maker.files)) or f'metadata in {path.name}'}")
    return (*found, f"classes by {named_by}")


def _input(where: str, given: Mapping[str, Any]) -> InputFormat:
    _check_keys(where, given, _INPUT)
    layout = _one_of(where, "layout", str(given.get("layout", "NCHW")).upper(), ("NCHW", "NHWC"))
    mean = _three(where, "mean", given.get("mean", 0))
    sizes = _size(where, given.get("size", "any"))
    fixed_hw = _fixed(where, layout, given.get("shape"))
    resize = None if given.get("resize") is None else _one_of(where, "resize", given["resize"], _RESIZES)
    if resize == "stretch" and sizes["size_hw"] is None and fixed_hw is None:
        raise ConfigError(f"{where}: resize: stretch needs size: [height, width]")
    antialias = given.get("antialias", True)
    if not isinstance(antialias, bool):
        raise ConfigError(f"{where}: antialias is {antialias!r}; accepted: true or false")
    multiple_of, divide_by = given.get("multiple_of", 1), given.get("divide_by", 1)
    if not _is_side(multiple_of):
        raise ConfigError(f"{where}: multiple_of is {multiple_of!r}; accepted: a whole number from 1 to 8192")
    if not _is_divisor(divide_by):
        raise ConfigError(f"{where}: divide_by is {_shown(divide_by)}; accepted: {_DIVISORS}, e.g. 255")
    std = _three(where, "std", given.get("std", 1))
    if not all(map(_is_divisor, std)):
        raise ConfigError(
            f"{where}: std contains {next(v for v in std if not _is_divisor(v)):g}; accepted: {_DIVISORS}"
        )
    return InputFormat(
        name=_name(where, given.get("name")),
        dtype=_dtype(where, given.get("dtype")),
        layout=layout,
        channels=_one_of(where, "channels", str(given.get("channels", "RGB")).upper(), ("RGB", "BGR")),
        fixed_hw=fixed_hw,
        **sizes,
        multiple_of=multiple_of,
        round_up=_one_of(where, "rounding", given.get("rounding", "nearest"), ("nearest", "up")) == "up",
        resize=resize,
        resample=_one_of(where, "resample", given.get("resample", "bilinear"), _RESAMPLES),
        antialias=antialias,
        padding=_colour(where, given["padding"]) if "padding" in given else _mean_colour(mean, divide_by),
        centred=_one_of(where, "align", given.get("align", "centre"), ("centre", "corner")) == "centre",
        divide_by=float(divide_by),
        mean=mean,
        std=std,
    )


def _size(where: str, size: Any) -> dict[str, Any]:
    """The fields of `InputFormat` that a size means."""
    found: dict[str, Any] = {"size_hw": None, "long_side": None, "short_side": None, "max_side": None}
    keys = set(size) if isinstance(size, dict) else set()
    if _is_side(size):
        found["long_side"] = size
    elif isinstance(size, list) and len(size) == 2 and all(map(_is_side, size)):
        found["size_hw"] = (size[0], size[1])
    elif keys and all(map(_is_side, size.values())) and keys == {"height", "width"}:
        found["size_hw"] = (size["height"], size["width"])
    elif keys and all(map(_is_side, size.values())) and keys in ({"short"}, {"short", "longest"}, {"long"}):
        found |= {"short_side": size.get("short"), "max_side": size.get("longest"), "long_side": size.get("long")}
    elif size != "any":
        raise ConfigError(
            f"{where}: size is {size!r}; accepted: [height, width], the long side, {{short: N}}, {{long: N}}, or any"
        )
    return found


def _output(where: str, given: Mapping[str, Any]) -> OutputFormat:
    _check_keys(where, given, _OUTPUT)
    if "offset" in given and "label_offset" in given:
        raise ConfigError(f"{where}: offset and label_offset are the same; give one of them")
    name = _name(where, given.get("name"))
    align = given.get("align_corners", False)
    if not isinstance(align, bool):
        raise ConfigError(f"{where}: align_corners is {align!r}; accepted: true or false")
    return OutputFormat(
        names=() if name is None else (name,),
        layout=_one_of(where, "layout", str(given.get("layout", "NCHW")).upper(), ("NCHW", "NHWC", "NHW")),
        values=_one_of(where, "values", given.get("values", "logits"), ("logits", "scores")),
        align_corners=align,
        offset=_channel(where, "offset", given.get("offset", given.get("label_offset", 0))) or 0,
        background_channel=_channel(where, "background_channel", given.get("background_channel")),
        num_classes=_channel(where, "num_classes", given.get("num_classes")),
    )


def _query_output(where: str, given: Mapping[str, Any]) -> OutputFormat:
    _check_keys(where, given, (*QUERY_OUTPUTS, "activated"))
    activated = given.get("activated", False)
    if not isinstance(activated, bool):
        raise ConfigError(f"{where}: activated is {activated!r}; accepted: true or false")
    names = tuple(_name(where, given.get(key)) or key for key in QUERY_OUTPUTS)
    return OutputFormat(names=names, activated=activated)


def _read_yaml(path: Path) -> dict[str, Any]:
    content = read_yaml(path, missing="no such model description", accepted="docs/networks.md shows one")
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: contains no model description; docs/networks.md shows one")
    return content


def _mapping(where: str, key: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
    value = content.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {key} is {value!r}; accepted: keys and values, one per line, indented")
    return value


def _check_keys(where: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0)[0]
            raise ConfigError(f"{where}: unknown key '{key}'; did you mean {near}? known: {', '.join(known)}")


def _one_of(where: str, key: str, value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ConfigError(f"{where}: {key} is {value!r}; accepted: {' | '.join(known)}")
    return str(value)


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 8192


def _is_number(value: Any) -> bool:
    """A finite one that float32 can hold, also when it is divided by a divisor."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e9 <= value <= 1e9


def _is_divisor(value: Any) -> bool:
    return _is_number(value) and abs(value) >= 1e-9


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _channel(where: str, key: str, value: Any) -> int | None:
    if value is not None and (type(value) is not int or not 0 <= value <= 256):
        raise ConfigError(f"{where}: {key} is {value!r}; accepted: a whole number from 0 to 256")
    return value


def _name(where: str, value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigError(f"{where}: name is {value!r}; accepted: a name")
    return value


def _dtype(where: str, value: Any) -> str | None:
    return None if value is None else _one_of(where, "dtype", value, ("float32", "float16", "uint8"))


def _three(where: str, key: str, value: Any) -> tuple[float, float, float]:
    values = value if isinstance(value, list) else [value] * 3
    if len(values) != 3 or not all(map(_is_number, values)):
        raise ConfigError(
            f"{where}: {key} is {_shown(value)}; accepted: three numbers from -1e9 to 1e9, or one for all channels"
        )
    return (float(values[0]), float(values[1]), float(values[2]))


def _mean_colour(mean: tuple[float, float, float], divide_by: float) -> tuple[int, int, int]:
    """What says least to a network, where nobody says how it was padded: its mean, or grey."""
    red, green, blue = (min(255, max(0, round(level * divide_by))) for level in mean) if any(mean) else (_GREY,) * 3
    return red, green, blue


def _colour(where: str, value: Any) -> tuple[int, int, int]:
    levels = value if isinstance(value, list) else [value] * 3
    if len(levels) != 3 or not all(type(level) is int and 0 <= level <= 255 for level in levels):
        raise ConfigError(f"{where}: padding is {_shown(value)}; accepted: red, green, blue from 0 to 255, or one grey")
    return levels[0], levels[1], levels[2]


def _fixed(where: str, layout: str, shape: Any) -> tuple[int, int] | None:
    """Height and width of a shape such as [1, 3, height, 512]; None where they are names."""
    if shape is None:
        return None
    if not isinstance(shape, list) or len(shape) != 4:
        raise ConfigError(f"{where}: shape is {shape!r}; accepted: four numbers or names, e.g. [1, 3, height, width]")
    height, width = shape[2:] if layout == "NCHW" else shape[1:3]
    if _is_side(height) and _is_side(width):
        return height, width
    return None
