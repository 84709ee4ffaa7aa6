"""Segmentation from Python: videos frame by frame, single pictures, batches.

A video, a stream, a camera, or a folder of pictures:

    >>> import vidseg
    >>> for seg in vidseg.segment("samples/street.mp4", imgsz=128, limit=2):
    ...     print(seg.index, round(seg.seconds, 2), seg.label_map.shape, seg.mask("road").any())
    0 0.0 (360, 640) True
    1 0.03 (360, 640) True

Pictures, with a network that is loaded once. They are files, or (H, W, 3) uint8 RGB arrays:

    >>> with vidseg.Segmenter(imgsz=128) as segmenter:
    ...     one = segmenter("samples/street_annotated.jpg")
    ...     first, again = segmenter([one.image, one.image])
    >>> one.shares()["road"] > 0.1
    True
    >>> bool((first.label_map == again.label_map).all())
    True
    >>> one.overlay(opacity=0.4).shape == one.image.shape
    True

Whatever a caller can mend is a `VidsegError` with one line that says how:

    >>> vidseg.segment("samples/street.mp4", model="fai-m2f-xs-ade")
    Traceback (most recent call last):
    vidseg.errors.ModelError: unknown model 'fai-m2f-xs-ade'; near: fai-m2f-s-ade, ...; `vidseg models` lists them

Nothing is printed, no signal handler is installed, and everything may be called from any thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from typing import Any, Literal, Self, TypedDict, overload

import numpy as np
import numpy.typing as npt

from vidseg.app.library import OnDownload, load_shared, results_of, segment_pictures
from vidseg.config import RunConfig
from vidseg.configure import merge, option_names
from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, Frame, Segmentation, UInt8Array, VideoInfo
from vidseg.labels import LabelSet
from vidseg.pipeline.options import Result
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import OverlayRenderer
from vidseg.render.single_picture import encoded_png, save_picture, show_picture
from vidseg.sources.given_picture import Picture
from vidseg.timing import StageTimers
from vidseg.wiring.engine import Engine, check_engine, label_set

Runtime = Literal["auto", "torch", "openvino", "onnxruntime", "torch-compile"]
Precision = Literal[
    "auto", "float32", "float16", "bfloat16", "half", "int8", "fast", "fp32", "fp16", "bf16", "32", "16"
]
LabelRule = Literal["semantic", "winner-query"]
Propagation = Literal["flow", "hold"]

PICTURES_AT_ONCE = 8
"""Of one size, that a `Segmenter` gives to the network together, where no batch is set."""


@dataclass(frozen=True, slots=True, repr=False)
class SegmentedFrame:
    """One picture and its segmentation."""

    frame: Frame
    segmentation: Segmentation
    label_set: LabelSet

    def __repr__(self) -> str:
        height, width = self.label_map.shape
        found = ", ".join(f"{name} {share:.0%}" for name, share in list(self.shares().items())[:3])
        return f"<SegmentedFrame {self.index} at {self.seconds:.3f} s, {width}x{height}: {found or 'nothing'}>"

    def _repr_png_(self) -> bytes:
        """The overlay, for notebooks."""
        return encoded_png(self.overlay())

    @property
    def image(self) -> UInt8Array:
        """(H, W, 3) uint8 RGB, upright."""
        return self.frame.image

    @property
    def index(self) -> int:
        """Position in the source, from 0, counting frames that were left out."""
        return self.frame.index

    @property
    def seconds(self) -> float:
        """Presentation time."""
        return self.frame.seconds

    @property
    def label_map(self) -> UInt8Array:
        """(H, W) uint8: class id per pixel, 255 where there is no label."""
        return self.segmentation.label_map

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names; the class id is the position."""
        return self.label_set.names

    def mask(self, *classes: str | int) -> npt.NDArray[np.bool_]:
        """(H, W) bool: where one of these classes is, given by name, synonym or id.

        Raises:
            ConfigError: no such class; names the nearest known ones.
        """
        return np.isin(self.label_map, self.label_set.find_all(classes))

    def shares(self) -> dict[str, float]:
        """Share of the picture, above 0 and at most 1, of each class in it, the largest first."""
        counts = np.bincount(self.label_map.ravel(), minlength=NO_LABEL + 1)[: len(self.label_set)]
        order = sorted(np.flatnonzero(counts), key=lambda class_id: -counts[class_id])
        return {self.labels[class_id]: float(counts[class_id]) / self.label_map.size for class_id in order}

    def overlay(
        self, opacity: float = 0.5, *, contours: bool = False, legend: bool = False, labels: bool = False
    ) -> UInt8Array:
        """A new (H, W, 3) uint8 RGB picture with the class colours over it. Raises ConfigError."""
        options = RenderOptions(opacity=opacity, contours=contours, legend=legend, labels=labels)
        return OverlayRenderer(options, self.label_set).render(self.image, self.segmentation)

    def save(self, path: str | PathLike[str], opacity: float = 0.5) -> None:
        """Write the overlay as a picture: .png, .jpg, .webp, ... by the name; a file of that name is replaced.

        Raises:
            SinkError: the ending is not a picture format, or the folder does not exist.
            WriteError: it cannot be written.
        """
        save_picture(self.overlay(opacity), path)

    def show(self, opacity: float = 0.5) -> None:
        """Show the overlay in a window until a key is pressed or it is closed. Raises DisplayError."""
        show_picture(self.overlay(opacity), f"vidseg - frame {self.index}")


