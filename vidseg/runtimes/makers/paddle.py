"""Exports of PaddleSeg, turned into ONNX: `deploy.yaml` beside the network.

Source: PaddleSeg, `tools/export.py` (keys), `transforms/transforms.py` (pictures are RGB, / 255, OpenCV's bilinear;
sizes are width, height; padding 127.5 to the right and below).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidseg.runtimes.makers.description import Description, whole
from vidseg.yaml_file import read_yaml

FILE = "deploy.yaml"
_GREY = 127


def described(network: Path) -> Description | None:
    """None where there is no such file. Raises ConfigError for one that cannot be read."""
    path = network.with_name(FILE)
    if not path.is_file():
        return None
    content = read_yaml(path, missing="no such file", accepted="what PaddleSeg's export writes")
    deploy = content.get("Deploy") if isinstance(content, dict) else None
    if not isinstance(deploy, dict):
        return None
    values: dict[str, Any] = {"channels": "RGB", "divide_by": 255, "antialias": False}
    left: list[str] = []
    for step in deploy.get("transforms") or ():
        if isinstance(step, dict):
            _take(step, values, left)
    operation = str(deploy.get("output_op", "none"))
    output = {"values": "scores"} if operation == "softmax" else {"layout": "NHW"} if operation == "argmax" else {}
    return Description("PaddleSeg", (path,), input=values, output=output, assumed=tuple(left))


def _take(step: Mapping[str, Any], values: dict[str, Any], left: list[str]) -> None:
    kind = str(step.get("type"))
    size = step.get("target_size")
    hw = [whole(side) or 0 for side in reversed(size)] if isinstance(size, list) and len(size) == 2 else None
    if kind == "Normalize":
        values["mean"], values["std"] = step.get("mean", [0.5] * 3), step.get("std", [0.5] * 3)
    elif kind == "Resize":
        values["size"] = hw or [512, 512]
        values["resize"] = "letterbox" if step.get("keep_ratio") else "stretch"
    elif kind == "ResizeByLong":
        values["size"] = {"long": whole(step.get("long_size")) or 0}
    elif kind in ("ResizeByShort", "ResizeShort"):
        longest = whole(step.get("max_size"))
        values["size"] = {"short": whole(step.get("short_size")) or 0, **({"longest": longest} if longest else {})}
    elif kind == "LimitLong" and step.get("max_long"):
        values["size"] = {"long": whole(step.get("max_long")) or 0}
    elif kind in ("Padding", "PaddingByAspectRatio"):
        values |= {"resize": "letterbox", "align": "corner", "padding": [_GREY] * 3}
        if hw and "size" not in values:
            values["size"] = hw
    else:
        left.append(f"the step {kind} is left out")
