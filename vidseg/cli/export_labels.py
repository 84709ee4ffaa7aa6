"""`vidseg export-labels`: saved masks as a dataset for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def _option(*names: str, help_text: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help_text, metavar=metavar)


def export_labels(
    clip: Annotated[str, typer.Argument(metavar="CLIP", help="The file, folder, glob or image that was segmented.")],
    masks: Annotated[
        str, typer.Argument(metavar="MASKS", help="What `vidseg run --save-masks` wrote for it: folder or .mkv.")
    ],
    output: Annotated[Path, _option("--output", "-o", metavar="DIR", help_text="Folder for the dataset.")],
    format: Annotated[str, _option("--format", "-f", help_text="coco, cvat, yolo or voc.")] = "coco",
    every: Annotated[int, _option("--every", metavar="N", help_text="Take every Nth frame that has a mask.")] = 1,
    min_area: Annotated[
        int, _option("--min-area", metavar="PX", help_text="Leave out smaller regions (coco, yolo).")
    ] = 16,
    model: Annotated[
        str, _option("--model", "-m", help_text="The model or network file that made the masks, for its classes.")
    ] = "m2f-mobile-ade",
    weights: Annotated[
        str | None, _option("--weights", metavar="FILE", help_text="Your own weights that made the masks.")
    ] = None,
    overwrite: Annotated[
        bool, _option("--overwrite", "-y", help_text="Write into a folder that is not empty.")
    ] = False,
) -> None:
    """Write frames and their saved masks as a dataset for COCO, CVAT, YOLO or Pascal VOC tools. Loads no model.

    Example: `vidseg run clip.mp4 --save-masks masks.mkv`, then
    `vidseg export-labels clip.mp4 masks.mkv -o dataset/ --format yolo --every 10`.
    """
    from vidseg.app.render import classes_of
    from vidseg.cli.console import RunConsole
    from vidseg.commands.export_labels import ExportLabelsRequest
    from vidseg.commands.export_labels import export_labels as export
    from vidseg.configure import merge

    labels = classes_of(merge(("command line", {"model": model, "weights": weights})))
    request = ExportLabelsRequest(
        clip=clip, masks=masks, out=output, format=format, every=every, min_area=min_area, overwrite=overwrite
    )
    with RunConsole() as console:
        written = export(request, labels)
        console.note(f"wrote {written} image{'' if written == 1 else 's'} with labels to {output}")
