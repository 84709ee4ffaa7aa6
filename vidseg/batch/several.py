"""Several files given to `vidseg run`: one after the other, each with outputs of its own, as a batch does them."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from vidseg.app.grid import is_grid, sources_of
from vidseg.batch.inputs import VIDEO_ENDINGS
from vidseg.config import OPTIONS, SINGLE_RUN_OPTIONS, RunConfig
from vidseg.errors import ConfigError
from vidseg.names import PIPE, annotated_folder, expand_user
from vidseg.sources.factory import SourceKind, classify
from vidseg.sources.image_source import IMAGE_SUFFIXES
from vidseg.wildcards import is_glob, matching_paths

if TYPE_CHECKING:
    from vidseg.batch.prepare import BatchOptions

PARENT_NAME = "{parent}_{stem}_annotated{ext}"
"""Where two files have the same name."""


def one_after_the_other(config: RunConfig) -> tuple[RunConfig, BatchOptions] | None:
    """The batch that the sources of the configuration ask for; None for one source, and for a grid.

    A grid is what `grid` asks for, what has a live source or a test pattern in it, and what is watched or sent.

    Raises:
        ConfigError: an option that means nothing to several files, or names one output for all.
    """
    sources = sources_of(config)
    if config.grid:
        if not is_grid(config):
            raise ConfigError("--grid: shows several videos or streams in one picture; give more than one")
        return None
    watched = config.show or config.serve or config.metrics or config.sent or config.piped or config.pace
    if watched or not sources or PIPE in sources:
        return None
    kinds = [classify(each) for each in sources]
    if not all(kind in (SourceKind.FILE, SourceKind.IMAGES) for kind in kinds):
        return None
    with_videos = [kind is SourceKind.FILE or _holds_videos(each) for each, kind in zip(sources, kinds, strict=True)]
    if not any(with_videos) or (len(sources) == 1 and kinds[0] is SourceKind.FILE):
        return None
    # here, so that a single source is looked at, and refused, before torch is imported
    from vidseg.batch.job import outputs_of
    from vidseg.batch.plan import DEFAULT_NAME
    from vidseg.batch.prepare import BatchOptions

    count = f"{len(sources)} sources are given" if len(sources) > 1 else f"{sources[0]} contains videos"
    _refuse_single(config, count)
    for name, template in outputs_of(replace(config, output=None)).items():
        if "{" not in template:
            raise ConfigError(
                f"--{name.replace('_', '-')} {template}: {count}, and each gets its own; put {{stem}} into the name, "
                "such as '{stem}_masks' or '{stem}.csv'; it is made in the folder of -o"
            )
    options = BatchOptions(
        inputs=tuple(sources),
        out_dir=_folder(config, sources, count),
        patterns=tuple(f"*{ending}" for ending in (*VIDEO_ENDINGS, *sorted(IMAGE_SUFFIXES), ".gif")),
        name=PARENT_NAME if _same_names(sources) else DEFAULT_NAME,
        video=config.output is not None or not outputs_of(config),
        redo=config.overwrite,
        jobs=1,
        report=False,
    )
    return replace(config, source=None, more_sources=(), output=None), options


def _refuse_single(config: RunConfig, count: str) -> None:
    for name in SINGLE_RUN_OPTIONS - {"source", "more_sources", "output"}:
        if getattr(config, name) != OPTIONS[name].default:
            raise ConfigError(
                f"--{name.replace('_', '-')}: is for a single file, and {count}; leave it out, or run each on its own"
            )


def _folder(config: RunConfig, sources: list[str], count: str) -> str:
    output = config.output
    if output is None:
        path = expand_user(sources[0])
        return annotated_folder(path) if len(sources) == 1 and os.path.isdir(path) else "."
    if output.endswith(("/", os.sep)) or os.path.isdir(output) or not os.path.splitext(output)[1]:
        return output
    raise ConfigError(
        f"-o {output}: is one file, and {count}, each of which gets its own; give -o DIR/, or --grid to see all in one"
    )


def _holds_videos(spec: str) -> bool:
    """True for a folder or glob with videos in it; what has pictures beside folders is a source of pictures."""
    path = expand_user(spec)
    if os.path.isdir(path):
        top = True
        for _, folders, names in os.walk(path):
            endings = {os.path.splitext(name)[1].lower() for name in names if not name.startswith(".")}
            if endings.intersection(VIDEO_ENDINGS):
                return True
            if top and endings & IMAGE_SUFFIXES:
                return False
            folders[:] = [name for name in folders if not name.startswith(".")]
            top = False
        return False
    if not is_glob(spec) or os.path.lexists(path):
        return False
    return any(os.path.splitext(each)[1].lower() in VIDEO_ENDINGS for each in matching_paths(path))


def _same_names(sources: list[str]) -> bool:
    names = Counter(os.path.splitext(os.path.basename(os.path.abspath(each)))[0].casefold() for each in sources)
    return max(names.values()) > 1
