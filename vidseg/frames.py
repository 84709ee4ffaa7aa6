"""The values that flow through vidseg: frames, what is known about their source, and what was seen in them.

Time is `pts * time_base` (seconds since the source's zero); `index` counts frames and is never a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import import_module
from os import PathLike
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vidseg.audio import AudioQueue
from vidseg.errors import ConfigError

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

Box = tuple[int, int, int, int]
"""Part of a picture in pixels: top, left, bottom, right; the last two lie outside."""

DetectionMode = Literal["all_pixels", "per_mask"]

NO_LABEL = 255
"""Value of a label map where there is no label."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Facts about an open source.

    `width` and `height` are those of the frames that come out: upright, in pixels.
    """

    width: int
    height: int
    time_base: Fraction
    """Seconds per unit of `Frame.pts`."""
    frame_rate: Fraction | None = None
    """Average frames per second, None where the source does not say. For display and encoder hints only."""
    frame_count: int | None = None
    """Number of frames the source announces; a hint, not a promise."""
    duration_seconds: float | None = None
    live: bool = False
    """True for cameras and streams: they do not wait, so frames may have to be dropped."""
    from_files: bool = False
    """True for files in a grid that is live because it is watched: what is seen has no latency."""
    still: bool = False
    """True for a folder, glob or single image: frames are separate pictures that may differ in size."""
    has_audio: bool = False
    """True where the source carries audio, whether it can be copied or not."""
    audio_path: str | None = None
    """Where a sink can read the audio of the frames; None if there is none."""
    audio: AudioQueue | None = None
    """The audio of a live source, as it comes; None if there is none, or none is wanted."""
    source_paths: tuple[str, ...] = ()
    """The local files that are read; no output may replace one of them."""
    notes: tuple[str, ...] = ()
    """How the source's pictures were converted (rotation, bit depth, HDR), one sentence each."""
    tiles: tuple[tuple[str, Box], ...] = ()
    """Of several sources in one picture: the name of each, and the box (top, left, bottom, right) in which it is."""

    @property
    def has_latency(self) -> bool:
        """True where frames come when they are made."""
        return self.live and not self.from_files


