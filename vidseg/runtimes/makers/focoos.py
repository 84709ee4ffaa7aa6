"""Exports of Focoos: `model_info.json` beside the network.

Pictures go in as they are (mean and std are part of the network); softmax without "no object" and sigmoid are in it.

Source: focoos, `ports.py` ModelInfo, `processor/base_processor.py` (a fixed size is stretched to, plain bilinear),
`models/bisenetformer/processor.py` (outputs: masks, then classes; names of the two are not to be relied on).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidseg.errors import ConfigError
from vidseg.runtimes.makers.description import Description, names_of, read_json, whole

FILE = "model_info.json"


def described(network: Path) -> Description | None:
    """None where there is no such file. Raises ConfigError for one that is damaged, or of another kind of network."""
    path = network.with_name(FILE)
    given = read_json(path)
    if "classes" not in given:
        return None
    task = str(given.get("task", "semseg"))
    if task not in ("semseg", "semantic_segmentation"):
        raise ConfigError(f"{path}: is a Focoos network for '{task}'; accepted: semseg")
    values: dict[str, Any] = {"channels": "RGB", "resize": "stretch", "antialias": False}
    side = whole(given.get("im_size"))
    assumed: tuple[str, ...] = ()
    if side:
        values["size"] = [side, side]
    return Description(
        "Focoos",
        (path,),
        input=values,
        output={"activated": True},
        labels=names_of(given["classes"], f"{path}: classes"),
        assumed=assumed,
    )
