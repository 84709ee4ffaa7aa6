"""Exports of Ultralytics: notes in the ONNX file or TorchScript archive, `metadata.yaml` beside an OpenVINO network.

Source: ultralytics, `engine/exporter.py` (notes), `data/augment.py` LetterBox (grey 114, in the middle, OpenCV's
bilinear, pixels / 255) and `models/yolo/semantic/predict.py` (float outputs are logits [B, classes, H, W],
others class maps).
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidseg.errors import ConfigError
from vidseg.runtimes.makers.description import Description, names_of, whole
from vidseg.yaml_file import read_yaml

_GREY = 114
_LONGEST = 200_000


def described(network: Path, notes: Mapping[str, str]) -> Description | None:
    """None where nothing of Ultralytics is found.

    Raises:
        ConfigError: it is another kind of network, or what is there cannot be understood.
    """
    files: tuple[Path, ...] = ()
    given: Mapping[str, Any] = notes
    origin = str(network)
    if "config.txt" in notes:
        try:
            given = json.loads(notes["config.txt"])
        except ValueError:
            return None
    beside = network.with_name("metadata.yaml")
    if "names" not in given and beside.is_file():
        content = read_yaml(beside, missing="no such file", accepted="what Ultralytics writes beside an export")
        if isinstance(content, dict):
            given, files, origin = content, (beside,), str(beside)
    if not isinstance(given, Mapping) or not {"names", "stride", "task"} <= set(given):
        return None
    task = str(given["task"])
    if task not in ("semantic", "semseg"):
        raise ConfigError(
            f"{origin}: is an Ultralytics network for '{task}'; accepted: semantic segmentation, e.g. yolo26n-sem"
        )
    size = _literal(given.get("imgsz"))
    if not isinstance(size, list | tuple):
        size = [size, size]
    sides = [whole(side) for side in size]
    if len(sides) != 2 or None in sides:
        raise ConfigError(f"{origin}: imgsz is {str(given.get('imgsz'))[:40]!r}; accepted: [height, width]")
    return Description(
        "Ultralytics",
        files,
        input={
            "channels": "RGB",
            "divide_by": 255,
            "size": {"long": max(side for side in sides if side)},
            "multiple_of": whole(_literal(given["stride"])) or 32,
            "resize": "letterbox",
            "padding": [_GREY] * 3,
            "align": "centre",
            "antialias": False,
        },
        labels=names_of(_literal(given["names"]), f"{origin}: names"),
    )


def _literal(value: Any) -> Any:
    """Of a note: a Python literal. Other values, and what is none, come back as they are."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value
