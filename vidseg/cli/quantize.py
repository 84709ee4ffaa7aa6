"""`vidseg quantize`: an int8 version of a model's weights, for `--precision int8`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def quantize(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PICTURES",
            help="Folder, glob or video of images like those you will segment.",
            show_default=False,
        ),
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="A name from `vidseg models`.")] = "m2f-mobile-ade",
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="FILE", help="Your own weights.", show_default=False)
    ] = None,
    imgsz: Annotated[
        int | None, typer.Option("--imgsz", metavar="N", help="Long side of the model's input.", show_default=False)
    ] = None,
    pictures: Annotated[
        int, typer.Option("--pictures", metavar="N", help="Number of images to take, spread evenly.")
    ] = 200,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.zip",
            help="File to write; default in the cache. Runs find it there or as mine.int8.zip beside mine.safetensors.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite/--no-overwrite", "-y/-n", help="Replace an existing FILE.zip.", show_default=False),
    ] = False,
) -> None:
    r"""Make an int8 version of a model's weights, for `--precision int8`.

    Needs pip install 'vidseg\[int8]' and takes about a minute; runs then only need OpenVINO. The bundled weights come
    with an int8 version; one that you make yourself replaces it.

    Example: `vidseg quantize photos/ --weights mine.safetensors`.
    """
    from vidseg.cli.console import RunConsole
    from vidseg.commands.quantize import QuantizeRequest, make_quantized

    request = QuantizeRequest(
        source=source, model=model, weights=weights, imgsz=imgsz, pictures=pictures, out=output, overwrite=overwrite
    )
    with RunConsole() as console:
        made = make_quantized(request, console)
    elsewhere = "" if made.place == made.path else f"; runs look for it at {made.place}, so move it there"
    console.note(
        f"wrote {made.path}: calibrated on {made.calibrated} images, {made.same_labels:.1%} of the labels of "
        f"{made.checked} other images equal those of float32{elsewhere}"
    )
