"""Saved masks of a clip as a data set for other tools: COCO, CVAT, YOLO or Pascal VOC. No network is loaded."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from vidseg.app.masks import MaskedSource, open_masks
from vidseg.atomic import UniqueStems, write_whole_file
from vidseg.config import RunConfig
from vidseg.data.regions import regions
from vidseg.errors import ConfigError, SinkError, short_reason
from vidseg.frames import NO_LABEL, BoolArray, UInt8Array
from vidseg.labels import LabelSet
from vidseg.names import expand_user, shown_name
from vidseg.render.colours import VIVID, painted
from vidseg.render.encode import encode_picture
from vidseg.sinks.records.coco_rle import encode_rle
from vidseg.wiring.damage import damage_in
from vidseg.wiring.run_source import open_as_asked

FORMATS = ("coco", "cvat", "yolo", "voc")
JPEG_QUALITY = 95
_VOID, _VOID_COLOUR = 255, (224, 224, 192)
"""Value of a VOC picture where nothing is said, and its colour; 0 is "background", and class ids follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportLabelsRequest:
    """What to write of which clip."""

    clip: str
    masks: str
    out: Path
    format: str = "coco"
    every: int = 1
    """Of the frames with a mask: the first and every Nth after it."""
    min_area: int = 16
    """Connected regions of fewer pixels are left out by coco and yolo."""
    overwrite: bool = False


class _Format(Protocol):
    images: str
    """Folder of the pictures."""

    def add(self, number: int, stem: str, label_map: UInt8Array) -> None: ...

    def finish(self) -> None: ...


def export_labels(request: ExportLabelsRequest, labels: LabelSet, note: Callable[[str], None]) -> int:
    """Write pictures and labels; the number of pictures.

    Args:
        labels: of the network that made the masks.
        note: told what did not fit, and what is damaged.
    Raises:
        ConfigError: an option is out of range, the clip is live, or the masks are those of another one.
        SourceError: the clip or the masks cannot be read.
        SinkError: the folder is there already and holds something, or cannot be made.
        WriteError: it cannot be written.
    """
    if request.format not in FORMATS:
        raise ConfigError(f"--format is {request.format!r}; accepted: {', '.join(FORMATS)}")
    for name, value in (("every", request.every), ("min-area", request.min_area)):
        if value < 1:
            raise ConfigError(f"--{name} is {value}; accepted: 1 or more")
    out = Path(expand_user(str(request.out)))
    if out.exists() and not out.is_dir():
        raise SinkError(f"{request.out}: is a file; give the name of a folder")
    if not request.overwrite and any(not path.is_dir() for path in out.rglob("*")):  # an attempt leaves empty folders
        raise SinkError(f"{request.out}: is not empty; overwrite its files with -y, or choose another folder")
    clip = open_as_asked(RunConfig(source=request.clip))
    try:
        if clip.info.live:
            raise ConfigError(f"{shown_name(request.clip)}: is live; saved masks need a file or a folder")
        masks = open_masks(request.masks, clip.info)
        source = MaskedSource(clip, masks, shown_name(request.masks), len(labels))
        target = _format(request, out, labels)
        stems, written = UniqueStems(), 0
        for count, frame in enumerate(source):
            label_map = source.segmenter.segment([frame])[0].label_map
            if count % request.every:
                continue
            stem = stems.take(frame.name if frame.name is not None else f"{frame.index:06d}")
            _write(out / target.images / f"{stem}.jpg", encode_picture(frame.image, "jpeg", quality=JPEG_QUALITY))
            target.add(written, stem, np.where(label_map < len(labels), label_map, NO_LABEL).astype(np.uint8))
            written += 1
    finally:
        clip.close()
    target.finish()
    for text in (*source.notes, damage_in(clip.counters)):
        if text is not None:
            note(text)
    return written


def outlines(mask: BoolArray) -> list[npt.NDArray[np.float64]]:
    """The polygons of a region (H, W), the outer one first, the others its holes.

    Each is (N, 2) x, y in pixels, through corners of pixels; (0, 0) is that of the picture.
    """
    # twice as large, the line through the middles of pixels is a quarter of a pixel from the corners of pixels
    large = cv2.resize(mask.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    found, tree = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer_first = sorted(range(len(found)), key=lambda i: tree[0][i][3] != -1)
    corners = (np.rint((found[i][:, 0].astype(np.float64) + 0.5) / 2) for i in outer_first)
    # two points of the larger line fall on the same corner where it turns inwards
    return [line[(line != np.roll(line, 1, axis=0)).any(axis=1)] for line in corners]


class _Coco:
    """`images/` and `annotations/instances_default.json`, as CVAT names it.

    Regions are polygons, and RLE where they have holes, which polygons cannot say.
    """

    images = "images"

    def __init__(self, request: ExportLabelsRequest, out: Path, labels: LabelSet) -> None:
        self._path, self._min_area = out / "annotations" / "instances_default.json", request.min_area
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._categories = [{"id": k + 1, "name": name, "supercategory": ""} for k, name in enumerate(labels.names)]

    def add(self, number: int, stem: str, label_map: UInt8Array) -> None:
        height, width = label_map.shape
        self._images.append({"id": number + 1, "file_name": f"{stem}.jpg", "width": width, "height": height})
        for region in regions(label_map, self._min_area):
            x, y, right, bottom = region.bbox
            polygons = outlines(region.mask)
            simple = len(polygons) == 1 and len(polygons[0]) >= 3
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": number + 1,
                    "category_id": region.class_id + 1,
                    "segmentation": [polygons[0].ravel().tolist()] if simple else encode_rle(region.mask),
                    "area": region.area,
                    "bbox": [x, y, right + 1 - x, bottom + 1 - y],
                    "iscrowd": 0,
                }
            )

    def finish(self) -> None:
        content = {"images": self._images, "annotations": self._annotations, "categories": self._categories}
        _write(self._path, json.dumps(content).encode())


