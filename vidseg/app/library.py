"""The parts behind `vidseg.api`: networks shared by threads, and runs whose results are taken one by one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from fractions import Fraction

from vidseg.config import RunConfig
from vidseg.errors import SourceError
from vidseg.frames import Frame, Segmentation, VideoInfo
from vidseg.interfaces import FrameSegmenter
from vidseg.pipeline.iterate import iterate
from vidseg.pipeline.options import Result
from vidseg.pipeline.pipeline import Pipeline
from vidseg.sources.given_picture import picture_of
from vidseg.timing import StageTimers
from vidseg.wiring.effects import propagator_for
from vidseg.wiring.engine import Engine, load_engine
from vidseg.wiring.frame_policy import pipeline_options
from vidseg.wiring.network_cores import requests_beside
from vidseg.wiring.reporter import SilentReporter
from vidseg.wiring.run_source import open_as_asked

OnDownload = Callable[[int, int | None], None]
"""Told the bytes of weights so far, and in all if known."""


class _Downloads(SilentReporter):
    """Tells of downloads only, who asks."""

    def __init__(self, tell: OnDownload | None) -> None:
        self._tell = tell

    def download(self, done: int, total: int | None) -> None:
        if self._tell is not None:
            self._tell(done, total)


def load_shared(config: RunConfig, on_download: OnDownload | None = None, info: VideoInfo | None = None) -> Engine:
    """The network that the configuration names, for use by several threads. Raises VidsegError.

    Args:
        info: the source that it is for, if that is known.
    """
    requests = 1 if info is None else requests_beside(config, info)
    return load_engine(config, _Downloads(on_download), requests=requests, info=info).shared()


def results_of(
    config: RunConfig, load: Callable[[VideoInfo], Engine], *, keep_queries: bool, confidence: bool
) -> Generator[Result, None, None]:
    """Frames of the configuration's source and what is in them, as `stream` gives them. All is opened at the first.

    Args:
        load: gives the network for a source; asked once that is open, which is quicker to fail.
    Raises:
        VidsegError: the source cannot be opened or breaks off; the network cannot be loaded.
    """
    assert config.source is not None
    with ExitStack() as opened:
        source = open_as_asked(config)
        opened.callback(source.close)
        engine = load(source.info)
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
    yield from iterate(pipeline)
    if pipeline.stats.broken_source is not None:
        raise SourceError(pipeline.stats.broken_source)


def segment_pictures(segmenter: FrameSegmenter, pictures: Sequence[object], at_once: int) -> list[Result]:
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
