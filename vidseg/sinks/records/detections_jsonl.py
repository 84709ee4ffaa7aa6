"""Detections of every frame as JSON Lines: one JSON object per frame and line.

A detection has the fields of Focoos' `FocoosDet` (github.com/FocoosAI/focoos, `focoos/ports.py`): `bbox`, `conf`,
`cls_id`, `label`, and `mask` as a base64 PNG of the box. Different here: the PNG holds the box's last row and column
too, which Focoos cuts off, so it always has (x_max - x_min + 1) x (y_max - y_min + 1) pixels.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidseg.errors import WriteError
from vidseg.frames import Detection, Frame, Segmentation, UInt8Array
from vidseg.sinks.records.coco_rle import encode_rle
from vidseg.sinks.records.line_file import LineFile
from vidseg.video.label_png import LABEL_PNG_PARAMETERS

MASK_FORMATS = ("png", "rle", "none")


class DetectionsSink:
    """Writes the detections of each frame as one line. Satisfies `vidseg.interfaces.Sink`.

    Segmentations have to be made with `keep_queries=True`. Remembers the newest one: a frame that is given the same
    again (held masks) gets its detections without computing them anew.
    """

    needs_picture = False
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        path: str | Path,
        *,
        overwrite: bool,
        masks: str = "png",
        threshold: float = 0.5,
        source_paths: Iterable[str | Path] = (),
        keep: bool = False,
    ) -> None:
        """Claim `path`.

        Args:
            masks: one of `MASK_FORMATS`.
            threshold: 0..1; detections are those whose confidence is above it.
            source_paths: files of the input, which are never replaced.
            keep: as `LineFile`.
        Raises:
            SinkError: as `PartFile`.
        """
        assert masks in MASK_FORMATS, masks
        self._masks = masks
        self._threshold = threshold
        self._newest: tuple[Segmentation, list[dict[str, Any]]] | None = None
        self._file = LineFile(path, overwrite=overwrite, source_paths=source_paths, keep=keep)
        self.path = self._file.path

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Write one line. Raises WriteError."""
        if self._newest is None or self._newest[0] is not segmentation:
            found = segmentation.detections(self._threshold)
            self._newest = segmentation, [detection_record(detection, self._masks) for detection in found]
        card = {"placeholder": True} if frame.placeholder else {}
        seen = {"segmented_frame": segmentation.frame_index, "detections": self._newest[1]}
        self._file.write(json.dumps(frame_record(frame) | card | seen, separators=(",", ":")), frame.seconds)

    def close(self) -> None:
        """Give the file its name. Raises WriteError."""
        self._file.commit()

    def abort(self) -> None:
        """Remove what was written. Never raises."""
        self._file.discard()


def frame_record(frame: Frame) -> dict[str, Any]:
    """Which frame it is: index, time, size, and the name where it has one."""
    height, width = frame.size_hw
    named = {} if frame.name is None else {"name": frame.name}
    return {
        "frame": frame.index,
        **named,
        "pts": frame.pts,
        "time_base": str(frame.time_base),
        "seconds": round(frame.seconds, 6),
        "width": width,
        "height": height,
    }


def detection_record(detection: Detection, masks: str) -> dict[str, Any]:
    """A detection in plain JSON types; `masks` is one of `MASK_FORMATS`. Raises WriteError."""
    record: dict[str, Any] = {
        "bbox": list(detection.bbox),
        "conf": None if detection.conf is None else round(detection.conf, 6),
        "cls_id": detection.cls_id,
        "label": detection.label,
    }
    if masks == "png":
        x_min, y_min, x_max, y_max = detection.bbox
        record["mask"] = mask_png_base64(detection.mask[y_min : y_max + 1, x_min : x_max + 1])
    elif masks == "rle":
        record["mask"] = encode_rle(detection.mask)
    return record


def mask_png_base64(mask: npt.NDArray[np.bool_]) -> str:
    """A mask (h, w) as an 8-bit grey PNG, 255 where it is true, in base64. Raises WriteError."""
    done, data = cv2.imencode(".png", mask.astype(np.uint8) * 255, LABEL_PNG_PARAMETERS)
    if not done:
        raise WriteError(f"a mask of {mask.shape[1]}x{mask.shape[0]} cannot be encoded as PNG; use --json-masks rle")
    return base64.b64encode(data.tobytes()).decode("ascii")