@dataclass(slots=True, repr=False)
class Frame:
    """One picture with its time.

    `image` is (H, W, 3) uint8 RGB, upright, C-contiguous.
    """

    image: UInt8Array
    index: int
    """0-based position in the source, dropped and skipped frames included."""
    pts: int
    time_base: Fraction
    duration: int | None = None
    """In units of `time_base`; None where unknown."""
    name: str | None = None
    """File stem for pictures out of files; None for video."""
    arrived: float | None = None
    """When it came out of the source, in seconds of the pipeline's clock; None outside a pipeline."""
    placeholder: bool = False
    """True for a card shown while a source is offline; it has no classes."""
    segmentation: Segmentation | None = None
    """The segmentation, if the source already knows it; the model does not run then."""

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"image must be (H, W, 3) uint8, got {self.image.shape} {self.image.dtype}")

    @property
    def seconds(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.image.shape[0], self.image.shape[1]

    def __repr__(self) -> str:
        height, width = self.size_hw
        name = "" if self.name is None else f" {self.name!r}"
        return f"<Frame {self.index}{name} at {self.seconds:.3f} s, {width}x{height}>"

    def _repr_png_(self) -> bytes:
        """The picture, for notebooks."""
        return bytes(_drawing().encoded_png(self.image))

    def save(self, path: str | PathLike[str]) -> None:
        """Write the picture by the ending of the name: .png, .jpg, .webp, ...; a file of that name is replaced.

        Raises:
            SinkError: the ending is not a picture format, or the folder does not exist.
            WriteError: it cannot be written.
        """
        _drawing().save_picture(self.image, path)

    def show(self) -> None:
        """Show the picture in a window until a key is pressed or it is closed. Raises DisplayError."""
        _drawing().show_picture(self.image, f"vidseg - frame {self.index}")


def _drawing() -> Any:
    """Loaded when a picture is to be seen: frames themselves need numpy only."""
    return import_module("vidseg.render.single_picture")


@dataclass(frozen=True, slots=True, repr=False)
class Detection:
    """One query's region in the format of the Focoos post-processing; without queries a connected region of a class.

    `mask` is (H, W) bool at the frame's size; `bbox` is (x_min, y_min, x_max, y_max), inclusive pixels. `conf` is the
    query's confidence, or the mean of the region's; None if the network outputs labels without scores.
    """

    bbox: tuple[int, int, int, int]
    conf: float | None
    cls_id: int
    label: str
    mask: BoolArray

    def __repr__(self) -> str:
        sure = "" if self.conf is None else f" {self.conf:.0%},"
        return f"<Detection of {self.label},{sure} {', '.join(map(str, self.bbox))}>"


@dataclass(frozen=True, slots=True, repr=False)
class QueryMasks:
    """The seed format: one row per query, no suppression between them.

    `class_ids` (Q,) int64, `scores` (Q,) float32 in 0..1, `masks` (Q, H, W) float32 in 0..1 at the frame's size.
    """

    class_ids: npt.NDArray[np.int64]
    scores: FloatArray
    masks: FloatArray

    def __repr__(self) -> str:
        return f"<QueryMasks of {len(self.class_ids)} queries>"


@dataclass(slots=True, repr=False)
class Segmentation:
    """The segmentation of one frame.

    `label_map` is (H, W) uint8 at the frame's size: class id, or `NO_LABEL`.
    """

    label_map: UInt8Array
    frame_index: int
    """Index of the frame it was computed from; differs from the frame it is shown on when inference skips frames."""
    levels: UInt8Array | None = None
    """(H, W) uint8: 255 times the confidence in the winning class, rounded down. Only if requested."""
    as_is: tuple[Box, ...] = ()
    """Parts that every view shows as they are in the source's picture: names and cards in a grid."""
    _query_masks: Callable[[], QueryMasks] | None = field(default=None, repr=False)
    _detections: Callable[[float, DetectionMode], list[Detection]] | None = field(default=None, repr=False)

    @property
    def confidence(self) -> FloatArray | None:
        """(H, W) in 0..1: the confidence of each label, in steps of 1/255. Only if requested."""
        return None if self.levels is None else self.levels * np.float32(1 / 255)

    def __repr__(self) -> str:
        height, width = self.label_map.shape
        return f"<Segmentation of frame {self.frame_index}, {width}x{height}>"

    def query_masks(self) -> QueryMasks:
        """Class, score and full-size mask of every query. Computed on each call; heavy (Q full-size masks).

        Raises:
            ConfigError: it comes from a model without queries, or the queries were not kept.
        """
        if self._query_masks is None and self._detections is not None:
            raise ConfigError("the network has no queries; detections() gives its connected regions")
        if self._query_masks is None:
            raise ConfigError("query masks were not kept; segment with keep_queries=True")
        return self._query_masks()

    def detections(self, threshold: float = 0.5, mode: DetectionMode = "all_pixels") -> list[Detection]:
        """Regions of the queries whose score is above `threshold`, in query order.

        Of a network without queries: the connected regions of `label_map`, the largest first, without those that cover
        less than 1/5000 of the picture.

        Args:
            threshold: 0..1, compared with the query's best class probability, or with a region's mean confidence where
                there is one.
            mode: "all_pixels" gives each pixel to one query; "per_mask" keeps each query's own mask.
        Raises:
            ConfigError: the queries were not kept, or no such mode.
        """
        if self._detections is None:
            raise ConfigError("queries were not kept; segment with keep_queries=True")
        return self._detections(threshold, mode)


def rate_of(number: float | Fraction) -> Fraction:
    """Frames per second, above 0, as the fraction that is meant: 29.97003 is 30000/1001, and 0.0004 is 1/2500."""
    rate = Fraction(number)
    return rate.limit_denominator(1001) if rate >= 1 else 1 / (1 / rate).limit_denominator(1001)


def unless_card(drawn: UInt8Array, image: UInt8Array, placeholder: bool) -> UInt8Array:
    """The (H, W, 3) picture `drawn`; a card stays as it is, since a view of masks alone would leave its words out."""
    return image if placeholder and drawn.shape == image.shape else drawn


def nothing_in(size_hw: tuple[int, int], frame_index: int) -> Segmentation:
    """An empty segmentation of (height, width): no labels, queries or detections."""
    return Segmentation(
        np.full(size_hw, NO_LABEL, np.uint8),
        frame_index,
        _query_masks=lambda: QueryMasks(
            np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros((0, *size_hw), np.float32)
        ),
        _detections=lambda threshold, mode: [],
    )


def label_map_of(segmentation: Segmentation) -> UInt8Array:
    """(H, W) uint8 class ids, or `NO_LABEL`."""
    return segmentation.label_map


def levels_of(segmentation: Segmentation) -> UInt8Array:
    """(H, W) uint8 levels of confidence, 0 where it is unknown."""
    if segmentation.levels is None:
        return np.zeros_like(segmentation.label_map)
    return segmentation.levels
