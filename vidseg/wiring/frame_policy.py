"""Which frames a run passes on and segments, according to its configuration."""

from __future__ import annotations

from vidseg.config import RunConfig
from vidseg.frames import VideoInfo
from vidseg.pipeline.options import PipelineOptions
from vidseg.pipeline.outputs import Failing


def pipeline_options(config: RunConfig, info: VideoInfo, batch: int) -> PipelineOptions:
    """How frames are passed on. What is watched live, here or elsewhere, adapts to the machine, unless something
    is to be hidden in it."""
    hides, watched = bool(config.blur_classes), bool(config.show or config.serve or config.sent or config.piped)
    auto = info.live and (config.stride == "auto" or (config.stride is None and watched and not hides))
    return PipelineOptions(
        "auto" if auto else config.stride if isinstance(config.stride, int) else 1,
        config.max_fps,
        config.limit,
        batch,
        fail_closed=hides,
        infer_fps=config.infer_fps,
        keeps="every-frame" if config.live == "every-frame" else "newest" if config.live == "newest" else "auto",
        max_staleness=config.max_staleness,
        failing=failing_outputs(info),
        seconds=config.duration if info.live else None,
    )


def is_smoothed(config: RunConfig, info: VideoInfo) -> bool:
    """Whether the labels are smoothed over time: as asked, else where one picture follows from the other."""
    return not info.still if config.smooth is None else config.smooth


def failing_outputs(info: VideoInfo) -> Failing:
    """What an output that fails means for the others: those of a file become whole, as everything that has its name; a
    live run ends, so that somebody looks."""
    return "last" if info.live else "alone"


def skips_frames(config: RunConfig) -> bool:
    """True where the model may be left out for some frames, whose masks come from others."""
    return config.stride not in (None, 1) or config.infer_fps is not None
