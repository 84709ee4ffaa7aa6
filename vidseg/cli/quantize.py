"""`vidseg quantize`: an int8 version of a model's weights, for `--precision int8`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidseg.cli.options import argument, flag, made_of


@made_of(
    argument("source", str, "PICTURES", "Folder, glob or video of images like those you will segment.", ...),
    flag("model", str, "A name from `vidseg models`.", also=("-m",), default="m2f-mobile-ade"),
    flag("weights", str, "Your own weights.", "FILE"),
    flag("imgsz", int, "Long side of the model's input.", "N"),
    flag("pictures", int, "Number of images to take, spread evenly.", "N", default=200),
    flag(
        "output",
        Path,
        "File to write; default in the cache. Runs find it there or as mine.int8.zip beside mine.safetensors.",
        "FILE.zip",
        also=("-o",),
    ),
    flag(
        *("overwrite", bool, "Replace an existing FILE.zip."),
        flags=("--overwrite/--no-overwrite", "-y/-n"),
        default=False,
    ),
)
def quantize(given: dict[str, Any]) -> None:
    r"""Make an int8 version of a model's weights, for `--precision int8`.

    Needs pip install 'vidseg\[int8]' and takes about a minute; runs then only need OpenVINO. The bundled weights come
    with an int8 version; one that you make yourself replaces it.

    Example: `vidseg quantize photos/ --weights mine.safetensors`.
    """
    from vidseg.cli.console import RunConsole
    from vidseg.commands.quantize import QuantizeRequest, make_quantized

    request = QuantizeRequest(out=given.pop("output"), **given)
    with RunConsole() as console:
        made = make_quantized(request, console)
    elsewhere = "" if made.place == made.path else f"; runs look for it at {made.place}, so move it there"
    console.note(
        f"wrote {made.path}: calibrated on {made.calibrated} images, {made.same_labels:.1%} of the labels of "
        f"{made.checked} other images equal those of float32{elsewhere}"
    )
