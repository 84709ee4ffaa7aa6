"""Class tables of data sets that many networks are trained on, by name, and by their number of classes.

Sources: Cityscapes (labels.py, the 19 with a trainId, in its order and colours), PASCAL VOC 2012 (VOCcode, colours by
its bit rule), COCO (instances: 80 things; panoptic: those and 53 kinds of stuff, as detectron2 orders them).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from vidseg.frames import UInt8Array
from vidseg.labels import LabelSet, ade20k, generated_palette

TABLES = ("ade20k", "cityscapes", "voc", "coco")
BY_COUNT = {150: "ade20k", 19: "cityscapes", 21: "voc"}
"""What so many channels are taken for where nothing names the classes."""

_CITYSCAPES = (
    "road 128 64 128|sidewalk 244 35 232|building 70 70 70|wall 102 102 156|fence 190 153 153|pole 153 153 153|"
    "traffic light 250 170 30|traffic sign 220 220 0|vegetation 107 142 35|terrain 152 251 152|sky 70 130 180|"
    "person 220 20 60|rider 255 0 0|car 0 0 142|truck 0 0 70|bus 0 60 100|train 0 80 100|motorcycle 0 0 230|"
    "bicycle 119 11 32"
)
_VOC = (
    "background|aeroplane|bicycle|bird|boat|bottle|bus|car|cat|chair|cow|dining table|dog|horse|motorbike|person|"
    "potted plant|sheep|sofa|train|tv monitor"
)
_COCO = (
    "person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant|stop sign|parking meter|"
    "bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe|backpack|umbrella|handbag|tie|suitcase|frisbee|"
    "skis|snowboard|sports ball|kite|baseball bat|baseball glove|skateboard|surfboard|tennis racket|bottle|wine glass|"
    "cup|fork|knife|spoon|bowl|banana|apple|sandwich|orange|broccoli|carrot|hot dog|pizza|donut|cake|chair|couch|"
    "potted plant|bed|dining table|toilet|tv|laptop|mouse|remote|keyboard|cell phone|microwave|oven|toaster|sink|"
    "refrigerator|book|clock|vase|scissors|teddy bear|hair drier|toothbrush"
)
_COCO_STUFF = (
    "banner|blanket|bridge|cardboard|counter|curtain|door-stuff|floor-wood|flower|fruit|gravel|house|light|"
    "mirror-stuff|net|pillow|platform|playingfield|railroad|river|road|roof|sand|sea|shelf|snow|stairs|tent|towel|"
    "wall-brick|wall-stone|wall-tile|wall-wood|water-other|window-blind|window-other|tree-merged|fence-merged|"
    "ceiling-merged|sky-other-merged|cabinet-merged|table-merged|floor-other-merged|pavement-merged|mountain-merged|"
    "grass-merged|dirt-merged|paper-merged|food-other-merged|building-other-merged|rock-merged|wall-other-merged|"
    "rug-merged"
)


@cache
def known_labels(name: str, count: int | None = None) -> LabelSet:
    """The table of one of `TABLES`; "coco" with 133 classes where the network has as many, else with 80."""
    if name == "ade20k":
        return ade20k()
    if name == "cityscapes":
        rows = [row.rsplit(" ", 3) for row in _CITYSCAPES.split("|")]
        return _table([row[0] for row in rows], [[int(level) for level in row[1:]] for row in rows])
    if name == "voc":
        names = _VOC.split("|")
        return _table(names, voc_palette(len(names)).tolist())
    names = [*_COCO.split("|"), *(_COCO_STUFF.split("|") if count in (133, 134) else ())]
    return _table(names, generated_palette(len(names)).tolist())


def as_known(names: list[str]) -> LabelSet | None:
    """The table that a maker's names are those of, in its order, by any synonym. None: no such."""
    table = BY_COUNT.get(len(names))
    if table is None:
        return None
    labels = known_labels(table)
    same = sum(_same(name, full) for name, full in zip(names, labels.full_names, strict=True))
    return labels if same >= 0.9 * len(names) else None


def _same(name: str, full: str) -> bool:
    ours, theirs = ({_plain(word) for word in text.split(",")} for text in (full, name))
    return bool(ours & theirs)


def _plain(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter.isalnum())


def _table(names: list[str], colours: list[list[int]]) -> LabelSet:
    palette = np.array(colours, dtype=np.uint8)
    palette.setflags(write=False)
    return LabelSet(tuple(names), tuple(names), palette, "vidseg models info")


def voc_palette(count: int) -> UInt8Array:
    """(count, 3) RGB: the colours that Pascal VOC, and tools that follow it, give to class numbers."""
    return np.array([_voc_colour(number) for number in range(count)], dtype=np.uint8).reshape(count, 3)


def _voc_colour(number: int) -> list[int]:
    """Bits 0, 1, 2 of the number go to red, green, blue, from the highest bit down; then those above them."""
    colour = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            colour[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
    return colour
