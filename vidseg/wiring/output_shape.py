"""How large the pictures of an output are, and how many come in a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vidseg.config import OPTIONS, RunConfig
from vidseg.errors import ConfigError
from vidseg.frames import VideoInfo, rate_of
from vidseg.interfaces import Renderer, Sink
from vidseg.names import shown_name
from vidseg.render.scaling import OutputSize, ScaledRenderer
from vidseg.sinks.constant_rate import RateSink
from vidseg.sinks.hls_sink import PLAYLIST_ENDING
from vidseg.sinks.image_sink import IMAGE_ENDINGS, is_numbered
from vidseg.sources.factory import SourceKind, classify
from vidseg.video.encoders import CONTAINERS

ANIMATION_SIZE, ANIMATION_RATE = 480, 15.0
"""Longest side and frames per second of a GIF or WebP, unless told otherwise."""


def output_names(config: RunConfig) -> list[str]:
    """The files and folders that take the frames of a run, its output first."""
    saved = (getattr(config, name) for name in OPTIONS if name.startswith("save_"))
    return [path for path in (config.output, *saved) if path]


def check_shape(config: RunConfig) -> None:
    """Raises ConfigError where `size`, `enlarge` or `fps` have nothing to act on, or an output cannot follow them."""
    if config.enlarge and config.size is None:
        raise ConfigError("--enlarge needs --size; give the size to enlarge to")
    for name, value in (("size", config.size), ("fps", config.fps)):
        if value is not None and config.output is None:
            other = "--imgsz N is the size of the model's input" if name == "size" else "--max-fps R skips frames"
            raise ConfigError(f"--{name}: is for OUT; give -o FILE ({other})")
    if config.fps is None:
        return
    if config.chunk_options:
        option = config.chunk_options[0]
        raise ConfigError(
            f"--fps cannot be combined with {option}; leave it out, or give --max-fps R, which only skips"
        )
    images = config.source is not None and not config.more_sources and classify(config.source) is SourceKind.IMAGES
    ending = Path(config.output or "").suffix.casefold()
    video = config.piped or ending == PLAYLIST_ENDING or (ending[1:] in CONTAINERS and ending not in IMAGE_ENDINGS)
    if images and (config.sent or not video):
        shown = shown_name(config.source or "")
        raise ConfigError(f"{shown}: --fps is for videos; make one of these images with -o FILE.mp4, or leave it out")


def is_animation(config: RunConfig) -> bool:
    """True where the output is a GIF, or a WebP of a video."""
    if not config.output or config.sent or config.piped:
        return False
    ending = Path(config.output).suffix.casefold()
    moving = config.source is None or classify(config.source) is not SourceKind.IMAGES
    return ending == ".gif" or (ending == ".webp" and moving and config.limit != 1 and not is_numbered(config.output))


def output_size(config: RunConfig) -> OutputSize | None:
    """What the output's pictures are scaled to; None: nothing."""
    if config.size is not None:
        return OutputSize.parse(config.size, enlarge=config.enlarge)
    return OutputSize(ANIMATION_SIZE, ANIMATION_SIZE) if is_animation(config) else None


def with_output_size(renderer: Renderer, config: RunConfig) -> Renderer:
    """The renderer, drawing for the output."""
    size = output_size(config)
    return renderer if size is None else ScaledRenderer(renderer, size)


def at_output_rate(config: RunConfig, info: VideoInfo) -> VideoInfo:
    """What the output is to know of a source whose frames come to it at another rate."""
    if config.fps is None:
        return info
    rate = rate_of(config.fps)
    count = None if info.duration_seconds is None else max(1, round(info.duration_seconds * rate))
    return replace(info, frame_rate=rate, frame_count=count if info.frame_count != 1 else 1)


def _rate(config: RunConfig) -> float | None:
    """Frames per second that the output has at most; None: as they come."""
    if config.fps is None and config.max_fps is None and is_animation(config):
        return ANIMATION_RATE
    return config.fps


def rated(sink: Sink, config: RunConfig) -> Sink:
    """The output, given as many frames a second as it is to have."""
    rate = _rate(config)
    return sink if rate is None else RateSink(sink, rate, constant=config.fps is not None)


def without_unseen_frames(config: RunConfig) -> RunConfig:
    """The configuration; where nothing but the output takes frames, those that it would leave out are not read.

    Not with a limit, which would count other frames then.
    """
    rate = _rate(config)
    others = output_names(config) != [config.output] or config.show or config.serve
    if rate is None or config.limit is not None or others:
        return config
    return replace(config, max_fps=rate if config.max_fps is None else min(rate, config.max_fps))