class Segmenter:
    """A network that is loaded once, for pictures and videos. May be shared by threads, which then take turns.

    None means the default of `vidseg run`.

    Args:
        model: name of a model, as `vidseg models` lists them, or a network file such as net.onnx.
        weights: a file with your own weights for it.
        trust_model: run a TorchScript file, which can write any file of yours.
        device: auto, cpu, cuda, cuda:N or N, mps.
        runtime: auto, torch, openvino, onnxruntime, torch-compile.
        precision: auto, float32, float16, bfloat16, half, int8.
        imgsz: long side of the network's input in pixels.
        short_side: its short side instead, or "published": as in published measurements, also for video on a CPU.
        label_set: classes of a network file: ade20k, cityscapes, voc, coco, or a file that lists them.
        rule: how a pixel gets its label: semantic, winner-query.
        conf: 0..1; with winner-query, pixels of queries that score no more are 255 in label maps, as in Focoos.
        mask_score: multiply the score of a query by the mean of its mask, also in `detections()`.
        min_confidence: 0..1; pixels below this confidence are 255 in label maps.
        batch: largest number of pictures per network call.
        threads: CPU threads of the network, for the whole process.
        keep_queries: keep what `query_masks()` and `detections()` need; costs some MB per frame.
        confidence: compute the confidence of each pixel; takes longer.
        on_download: called with the bytes of weights downloaded so far, and in total if known.
    Raises:
        VidsegError: unknown names, values out of range, weights that do not fit or cannot be fetched.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        weights: str | PathLike[str] | None = None,
        trust_model: bool | None = None,
        device: str | int | None = None,
        runtime: Runtime | None = None,
        precision: Precision | None = None,
        imgsz: int | None = None,
        short_side: int | Literal["published"] | None = None,
        label_set: str | PathLike[str] | None = None,
        rule: LabelRule | None = None,
        conf: float | None = None,
        mask_score: bool | None = None,
        min_confidence: float | None = None,
        batch: int | None = None,
        threads: int | None = None,
        keep_queries: bool = False,
        confidence: bool = False,
        on_download: OnDownload | None = None,
    ) -> None:
        self._options = _options(locals())
        self._keep: _Keep = {"keep_queries": keep_queries, "confidence": confidence}
        self._engine: Engine | None = load_shared(merge(("vidseg.Segmenter", self._options)), on_download)

    @overload
    def __call__(self, pictures: Picture) -> SegmentedFrame: ...
    @overload
    def __call__(self, pictures: list[Any] | tuple[Any, ...]) -> list[SegmentedFrame]: ...
    def __call__(self, pictures: Picture | list[Any] | tuple[Any, ...]) -> SegmentedFrame | list[SegmentedFrame]:
        """What is where in a picture, or in each of a list, in its order. Each is looked at on its own.

        Args:
            pictures: (H, W, 3) uint8 RGB arrays or names of picture files, of any sizes; those of one size are
                segmented together.
        Raises:
            SourceError: a file that cannot be read, or an array of another shape or type.
            ValueError: the segmenter was closed.
        """
        engine = self._open_engine()
        if not isinstance(pictures, list | tuple):
            return self([pictures])[0]
        config = merge(("vidseg.Segmenter", {**self._options, "smooth": False}))
        segmenter = engine.segmenter(config, _STILL, StageTimers(), **self._keep)
        found = segment_pictures(segmenter, pictures, config.batch or PICTURES_AT_ONCE)
        return [_segmented(result, engine.labels) for result in found]

    def segment(
        self,
        source: str | PathLike[str],
        *,
        stride: int | Literal["auto"] | None = None,
        propagate: Propagation | None = None,
        smooth: bool | None = None,
        max_fps: float | None = None,
        crop: str | None = None,
        rotate: int | None = None,
        mirror: bool | None = None,
        start: float | str | None = None,
        end: float | str | None = None,
        duration: float | str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> Generator[SegmentedFrame, None, None]:
        """As `vidseg.segment`, with the network that is loaded here.

        Raises:
            VidsegError: at once for bad options; while iterating for errors of the source.
            ValueError: the segmenter was closed.
        """
        engine = self._open_engine()
        config = merge(("vidseg.Segmenter", self._options), ("Segmenter.segment", _options(locals())))
        return _generate(config, lambda info: engine, self._keep)

    def close(self) -> None:
        """Release the network; safe to call twice. Generators in progress continue."""
        self._engine = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Segmenter {self._engine.model if self._engine else '(closed)'}>"

    def _open_engine(self) -> Engine:
        if self._engine is None:
            raise ValueError("this Segmenter is closed; create a new one")
        return self._engine


def segment(
    source: str | PathLike[str],
    *,
    model: str | None = None,
    weights: str | PathLike[str] | None = None,
    trust_model: bool | None = None,
    device: str | int | None = None,
    runtime: Runtime | None = None,
    precision: Precision | None = None,
    imgsz: int | None = None,
    short_side: int | Literal["published"] | None = None,
    label_set: str | PathLike[str] | None = None,
    rule: LabelRule | None = None,
    conf: float | None = None,
    mask_score: bool | None = None,
    min_confidence: float | None = None,
    batch: int | None = None,
    threads: int | None = None,
    stride: int | Literal["auto"] | None = None,
    propagate: Propagation | None = None,
    smooth: bool | None = None,
    max_fps: float | None = None,
    crop: str | None = None,
    rotate: int | None = None,
    mirror: bool | None = None,
    start: float | str | None = None,
    end: float | str | None = None,
    duration: float | str | None = None,
    limit: int | None = None,
    timeout: float | None = None,
    keep_queries: bool = False,
    confidence: bool = False,
    on_download: OnDownload | None = None,
) -> Generator[SegmentedFrame, None, None]:
    """Every frame of a video, stream, camera, or folder of pictures, with its segmentation.

    Frames are decoded and segmented on other threads, a few ahead of the caller: a file waits for the caller, a live
    source drops frames if the caller is too slow. Leaving the loop early, in any way, ends those threads and closes
    the source. Nothing is opened or loaded before the first frame is requested.

    None means the default of `vidseg run`; all but the following arguments are those of `Segmenter`.

    Args:
        source: what `vidseg run` takes: a file, a URL, `cam0`, a folder or glob of pictures, `test`.
        stride: the network sees every Nth frame; the others get the last masks.
        propagate: these masks follow the motion ("flow") or stay ("hold").
        smooth: average scores over time against flicker; by default for videos, not for pictures.
        max_fps: leave out frames above this rate.
        crop: the part of each picture to take, "WIDTHxHEIGHT+LEFT+TOP" in pixels.
        rotate: degrees clockwise, 90, 180 or 270, after the crop. Label maps are of the changed pictures.
        mirror: swap left and right, after that.
        start, end: the part of a file to take, in seconds from its first frame or as "1:02:03.5"; negative times count
            from its end. The frame at `start` is included, that at `end` is not. Indices and times stay the file's.
        duration: in place of `end`, how long the part is; for a live source, when to stop.
        limit: end after this many frames.
        timeout: seconds that a stream may stay silent.
    Raises:
        VidsegError: at once for bad options; while iterating for a source that cannot be opened or breaks off, or for
            weights that cannot be loaded.
    """
    config = merge(("vidseg.segment", _options(locals())))
    check_engine(config)
    keep: _Keep = {"keep_queries": keep_queries, "confidence": confidence}
    return _generate(config, lambda info: load_shared(config, on_download, info), keep)


_STILL = VideoInfo(1, 1, Fraction(1), still=True)
_OPTION_NAMES = frozenset(option_names())


class _Keep(TypedDict):
    """What segmentations hold besides labels."""

    keep_queries: bool
    confidence: bool


def _options(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a function that are options of a run; names of files as text."""
    options = {name: value for name, value in arguments.items() if name in _OPTION_NAMES}
    if "source" in options and options["source"] is None:  # elsewhere None is "not said"
        raise ConfigError("source is None; give a file, URL, cam0, folder, glob, image, or test")
    return {name: os.fspath(value) if isinstance(value, PathLike) else value for name, value in options.items()}


def _segmented(result: Result, labels: LabelSet) -> SegmentedFrame:
    return SegmentedFrame(result.frame, result.segmentation, labels)


def _generate(
    config: RunConfig, load: Callable[[VideoInfo], Engine], keep: _Keep
) -> Generator[SegmentedFrame, None, None]:
    with closing(results_of(config, load, **keep)) as results:
        labels = label_set(config)
        for result in results:
            yield _segmented(result, labels)
