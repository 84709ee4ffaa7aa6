"""`--split`: which outputs of a run are written in files, and when a new one begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidseg.config import RunConfig
from vidseg.errors import ConfigError
from vidseg.frames import VideoInfo
from vidseg.interfaces import Sink
from vidseg.names import shown_name
from vidseg.option import bytes_of, moment
from vidseg.sinks.split_output import SplitOutput, SplitRule, Splitter, has_time
from vidseg.video.encoders import ANIMATIONS, CONTAINERS


def check_split(config: RunConfig) -> None:
    """Raises ConfigError where `split` has no file to act on, or does not go with another option."""
    if config.split is None:
        return
    output = config.output or ""
    example = "give -o 'rec_%Y%m%d_%H%M%S.mp4'"
    container = CONTAINERS.get(Path(output).suffix[1:].casefold())
    if config.sent or config.piped or container is None or container in ANIMATIONS:
        raise ConfigError(f"--split: is for video files, and OUT is {shown_name(output) or 'not given'}; {example}")
    if not has_time(output):
        raise ConfigError(f"{output}: --split needs a name with the time in it; {example}")
    if config.chunk_options:
        raise ConfigError(f"--split cannot be combined with {config.chunk_options[0]}; leave one of them out")


def make_splitter(config: RunConfig, info: VideoInfo) -> Splitter | None:
    """What says where a new file begins; None for whole outputs."""
    if config.split is None:
        return None
    size = bytes_of(config.split)
    return Splitter(SplitRule(None if size else moment()(config.split), size), live=info.live)


def in_files(config: RunConfig, option: str, splitter: Splitter | None, opened: Callable[[RunConfig], Sink]) -> Sink:
    """An output, in files if its name has the time in it and the run is split, else whole.

    Args:
        option: that names it.
        opened: makes it as a configuration says.
    """
    name = getattr(config, option)
    if splitter is None or not has_time(name):
        return opened(config)

    def open_part(path: str) -> Sink:
        named: dict[str, Any] = {option: path}
        return opened(replace(config, **named))

    return SplitOutput(name, open_part, splitter, video=option == "output")