class _Yolo:
    """`images/`, `labels/STEM.txt` with one outline a line, and `data.yaml`. Holes cannot be said and are filled."""

    images = "images"

    def __init__(self, request: ExportLabelsRequest, out: Path, labels: LabelSet) -> None:
        self._out, self._min_area, self._names = out, request.min_area, labels.names
        (out / "labels").mkdir(parents=True, exist_ok=True)

    def add(self, number: int, stem: str, label_map: UInt8Array) -> None:
        height, width = label_map.shape
        lines = []
        for region in regions(label_map, self._min_area):
            outline = outlines(region.mask)[0]
            if len(outline) < 3:
                continue
            points = outline / (width, height)
            lines.append(" ".join([str(region.class_id), *(f"{value:.6f}" for value in points.ravel())]) + "\n")
        _write(self._out / "labels" / f"{stem}.txt", "".join(lines).encode())

    def finish(self) -> None:
        names = "".join(f"  {k}: {json.dumps(name)}\n" for k, name in enumerate(self._names))
        _write(self._out / "data.yaml", f"train: images\nval: images\nnames:\n{names}".encode())


class _Voc:
    """`JPEGImages/`, `SegmentationClass/` and `labelmap.txt`: class ids plus 1 as a palette, or as colours for CVAT.

    Where nothing is said VOC has its void, and CVAT, which has none, "background".
    """

    images = "JPEGImages"

    def __init__(self, request: ExportLabelsRequest, out: Path, labels: LabelSet) -> None:
        if len(labels) >= NO_LABEL:
            raise ConfigError(
                f"--format {request.format}: supports {NO_LABEL - 1} classes, not {len(labels)}; give coco"
            )
        self._out, self._coloured, self._names = out, request.format == "cvat", labels.names
        self._stems: list[str] = []
        # each class needs a colour of its own, which ADE20K's are not
        self._table = np.zeros((256, 3), np.uint8)
        self._table[1 : len(labels) + 1] = painted(labels, VIVID).palette
        self._unknown = 0 if self._coloured else _VOID
        self._table[_VOID] = _VOID_COLOUR
        for folder in ("SegmentationClass", "ImageSets/Segmentation"):
            (out / folder).mkdir(parents=True, exist_ok=True)

    def add(self, number: int, stem: str, label_map: UInt8Array) -> None:
        values = np.where(label_map == NO_LABEL, self._unknown, label_map + np.uint8(1)).astype(np.uint8)
        content = encode_picture(self._table[values], "png") if self._coloured else palette_png(values, self._table)
        _write(self._out / "SegmentationClass" / f"{stem}.png", content)
        self._stems.append(stem)

    def finish(self) -> None:
        rows = zip(("background", *self._names), self._table.tolist(), strict=False)
        lines = ["# label:color_rgb:parts:actions", *(f"{name}:{r},{g},{b}::" for name, (r, g, b) in rows)]
        if not self._coloured:
            lines.append(f"ignored:{','.join(map(str, _VOID_COLOUR))}::")  # its readers want to know every colour
        _write(self._out / "labelmap.txt", ("\n".join(lines) + "\n").encode())
        listed = "".join(f"{stem}\n" for stem in self._stems)
        _write(self._out / "ImageSets" / "Segmentation" / "default.txt", listed.encode())


def palette_png(values: UInt8Array, palette: UInt8Array) -> bytes:
    """A PNG of indices (H, W) into a palette (256, 3)."""
    height, width = values.shape
    rows = np.concatenate((np.zeros((height, 1), np.uint8), values), axis=1).tobytes()  # filter 0 before each
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(rows, 6)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _format(request: ExportLabelsRequest, out: Path, labels: LabelSet) -> _Format:
    """What writes the labels; its folders are there. Raises SinkError."""
    kinds: dict[str, Callable[..., _Format]] = {"coco": _Coco, "yolo": _Yolo, "cvat": _Voc, "voc": _Voc}
    try:
        target = kinds[request.format](request, out, labels)
        (out / target.images).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = short_reason(error)
        raise SinkError(f"{request.out}: cannot be created as a folder ({reason}); choose another place") from None
    return target


def _write(path: Path, content: bytes) -> None:
    write_whole_file(Path(os.path.realpath(path)), content)
