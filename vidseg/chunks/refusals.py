"""What `--resume` and `--workers` exclude: options, sources and outputs."""

from __future__ import annotations

from collections.abc import Iterable

from vidseg.config import RunConfig
from vidseg.errors import ConfigError
from vidseg.interfaces import ResumableSink, ResumableSource, Sink, VideoSource
from vidseg.names import shown_name
from vidseg.sources.factory import SourceKind, classify
from vidseg.wiring.frame_policy import skips_frames


def refuse_options(asked: str, config: RunConfig, names: Iterable[str]) -> None:
    """Raises ConfigError if one of these options is given as well, or one that changes what frames look like.

    Args:
        asked: the option that makes chunks of the run.
    """
    given = ["--" + name.replace("_", "-") for name in names if getattr(config, name)]
    if config.hwaccel != "none":  # other roundings, and the device may be taken by another process, or gone next time
        given.append(f"--hwaccel {config.hwaccel}")
    if config.blur_classes and skips_frames(config):
        given.append("--blur-classes at a --stride above 1 or with --infer-fps")
    for other in given:
        raise ConfigError(f"{asked} cannot be combined with {other}; leave one of them out")


def resumable_source(asked: str, config: RunConfig, source: VideoSource) -> ResumableSource:
    """The source, if it can be read in chunks. Raises ConfigError."""
    local = source.info.source_paths or classify(config.source or "") is SourceKind.PATTERN
    if source.info.live or not local or not isinstance(source, ResumableSource):
        shown = shown_name(config.source or "")
        raise ConfigError(f"{shown}: {asked} needs a video file on this machine, or a test pattern; leave it out")
    return source


def resumable_sinks(asked: str, sinks: Iterable[Sink]) -> list[ResumableSink]:
    """The sinks, if all can be written in chunks. Raises ConfigError."""
    found: list[ResumableSink] = []
    for sink in sinks:
        if not isinstance(sink, ResumableSink):
            raise ConfigError(f"{sink.path}: {asked} cannot make this output; give -o VIDEO or --save-masks DIR")
        found.append(sink)
    return found
