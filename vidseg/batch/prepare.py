"""The options of a batch, and the plan that follows from them."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from vidseg import zoo
from vidseg.batch.archive import Archive
from vidseg.batch.identity import is_remote, known_as
from vidseg.batch.inputs import Found
from vidseg.batch.job import is_there, outputs_of
from vidseg.batch.plan import (
    DEFAULT_CONTAINER,
    DEFAULT_MATTE_CONTAINER,
    DEFAULT_NAME,
    Decision,
    NameTemplate,
    decide,
    drop_own_outputs,
    make_jobs,
    settings_digest,
)
from vidseg.batch.remote_files import RemoteFolder
from vidseg.config import RunConfig
from vidseg.errors import ConfigError
from vidseg.names import counted, shown_name, url_scheme
from vidseg.sending.receiver_address import STREAM_MUXERS
from vidseg.sinks.hls_sink import PLAYLIST_ENDING
from vidseg.sinks.image_sink import is_numbered
from vidseg.video.encoders import ALPHA_ENCODERS, CONTAINERS
from vidseg.wiring.effects import drawn_labels, render_options
from vidseg.wiring.engine import check_engine, input_size, label_set
from vidseg.wiring.input_files import identity_of

HIDDEN_FOLDER = ".vidseg-batch"
"""In the output folder: the archive, and the pictures of the report."""


def state_folder(out_dir: str) -> Path:
    """Where the archive and the pictures are: in the output folder; for a URL, in the cache of this machine."""
    if is_remote(out_dir):
        key = hashlib.sha256(known_as(out_dir).encode("utf-8", "surrogateescape")).hexdigest()[:20]
        return zoo.cache_folder() / "batch" / key
    return Path(out_dir, HIDDEN_FOLDER)


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What a batch has besides the settings of its runs."""

    inputs: tuple[str, ...]
    out_dir: str
    lists: tuple[str, ...] = ()
    null: bool = False
    patterns: tuple[str, ...] = ()
    name: str = DEFAULT_NAME
    container: str | None = None
    """The {ext} of names; None takes what suits."""
    video: bool = True
    """Write annotated videos; without, at least one data output has to be asked for."""
    archive: str | None = None
    retry_failed: bool = False
    redo: bool = False
    dry_run: bool = False
    jobs: int | None = None
    ray: str | None = None
    """Address of a Ray cluster that does the work; None does it here."""
    keep_going: bool = True
    report: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch will do."""

    decisions: tuple[Decision, ...]
    found: Found
    settings: str
    """Digest of the settings."""

    def remarks(self) -> list[str]:
        """How many files are done again and why, so that a slip in the settings is noticed at the start."""
        reasons = Counter(item.reason for item in self.decisions if item.action == "do" and item.reason)
        return [f"{counted(count, 'file')} {reason}" for reason, count in reasons.items()]


def check_options(config: RunConfig, options: BatchOptions) -> None:
    """Raises ConfigError for settings that no run of a batch can have."""
    if config.source is not None or config.more_sources or config.output is not None:
        raise ConfigError(
            "'source' and 'output' in a config file cannot be used with a batch; give inputs, -o and --name"
        )
    for name in ("show", "serve", "metrics"):
        if getattr(config, name):
            raise ConfigError(f"--{name}: is for single runs, not for a batch; leave it out")
    if config.resume:
        raise ConfigError("--resume: is for single runs; a repeated batch skips finished files anyway, so leave it out")
    if not options.video and not outputs_of(config):
        raise ConfigError("--no-video: nothing to do; give e.g. --save-masks '{stem}_masks'")
    if options.container is not None and options.container.lstrip(".") not in CONTAINERS:
        raise ConfigError(f"--container {options.container}: unknown; known: {', '.join(CONTAINERS)}")
    if url_scheme(options.out_dir) in STREAM_MUXERS:
        raise ConfigError(f"{shown_name(options.out_dir)}: only single runs can send streams; give a folder as -o")
    if options.name.casefold().endswith(PLAYLIST_ENDING):
        raise ConfigError(
            f"--name {options.name}: only single runs can write playlists; known: {', '.join(CONTAINERS)}"
        )
    if options.ray is not None and config.device.startswith("cuda:"):
        raise ConfigError(f"--device {config.device}: Ray chooses the GPU of a node; give --device cuda")
    if options.video and is_numbered(options.name) and is_remote(options.out_dir):
        raise ConfigError(
            f"--name {options.name}: numbered images can only be written to this "
            "machine; give a folder here as -o, or a video name"
        )
    if options.video and config.matte:
        _refuse_opaque(options, container_of(config, options))
    render_options(config, drawn_labels(config, label_set(config)))
    check_engine(config)


def container_of(config: RunConfig, options: BatchOptions) -> str:
    """The {ext} of names without the dot."""
    default = DEFAULT_MATTE_CONTAINER if config.matte else DEFAULT_CONTAINER
    return (options.container or default).lstrip(".")


def _refuse_opaque(options: BatchOptions, container: str) -> None:
    """Raises ConfigError if the videos could not hold a cut-out, which each of them would say otherwise."""
    ending = os.path.splitext(NameTemplate(options.name, "--name").sample(container))[1].lstrip(".").casefold()
    if ending in CONTAINERS and CONTAINERS[ending] not in ALPHA_ENCODERS:
        given = f"--container {container}" if "{ext}" in options.name else f"--name {options.name}"
        raise ConfigError(
            f"{given}: cannot hold transparency, which --matte needs; give mov, webm or {{stem}}/%05d.png"
        )


def make_plan(config: RunConfig, options: BatchOptions, found: Found, archive: Archive, out_dir: str) -> Plan:
    """What is to be done with what was found. Raises ConfigError as `make_jobs`, and as `RemoteFolder`."""
    inputs, own = drop_own_outputs(found.inputs, archive, out_dir)
    notes = list(found.notes)
    if own:
        which = shown_name(own[0]) if len(own) == 1 else f"{len(own)} inputs"
        notes.append(f"{which}: made by an earlier batch, left out")
    name = options.name if options.video else None
    jobs = make_jobs(inputs, config, out_dir=out_dir, name=name, container=container_of(config, options))
    settings = settings_digest(config, str(input_size(config)))
    there = RemoteFolder(out_dir) if is_remote(out_dir) else None
    decisions = [
        decide(
            job,
            job.listed if is_remote(job.source) else identity_of(job.source),
            settings,
            archive,
            out_dir=out_dir,
            outputs_may_be_gone=options.archive is not None,
            retry_failed=options.retry_failed,
            redo=options.redo,
            identify=there.identify if there else identity_of,
            exists=there.exists if there else is_there,
        )
        for job in jobs
    ]
    return Plan(tuple(decisions), replace(found, inputs=inputs, notes=notes), settings)
