"""`--resume`: a run whose finished chunks survive it, and the checks that it continues the same run."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vidseg import zoo
from vidseg.chunks.chunked_run import ChunkedRun, Stages
from vidseg.chunks.refusals import refuse_options
from vidseg.config import RunConfig
from vidseg.errors import ConfigError, ResumeError
from vidseg.frames import VideoInfo
from vidseg.interfaces import Renderer, ResumableSink, ResumableSource
from vidseg.names import counted
from vidseg.pipeline.pipeline import Pipeline
from vidseg.pipeline.stats import RunStats
from vidseg.runtimes.model_file import read_model_file
from vidseg.runtimes.model_format import is_model_file
from vidseg.saved_state import State
from vidseg.timing import StageTimers
from vidseg.version import __version__
from vidseg.wiring.effects import flow_propagator
from vidseg.wiring.engine import Engine
from vidseg.wiring.frame_policy import pipeline_options
from vidseg.wiring.input_files import InputFiles
from vidseg.wiring.interrupts import StopRequest
from vidseg.wiring.reporter import Reporter
from vidseg.wiring.work_folder import WorkFolder
from vidseg.zoo.download import file_sha256

_WITHOUT_EFFECT = frozenset(
    {"source", "preset", "output", "overwrite", "stats", "resume", "show", "quiet", "verbose", "strict"}
    | {"rtsp_transport", "timeout", "weights", "pace", "trust_model"}
)
"""Options that do not change the result, or that are compared by what they stand for."""
_ENDS_BYTES = 1 << 20
"""Of each input file, the first and last so many are compared; the time of its last change stands for the rest."""


def work_folder(config: RunConfig) -> WorkFolder:
    """Where the run keeps what is finished. Raises ConfigError for options that `--resume` excludes."""
    refuse_options("--resume", config, ("show", "serve", "metrics", "matte"))
    output = config.output or config.save_masks or config.save_confidence
    if output is None:
        raise ConfigError("--resume keeps chunks of an output; give -o FILE or --save-masks DIR")
    folder = WorkFolder(output)
    for other in (config.save_masks, config.save_confidence, config.stats):
        if other and Path(os.path.realpath(other)) == folder.path:
            raise ConfigError(f"{other}: is where --resume keeps its chunks; choose another name")
    return folder


def with_kept_precision(config: RunConfig, folder: WorkFolder) -> RunConfig:
    """The configuration with the number format that the run was begun with, where it is left to vidseg.

    Raises:
        ResumeError: as `WorkFolder.load`.
    """
    state = folder.load() if config.precision == "auto" else None
    return config if state is None else replace(config, precision=state["facts"]["settings"]["precision"])


def run_in_chunks(
    config: RunConfig,
    folder: WorkFolder,
    source: ResumableSource,
    sinks: Sequence[ResumableSink],
    engine: Engine,
    renderer: Renderer,
    timers: StageTimers,
    files: InputFiles,
    *,
    reporter: Reporter,
    interrupts: StopRequest,
    total: int | None,
) -> tuple[RunStats, str | None]:
    """Do what is missing. The counts of all processes so far, and, if the run is not over, a sentence that says so.

    Args:
        files: of the source, as they were when the run began.
    Raises:
        ResumeError: what was kept is damaged, or of other settings or another input.
        InputChangedError: the input changed or was removed meanwhile; what was finished before is kept.
        VidsegError: as any run; what is finished is kept.
    """
    info = source.info
    batch = engine.batch(config, info)
    files.refuse_change()
    facts = run_facts(config, engine, info, batch)
    files.refuse_change()  # else the facts might be those of another file
    state = folder.load()
    if state is not None:
        refuse_difference(folder.path, state["facts"], facts)
    stages = Stages(
        engine.segmenter(config, info, timers),
        renderer,
        flow_propagator(config, timers),
        sinks,
    )
    run = ChunkedRun(
        source,
        stages,
        folder,
        options=pipeline_options(config, info, batch),
        seconds=config.segment_seconds,
        facts=facts,
        timers=timers,
        check=files.refuse_change,
    )
    folder.claim()
    if state is not None:
        run.restore(state)
        reporter.note(f"resuming after {counted(run.kept_frames, 'frame')}")

    def look(pipeline: Pipeline) -> None:
        if interrupts.count:
            pipeline.abort()
        reporter.progress(pipeline.progress, total)

    if run.run(look):
        return run.stats, None
    return (
        run.stats,
        f"{run.kept_frames} frames are kept in {_nearer(folder.path)}; run the same command again to continue",
    )


def run_facts(config: RunConfig, engine: Engine, info: VideoInfo, batch: int) -> State:
    """What must be the same to resume a run: settings that change the result, and the input."""
    settings = {name: value for name, value in asdict(config).items() if name not in _WITHOUT_EFFECT}
    for name in ("save_masks", "save_confidence"):
        if settings[name]:
            settings[name] = os.path.realpath(settings[name])
    settings |= engine.size.sides(info)
    batch = 1 if engine.takes_each_alone else batch  # else another number of cores would be another setting
    settings |= {"batch": batch, "model": engine.model, "runtime": engine.runtime.name}
    settings["precision"] = engine.precision
    if is_model_file(config.model):
        weights = read_model_file(config.model, config.label_set).files
    else:
        weights = (Path(config.weights) if config.weights else zoo.ensure(zoo.entry(engine.model)),)
    facts = {
        "vidseg": __version__,
        "weights": [file_sha256(path) for path in weights],
        "settings": settings,
        "input": [_input_facts(Path(path)) for path in info.source_paths] or [{"pattern": config.source}],
    }
    return dict(json.loads(json.dumps(facts)))  # tuples become lists, as they come back from the file


def refuse_difference(folder: Path, before: State, now: State) -> None:
    """Raises ResumeError that names the first difference between a run and the one to be resumed."""
    folder = _nearer(folder)
    advice = "or remove this folder to start over"
    if before["vidseg"] != now["vidseg"]:
        raise ResumeError(
            f"{folder}: was started by vidseg {before['vidseg']}, this is {now['vidseg']}; use that version, {advice}"
        )
    if before["weights"] != now["weights"]:
        raise ResumeError(f"{folder}: was started with other weights or another YAML beside them; give those, {advice}")
    names = [*now["settings"], *(name for name in before["settings"] if name not in now["settings"])]
    for name in names:
        old, new = (facts["settings"].get(name) for facts in (before, now))
        if old != new:
            flag = "--" + name.replace("_", "-")
            was = f"without {flag}" if old is None else f"with {flag} {_shown(old)}"
            is_now = "without" if new is None else _shown(new)
            raise ResumeError(f"{folder}: was started {was}, now {is_now}; do as before, {advice}")
    for old, new in zip(before["input"], now["input"], strict=False):
        if old != new:
            raise ResumeError(f"{folder}: the input has changed since then; give the same file, {advice}")
    if len(before["input"]) != len(now["input"]):
        raise ResumeError(f"{folder}: the input has changed since then; give the same files, {advice}")


def _nearer(path: Path) -> Path:
    """As it is named from here, where it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _input_facts(path: Path) -> State:
    status = path.stat()
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_ENDS_BYTES))
        file.seek(max(0, status.st_size - _ENDS_BYTES))
        digest.update(file.read(_ENDS_BYTES))
    return {"size": status.st_size, "changed_ns": status.st_mtime_ns, "ends": digest.hexdigest()}
