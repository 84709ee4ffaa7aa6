"""Exports of mmsegmentation by mmdeploy: `pipeline.json` beside `end2end.onnx`.

Source: mmdeploy, `backend/sdk/export_info.py` and the pipelines it writes. Sizes are width, height as in mmcv; a size
with the aspect kept is the largest long and short side. OpenCV's bilinear; padding is black after normalisation, which
is the mean colour.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidseg.runtimes.makers.description import Description, read_json, whole

FILE = "pipeline.json"


def described(network: Path) -> Description | None:
    """None where there is no such file. Raises ConfigError for one that is damaged."""
    path = network.with_name(FILE)
    content = read_json(path)
    pipeline = content.get("pipeline")
    if not isinstance(pipeline, dict):
        return None
    values: dict[str, Any] = {"antialias": False, "channels": "BGR"}
    for step in _steps(pipeline):
        kind, size = step.get("type"), step.get("size")
        sides = [whole(side) or 0 for side in size] if isinstance(size, list) and len(size) == 2 else None
        if kind == "Resize" and sides and step.get("keep_ratio"):
            values["size"] = {"short": min(sides), "longest": max(sides)}
        elif kind == "Resize" and sides:
            values |= {"size": sides[::-1], "resize": "stretch"}
        elif kind == "Normalize":
            values |= {"mean": step.get("mean", 0), "std": step.get("std", 1)}
            values["channels"] = "RGB" if step.get("to_rgb", True) else "BGR"
        elif kind == "Pad" and whole(step.get("size_divisor")):
            values |= {"multiple_of": step["size_divisor"], "resize": "letterbox", "align": "corner"}
    if values.get("resize") == "letterbox" and isinstance(values.get("mean"), list):
        values["padding"] = [min(255, max(0, round(float(level)))) for level in values["mean"]]
    return Description("mmdeploy", (path,), input=values)


def _steps(pipeline: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for task in pipeline.get("tasks") or ():
        if isinstance(task, dict):
            yield from (step for step in task.get("transforms") or () if isinstance(step, dict))
