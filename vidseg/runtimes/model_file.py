"""What a YAML file beside a network file says: how the network is fed, and what comes out of it.

Beside net.onnx it is net.onnx.yaml, or else net.yaml.

file: net.onnx               # optional; default: the YAML's own name with .onnx, .xml or .torchscript, or without .yaml
task: semantic_segmentation  # or query_segmentation: exports of this project's own networks
input:
  name: image                # optional: a network has one input
  dtype: float32             # float32, float16, uint8; needed for TorchScript only, the other files say it
  layout: NCHW               # or NHWC
  channels: RGB              # or BGR
  size: [513, 513]           # height, width it was trained at; or one number: the long side; or any
  multiple_of: 32            # sides are rounded to this
  resize: keep               # the aspect of the frame; or stretch: to the aspect of `size`
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
labels: ade20k               # or a list of names, or a .csv or .txt file
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
from vidseg.errors import ConfigError
from vidseg.runtimes.label_file import read_labels
from vidseg.runtimes.model_format import (
    NETWORK_ENDINGS,
    QUERY_OUTPUTS,
    TASKS,
    InputFormat,
    ModelFile,
    OutputFormat,
    yaml_beside,
)
from vidseg.yaml_file import read_yaml

_DIVISORS = "numbers from 1e-9 to 1e9, with either sign"
_TOP = (
    *("file", "task", "input", "output", "labels", "classes", "confidence"),
    *("description", "model", "licence", "vidseg"),
)
_INPUT = (
    *("name", "dtype", "layout", "channels", "shape", "size"),
    *("multiple_of", "resize", "divide_by", "mean", "std"),
)
_OUTPUT = (
    *("name", "dtype", "layout", "shape", "values", "align_corners"),
    *("offset", "label_offset", "background_channel", "num_classes"),
)


def read_model_file(name: str) -> ModelFile:
    """The network file `name` with the YAML beside it, or those of a YAML file. The network itself is not read.

    Raises:
        ConfigError: a file is missing, or the YAML holds something unknown or out of range.
    """
    given = Path(name)
    if given.suffix.casefold() in NETWORK_ENDINGS:
        path: Path | None = given
        whole, stem = yaml_beside(given), given.with_suffix(".yaml")  # the whole name tells siblings apart
        places = (whole, whole.with_suffix(".yml"), stem, stem.with_suffix(".yml"))
        yaml_path = next((place for place in places if place.is_file()), None)
        if not given.is_file():
            raise ConfigError(f"{name}: no such network file")
        if yaml_path is None:
            raise ConfigError(
                f"{name}: needs {given.with_suffix('.yaml').name} beside it that says how to feed it "
                "(input: size, mean, std; labels); the README shows one"
            )
    else:
        path, yaml_path = None, given
    content = _read_yaml(yaml_path)
    where = str(yaml_path)
    _check_keys(where, content, _TOP)
    if path is None:
        path = _network_of(yaml_path, content)
    task = _one_of(where, "task", content.get("task", TASKS[0]), TASKS)
    if ("labels" in content) == ("classes" in content):
        raise ConfigError(f"{where}: give either labels or classes: ade20k, a list of names, or a file")
    key = "labels" if "labels" in content else "classes"
    listed_by = f"vidseg models info {name}"
    labels = read_labels(content[key], yaml_path.parent, f"{where}: {key}", listed_by=listed_by)
    output = _mapping(where, "output", content)
    return ModelFile(
        path=path,
        yaml_path=yaml_path,
        task=task,
        input=_input(f"{where}: input", _mapping(where, "input", content)),
        output=_query_output(f"{where}: output", output)
        if task == "query_segmentation"
        else _output(f"{where}: output", output),
        labels=labels,
        description=str(content.get("description", "")),
        calibration=_calibration(where, content.get("confidence")),
    )


def _calibration(where: str, given: Any) -> Calibration:
    try:
        return IDENTITY if given is None else parse_calibration(given)
    except ValueError as error:
        raise ConfigError(f"{where}: confidence: {error}; accepted: e.g. [[0, 0], [0.5, 0.4], [1, 0.98]]") from None


def _network_of(yaml_path: Path, content: Mapping[str, Any]) -> Path:
    if "file" in content:
        path = yaml_path.parent / str(content["file"])
        if path.suffix.casefold() not in NETWORK_ENDINGS:
            raise ConfigError(f"{yaml_path}: file is {content['file']}; accepted: {', '.join(NETWORK_ENDINGS)}")
        if not path.is_file():
            raise ConfigError(f"{yaml_path}: file {path} is not there")
        return path
    whole = yaml_path.with_suffix("")  # net.onnx of net.onnx.yaml
    own = [whole] if whole.suffix.casefold() in NETWORK_ENDINGS else []
    for path in (*own, *map(yaml_path.with_suffix, NETWORK_ENDINGS)):
        if path.is_file():
            return path
    endings = ", ".join(NETWORK_ENDINGS)
    raise ConfigError(f"{yaml_path}: no network beside it ({endings}); name it with 'file: NAME'")


def _input(where: str, given: Mapping[str, Any]) -> InputFormat:
    _check_keys(where, given, _INPUT)
    layout = _one_of(where, "layout", str(given.get("layout", "NCHW")).upper(), ("NCHW", "NHWC"))
    size = given.get("size", "any")
    size_hw = long_side = None
    if _is_side(size):
        long_side = size
    elif isinstance(size, list) and len(size) == 2 and all(map(_is_side, size)):
        size_hw = (size[0], size[1])
    elif size != "any":
        raise ConfigError(f"{where}: size is {size!r}; accepted: [height, width], the long side, or any")
    resize = _one_of(where, "resize", given.get("resize", "keep"), ("keep", "stretch"))
    if resize == "stretch" and size_hw is None:
        raise ConfigError(f"{where}: resize: stretch needs size: [height, width]")
    multiple_of, divide_by = given.get("multiple_of", 1), given.get("divide_by", 1)
    if not _is_side(multiple_of):
        raise ConfigError(f"{where}: multiple_of is {multiple_of!r}; accepted: a whole number from 1 to 8192")
    if not _is_divisor(divide_by):
        raise ConfigError(f"{where}: divide_by is {_shown(divide_by)}; accepted: {_DIVISORS}, e.g. 255")
    std = _three(where, "std", given.get("std", 1))
    if not all(map(_is_divisor, std)):
        raise ConfigError(f"{where}: std holds {next(v for v in std if not _is_divisor(v)):g}; accepted: {_DIVISORS}")
    return InputFormat(
        name=_name(where, given.get("name")),
        dtype=_dtype(where, given.get("dtype")),
        layout=layout,
        channels=_one_of(where, "channels", str(given.get("channels", "RGB")).upper(), ("RGB", "BGR")),
        fixed_hw=_fixed(where, layout, given.get("shape")),
        size_hw=size_hw,
        long_side=long_side,
        multiple_of=multiple_of,
        resize=resize,
        divide_by=float(divide_by),
        mean=_three(where, "mean", given.get("mean", 0)),
        std=std,
    )


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
    _check_keys(where, given, QUERY_OUTPUTS)
    return OutputFormat(names=tuple(_name(where, given.get(key)) or key for key in QUERY_OUTPUTS))


def _read_yaml(path: Path) -> dict[str, Any]:
    content = read_yaml(path, missing="no such model description", accepted="the README shows a model description")
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds no model description; the README shows one")
    return content


def _mapping(where: str, key: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
    value = content.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {key} is {value!r}; accepted: keys and values, one a line, indented")
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
