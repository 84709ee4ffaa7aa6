"""`vidseg export`: a network as a file for other programs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from vidseg.cli.options import option
from vidseg.errors import ConfigError


def export(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name from `vidseg models`.")],
    kind: Annotated[str, option("--format", "-f", help_text="onnx, openvino, torchscript.")] = "onnx",
    output: Annotated[
        Path | None,
        option("--output", "-o", metavar="FILE", help_text="File to write; default NAME.onnx, .xml or .torchscript."),
    ] = None,
    outputs: Annotated[
        str,
        option("--outputs", help_text="queries: class and mask logits; semantic: a score map per class."),
    ] = "queries",
    imgsz: Annotated[
        int | None,
        option("--imgsz", metavar="N", help_text="Long side that runs use by default; the file still takes any size."),
    ] = None,
    fixed: Annotated[
        str | None, option("--fixed", metavar="HxW", help_text="Fix the input size, e.g. 384x640.")
    ] = None,
    weights: Annotated[str | None, option("--weights", metavar="FILE", help_text="Your own weights.")] = None,
    overwrite: Annotated[bool, option("--overwrite", "-y", help_text="Replace existing files.")] = False,
    quiet: Annotated[bool, option("--quiet", "-q", help_text="Print errors only.")] = False,
) -> None:
    """Write a model as ONNX, OpenVINO or TorchScript, with a YAML file beside it, and check that it agrees with torch.

    The file takes uint8 RGB images, (batch, 3, height, width), without normalisation. `vidseg run -m FILE` runs it.

    Examples: `vidseg export m2f-mobile-ade`,
    `vidseg export m2f-mobile-ade --format openvino --fixed 384x640`.
    """
    from vidseg.cli.console import RunConsole
    from vidseg.commands.export import ExportRequest
    from vidseg.commands.export import export as run_export

    request = ExportRequest(
        model=name,
        format=kind,
        output=output,
        outputs=outputs,
        imgsz=imgsz,
        fixed_hw=None if fixed is None else _size(fixed),
        weights=weights,
        overwrite=overwrite,
    )
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
