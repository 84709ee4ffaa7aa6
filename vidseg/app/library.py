"""What `vidseg.api` is made of: networks shared by threads, and runs whose results are taken one by one."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from importlib import import_module
from os import PathLike
from pathlib import Path

import numpy as np

from vidseg.config import RunConfig
from vidseg.errors import SourceError
from vidseg.frames import Frame, Segmentation, UInt8Array
from vidseg.interfaces import Segmenter
from vidseg.names import expand_user, shown_name
from vidseg.pipeline.options import Result
from vidseg.pipeline.pipeline import Pipeline
from vidseg.pipeline.stream import stream
from vidseg.sources.image_source import read_image
from vidseg.timing import StageTimers
from vidseg.wiring.effects import propagator_for
from vidseg.wiring.engine import Engine, load_engine
from vidseg.wiring.frame_policy import pipeline_options
from vidseg.wiring.live_source import open_as_asked
from vidseg.wiring.reporter import SilentReporter

OnDownload = Callable[[int, int | None], None]
"""Told the bytes of weights so far, and in all if known."""


class _Downloads(SilentReporter):
    """Tells of downloads only, who asks."""

    def __init__(self, tell: OnDownload | None) -> None:
        self._tell = tell

    def download(self, done: int, total: int | None) -> None:
        if self._tell is not None:
            self._tell(done, total)


def load_shared(config: RunConfig, on_download: OnDownload | None = None) -> Engine:
    """The network that the configuration names, for use by several threads. Raises VidsegError."""
    return load_engine(config, _Downloads(on_download)).shared()


def results_of(
    config: RunConfig, load: Callable[[], Engine], *, keep_queries: bool, confidence: bool
) -> Generator[Result, None, None]:
    """Frames of the configuration's source and what is in them, as `stream` gives them. All is opened at the first.

    Args:
        load: gives the network; asked once the source is open, which is quicker to fail.
    Raises:
        VidsegError: the source cannot be opened or breaks off; the network cannot be loaded.
    """
    assert config.source is not None
    with ExitStack() as opened:
        source = open_as_asked(config)
        opened.callback(source.close)
        engine = load()
        timers = StageTimers()
        pipeline = Pipeline(
            source,
            engine.segmenter(config, source.info, timers, keep_queries=keep_queries, confidence=confidence),
            None,
            [],
            propagator=propagator_for(config, (), timers),
            options=pipeline_options(config, source.info, engine.batch(config, source.info)),
            timers=timers,
        )
        opened.pop_all()  # the pipeline closes the source, on the thread that reads it
    yield from stream(pipeline)
    if pipeline.stats.broken_source is not None:
        raise SourceError(pipeline.stats.broken_source)


def picture_of(given: object) -> UInt8Array:
    """(H, W, 3) uint8 RGB, C-contiguous: the array that is given, or what is in the file of this name.

    Raises:
        SourceError: no such file, not a picture, or an array of another shape or type.
    """
    accepted = "accepted: a (height, width, 3) uint8 RGB array, a PIL image, or the name of a picture file"
    if isinstance(given, np.ndarray):
        if given.ndim != 3 or given.shape[2] != 3 or given.dtype != np.uint8 or not given.size:
            raise SourceError(f"a picture is an array {given.shape} of {given.dtype}; {accepted}")
        return np.ascontiguousarray(given)
    if hasattr(given, "convert") and hasattr(given, "getexif"):  # of PIL, which vidseg does not need
        upright = import_module("PIL.ImageOps").exif_transpose(given)
        return np.ascontiguousarray(upright.convert("RGB"), dtype=np.uint8)
    if not isinstance(given, str | PathLike):
        raise SourceError(f"a picture is a {type(given).__name__}; {accepted}")
    text = os.fsdecode(given)
    path = Path(expand_user(text))
    if not path.is_file():
        raise SourceError(f"{shown_name(text)}: no such file; {accepted}")
    image = read_image(path)
    if image is None:
        raise SourceError(f"{shown_name(text)}: is not a readable picture; for a video use vidseg.segment")
    return image


def segment_pictures(segmenter: Segmenter, pictures: Sequence[object], at_once: int) -> list[Result]:
    """Each picture as a frame, and what is in it, in their order; those of one size are segmented together.

    Args:
        at_once: pictures segmented together at most.
    Raises:
        SourceError: as `picture_of`.
    """
    frames = [Frame(picture_of(picture), index, index, Fraction(1)) for index, picture in enumerate(pictures)]
    by_size: dict[tuple[int, int], list[Frame]] = {}
    for frame in frames:
        by_size.setdefault(frame.size_hw, []).append(frame)
    found: dict[int, Segmentation] = {}
    for group in by_size.values():
        for start in range(0, len(group), at_once):
            part = segmenter.segment(group[start : start + at_once])
            found.update((segmentation.frame_index, segmentation) for segmentation in part)
    return [Result(frame, found[frame.index]) for frame in frames]
