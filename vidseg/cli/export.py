"""`vidseg export`: a network as a file for other programs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from vidseg.cli.completion import one_of
from vidseg.cli.options import argument, flag, made_of
from vidseg.errors import ConfigError


@made_of(
    argument("model", str, "NAME", "A name from `vidseg models`.", ...),
    flag(
        *("format", str, "onnx, openvino, torchscript.", "KIND"),
        also=("-f",),
        default="onnx",
        autocompletion=one_of(lambda: ("onnx", "openvino", "torchscript")),
    ),
    flag("output", Path, "File to write; default NAME.onnx, .xml or .torchscript.", "FILE", also=("-o",)),
    flag("outputs", str, "queries: class and mask logits; semantic: a score map per class.", default="queries"),
    flag("imgsz", int, "Long side that runs use by default; the file still takes any size.", "N"),
    flag("fixed", str, "Fix the input size, e.g. 384x640.", "HxW"),
    flag("weights", str, "Your own weights.", "FILE"),
    flag("overwrite", bool, "Replace existing files.", also=("-y",), default=False),
    flag("quiet", bool, "Print errors only.", also=("-q",), default=False),
)
def export(given: dict[str, Any]) -> None:
    """Write a model as ONNX, OpenVINO or TorchScript, with a YAML file beside it, and check that it agrees with torch.

    The file takes uint8 RGB images, (batch, 3, height, width), without normalisation. `vidseg run -m FILE` runs it.

    Examples: `vidseg export m2f-mobile-ade`,
    `vidseg export m2f-mobile-ade --format openvino --fixed 384x640`.
    """
    from vidseg.cli.console import RunConsole
    from vidseg.commands.export import ExportRequest
    from vidseg.commands.export import export as run_export

    fixed, quiet = given.pop("fixed"), given.pop("quiet")
    request = ExportRequest(fixed_hw=None if fixed is None else _size(fixed), **given)
    with RunConsole(quiet=quiet) as console:
        done = run_export(request, console)
        sizes = ", ".join(f"{width}x{height}" for height, width in done.checked)
        console.note(
            f"agrees with torch: labels on {done.same_labels:.2%} of the pixels, largest difference "
            f"{done.max_difference:.2g} ({done.engine}; sizes {sizes})"
        )
        for path in done.paths:
            console.note(f"wrote {path}")


def _size(text: str) -> tuple[int, int]:
    """(height, width) of "HxW". Raises ConfigError."""
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text.strip().casefold())
    if found is None:
        raise ConfigError(f"--fixed is {text!r}; accepted: HEIGHTxWIDTH, e.g. 384x640")
    return int(found[1]), int(found[2])
