"""Draws a clip from saved masks, with other colours or filters: no network, no torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from vidseg import zoo
from vidseg.app.masks import SAME_MOMENT_SECONDS, MaskedSource, OrderedMasks, SavedMasks, open_masks
from vidseg.app.run import Outcome, is_paced, run_pipeline, tell_change
from vidseg.app.watching import Replay, following
from vidseg.confidence import least_level
from vidseg.config import RunConfig
from vidseg.errors import ConfigError
from vidseg.frames import VideoInfo
from vidseg.interfaces import Renderer, Sink, VideoSource
from vidseg.labels import LabelSet, ade20k
from vidseg.names import expand_user, shown_name
from vidseg.pipeline.options import PipelineOptions
from vidseg.pipeline.pipeline import Pipeline
from vidseg.pipeline.stats import RunStats
from vidseg.render.display import find_display
from vidseg.runtimes.model_format import is_model_file
from vidseg.sources.source_base import SourceBase
from vidseg.sources.time_range import TimeRange
from vidseg.viewers.outputs import Viewers
from vidseg.wiring.damage import with_damage
from vidseg.wiring.effects import drawn_labels, render_options
from vidseg.wiring.input_files import InputFiles
from vidseg.wiring.interrupts import Interrupts, killable
from vidseg.wiring.outputs import check_sent, make_renderer, open_sinks, starts_inside, with_usable_encoder
from vidseg.wiring.pacing import PacedSource
from vidseg.wiring.reporter import Reporter
from vidseg.wiring.run_source import Announcements, open_as_asked


def render(config: RunConfig, masks: str, reporter: Reporter, *, confidence: str | None = None) -> Outcome:
    """Write or show `config.source` with the label maps in `masks`, from the main thread when it shows a window.

    Args:
        config: source, timeout, limit, output, receiver of a stream, and picture are heeded; of model and weights the
            classes; nothing else.
        masks: folder or file that `--save-masks` wrote for this source, or a folder of PNGs, or a grey FFV1 video.
        confidence: folder or file that `--save-confidence` wrote beside them.
    Raises:
        VidsegError: anything the user can mend.
    """
    _check(config, confidence)
    assert config.source is not None
    read = [masks] if confidence is None else [masks, confidence]
    if config.output:
        for path in read:
            _refuse_mask_folder(config.output, path)
    labels = drawn_labels(config, classes_of(config))
    options = render_options(config, labels)
    if options.blur_classes and config.min_confidence:
        reporter.note("regions below --min-confidence are hidden too")
    renderer = make_renderer(config, options, labels)
    if config.show:
        find_display()
    with ExitStack() as unfinished:
        viewers = unfinished.enter_context(Viewers(config))
        opened = unfinished.enter_context(ExitStack())
        files = InputFiles([config.source, masks])
        unfinished.enter_context(files.blamed())
        with killable():  # a server may take long to answer
            clip = open_as_asked(config)
        opened.callback(clip.close)
        if clip.info.live:
            raise ConfigError(f"{shown_name(config.source)}: is live; saved masks need a file or a folder")
        for text in clip.info.notes:
            reporter.note(text)
        drawing = _Drawing(config, masks, confidence, labels, renderer)
        saved = open_masks(masks, clip.info)
        opened.callback(saved.close)
        part = starts_inside(config) or _begins_with_masks(clip, saved)
        source = drawing.source(clip, saved)
        opened.callback(source.close)

        config = with_usable_encoder(config, clip.info, reporter.note)
        claims = ExitStack()
        interrupts = unfinished.enter_context(Interrupts(abandon=claims.close, tell=reporter.note))
        unfinished.enter_context(claims)
        info = source.info
        for path in read:
            info = info if os.path.isdir(expand_user(path)) else _with_input(info, path)
        files.add(info.source_paths)
        announcements = Announcements()
        sinks = open_sinks(config, info, labels, announcements, part=part)
        unfinished_sinks = claims.enter_context(ExitStack())
        for sink in sinks:
            unfinished_sinks.callback(sink.abort)

        drawing.sinks = sinks
        replay = Replay(config, clip, drawing.pipeline) if _can_wind(clip.info) else None
        pipeline = drawing.pipeline_of(source)
        opened.pop_all()  # the pipeline closes the source, on the thread that reads it
        unfinished_sinks.pop_all()  # and closes or aborts the sinks, but for one that is blocked
        interrupts.started()
        outcome = run_pipeline(
            *(pipeline, info, config, options, labels, reporter, interrupts, viewers, announcements),
            sinks=sinks,
            replay=replay,
        )
        outcome = tell_change(outcome, files, reporter)
        outcome.stats.inferred = 0  # no model saw them
        for text in drawing.notes:
            reporter.note(text)
        for sink in sinks:
            for text in sink.notes:
                reporter.note(text)
        return with_damage(outcome, config, info)


@dataclass(slots=True)
class _Drawing:
    """A clip with its masks: as it is opened first, and as keys of the window have it opened again at another place."""

    config: RunConfig
    masks: str
    confidence: str | None
    labels: LabelSet
    renderer: Renderer
    sinks: Sequence[Sink] = ()
    notes: Sequence[str] = ()
    """Of the source that is read; see `MaskedSource`."""

    def source(self, clip: VideoSource, saved: SavedMasks, *, wound: bool = False) -> MaskedSource:
        """The frames of the clip with these masks. Raises as `open_masks`."""
        config = self.config
        path = self.confidence
        sure = None if path is None else (open_masks(path, clip.info, "--save-confidence"), shown_name(path))
        source = MaskedSource(
            *(clip, saved, shown_name(self.masks), len(self.labels)),
            confidence=sure,
            least=least_level(config.min_confidence or 0.0),
            part=wound or (config.end, config.duration) != (None, None),
            may_be_empty=wound,
        )
        self.notes = source.notes
        return source

    def pipeline_of(self, source: MaskedSource, stats: RunStats | None = None) -> Pipeline:
        """What draws these frames."""
        info = source.info
        played = PacedSource(source) if is_paced(self.config, info) else source
        options, carried = following(PipelineOptions(limit=self.config.limit), stats, still=info.still)
        return Pipeline(played, source.segmenter, self.renderer, self.sinks, options=options, carried=carried)

    def pipeline(self, source: VideoSource, stats: RunStats | None = None) -> Pipeline:
        """What draws the clip from another place. Raises as `open_masks`."""
        with ExitStack() as opened:
            opened.callback(source.close)
            saved = open_masks(self.masks, source.info)
            opened.callback(saved.close)
            masked = self.source(source, saved, wound=True)
            opened.pop_all()
        return self.pipeline_of(masked, stats)


def _can_wind(info: VideoInfo) -> bool:
    """False for pictures whose masks are told apart by which came first."""
    stems = [Path(path).stem.casefold() for path in info.source_paths] if info.still else []
    return len(stems) == len(set(stems))


def _check(config: RunConfig, confidence: str | None) -> None:
    """Refuse what cannot be drawn. Raises ConfigError and SinkError."""
    if config.source is None:
        raise ConfigError("no clip given; accepted: a file, folder, glob or image")
    if not (config.output or config.show):
        raise ConfigError("nothing to do; give -o FILE or --show")
    check_sent(config)
    if confidence is None and (config.min_confidence or config.view == "confidence"):
        option = "--min-confidence" if config.min_confidence else "--view confidence"
        raise ConfigError(f"{option}: masks carry no confidence; give --confidence with what --save-confidence wrote")


def classes_of(config: RunConfig) -> LabelSet:
    """The classes of the model that made the masks. Torch is loaded only where weights or a network file are named.

    Raises:
        VidsegError: there is no such model or weights file, or its description is wrong.
    """
    if not is_model_file(config.model):
        zoo.entry(config.model)
        if config.weights is None:
            return ade20k()
    elif config.weights is not None:
        raise ConfigError(f"--weights: {config.model} contains its own weights; leave out --weights")
    from vidseg.wiring.engine import label_set

    return label_set(config)


def _begins_with_masks(clip: VideoSource, saved: SavedMasks) -> bool:
    """True where the masks are of a part of the clip that begins after its start; the clip is read from there then."""
    if not isinstance(saved, OrderedMasks) or not isinstance(clip, SourceBase):
        return False
    first, part = saved.first, clip.part
    if first.seconds is None:
        return bool(first.index)
    begins = first.seconds - clip.zero_seconds - SAME_MOMENT_SECONDS
    if first.index == 0 or begins <= 0:
        return False
    if begins > part.start and (part.end is None or begins < part.end):
        clip.keep(TimeRange(begins, part.end))
    return True


def _with_input(info: VideoInfo, path: str) -> VideoInfo:
    """`info` with one more file that no output may replace."""
    return replace(info, source_paths=(*info.source_paths, expand_user(path)))


def _refuse_mask_folder(output: str, masks: str) -> None:
    """Raises ConfigError if the output would go among the masks, which are read meanwhile."""
    if not os.path.isdir(expand_user(masks)):
        return
    for folder in (output, os.path.dirname(os.path.abspath(output))):
        with suppress(OSError, ValueError):
            if os.path.samefile(folder, expand_user(masks)):
                raise ConfigError(f"{shown_name(output)}: is inside the folder of the masks; choose another place")
