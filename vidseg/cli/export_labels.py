"""`vidseg export-labels`: saved masks as a dataset for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidseg.cli.completion import one_of
from vidseg.cli.options import argument, flag, made_of


@made_of(
    argument("clip", str, "CLIP", "The file, folder, glob or image that was segmented.", ...),
    argument("masks", str, "MASKS", "What `vidseg run --save-masks` wrote for it: folder or .mkv.", ...),
    flag("output", Path, "Folder for the dataset.", "DIR", also=("-o",), default=...),
    flag(
        *("format", str, "coco, cvat, yolo or voc."),
        also=("-f",),
        default="coco",
        autocompletion=one_of(lambda: ("coco", "cvat", "yolo", "voc")),
    ),
    flag("every", int, "Take every Nth frame that has a mask.", "N", default=1),
    flag("min_area", int, "Leave out smaller regions (coco, yolo).", "PX", default=16),
    flag(
        *("model", str, "The model or network file that made the masks, for its classes."),
        also=("-m",),
        default="m2f-mobile-ade",
    ),
    flag("weights", str, "Your own weights that made the masks.", "FILE"),
    flag("overwrite", bool, "Write into a folder that is not empty.", also=("-y",), default=False),
)
def export_labels(given: dict[str, Any]) -> None:
    """Write frames and their saved masks as a dataset for COCO, CVAT, YOLO or Pascal VOC tools. Loads no model.

    Example: `vidseg run clip.mp4 --save-masks masks.mkv`, then
    `vidseg export-labels clip.mp4 masks.mkv -o dataset/ --format yolo --every 10`.
    """
    from vidseg.app.render import classes_of
    from vidseg.cli.console import RunConsole
    from vidseg.commands.export_labels import ExportLabelsRequest
    from vidseg.commands.export_labels import export_labels as export
    from vidseg.configure import merge
    from vidseg.names import counted

    made_by = {name: given.pop(name) for name in ("model", "weights")}
    request = ExportLabelsRequest(out=given.pop("output"), **given)
    labels = classes_of(merge(("command line", made_by)))
    with RunConsole() as console:
        written = export(request, labels, console.note)
        console.note(f"wrote {counted(written, 'image')} with labels to {request.out}")
