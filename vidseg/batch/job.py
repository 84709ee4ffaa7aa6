"""One job: a value that says what to do, the function that does it, and a value that says how it ended.

`Job` and `JobResult` can be pickled and sent to another process or machine.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from vidseg.app.run import Outcome, run
from vidseg.atomic import PART_SUFFIX, write_failure, write_whole_file
from vidseg.batch.sampler import InputGuard, Sampler
from vidseg.config import RunConfig
from vidseg.configure import option_names
from vidseg.errors import InputChangedError, SinkError, SourceError, VidsegError, unexpected
from vidseg.gpu import gpu_problem
from vidseg.memory import memory_problem
from vidseg.names import shown_name
from vidseg.pipeline.stats import Progress
from vidseg.sinks.image_sink import is_numbered, numbered_pictures
from vidseg.wiring.engine import Engine
from vidseg.wiring.input_files import Identity, identity_of
from vidseg.wiring.interrupts import StopRequest
from vidseg.wiring.reporter import SilentReporter


@dataclass(frozen=True, slots=True)
class Job:
    """One input and everything that is to be made of it."""

    number: int
    """Position in the batch, from 1."""
    name: str
    """The input as it was given; for people."""
    config: RunConfig
    """A run of this one input: source and all outputs are filled in with absolute paths or URLs."""
    listed: Identity | None = None
    """Of the input when it was listed."""

    @property
    def source(self) -> str:
        """Absolute path or URL of the input."""
        assert self.config.source is not None
        return self.config.source

    @property
    def outputs(self) -> dict[str, str]:
        """Absolute paths or URLs of everything that is written, by option."""
        return outputs_of(self.config)

    def as_dict(self) -> dict[str, Any]:
        """Plain values only."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended."""

    number: int
    state: Literal["done", "failed", "stopped"]
    """stopped: aborted by the user; nothing is left of it."""
    reason: str = ""
    """Why it is not done, one line."""
    input_fault: bool = False
    """Failed because of the input: the same again will fail the same way."""
    identity: Identity | None = None
    """Of the input when the job began; None if it was not there."""
    outputs: dict[str, Identity | None] = field(default_factory=dict)
    """What was written: absolute path to what it is known by again, None for folders and numbered pictures."""
    notes: tuple[str, ...] = ()
    frames: int = 0
    seconds: float = 0.0
    """Wall time."""
    video_seconds: float = 0.0
    counters: dict[str, int] = field(default_factory=dict)
    """Events of the source, e.g. corrupt packets."""
    shares: dict[str, Any] = field(default_factory=dict)
    """`ClassShares.as_dict`."""
    strip: bytes = b""
    """A JPEG of a few pictures of the result."""
    trace: str = ""
    """The traceback of a failure that nobody foresaw."""


class JobLog(SilentReporter):
    """Keeps what a run says, to be looked at from other threads."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.problems: list[str] = []
        self.delivered = 0
        self.total: int | None = None
        self.rate = 0.0

    def note(self, text: str) -> None:
        """Keep it for the result."""
        if text not in self.notes:
            self.notes.append(text)

    def problem(self, text: str) -> None:
        """Keep it: the job is not quite done."""
        self.problems.append(text)

    def progress(self, progress: Progress, total: int | None) -> None:
        """Keep the newest numbers."""
        self.delivered, self.total, self.rate = progress.delivered, total, progress.rate


def outputs_of(config: RunConfig) -> dict[str, str]:
    """What a run writes, by option: `output`, `stats`, and every `save_...` that names a file or folder."""
    names = [name for name in option_names() if name in ("output", "stats") or name.startswith("save_")]
    found = {name: getattr(config, name) for name in names}
    return {name: path for name, path in found.items() if isinstance(path, str) and path}


def do_job(job: Job, engine: Engine, *, log: JobLog | None = None, interrupts: StopRequest | None = None) -> JobResult:
    """Do one job of files with a loaded network. Never raises: whatever goes wrong is the result's reason.

    Args:
        log: told of progress; a fresh one is as good.
        interrupts: a count of 2 aborts the job. None lets the run catch signals by itself.
    """
    log = log or JobLog()
    start = time.monotonic()
    identity = identity_of(job.source)
    sampler = Sampler(sources_pictures=not job.config.blur_classes)
    ended = JobResult(job.number, "failed", identity=identity)
    # what is there already and may not be replaced is not made by this job
    of_others = set() if job.config.overwrite else set(written_outputs(job))
    try:
        outcome = _run(job, engine, log, interrupts, identity, sampler)
        ended = _ended(ended, outcome, log)
    except VidsegError as error:
        fault = isinstance(error, SourceError) and not isinstance(error, InputChangedError)
        ended = replace(ended, reason=_without_name(str(error), job), input_fault=fault)
    except Exception as error:  # a mistake in vidseg or a library: the other inputs shall not pay for it
        if (reason := memory_problem(error) or gpu_problem(error)) is not None:
            ended = replace(ended, reason=reason)
        else:
            ended = replace(ended, reason=unexpected(error), trace=traceback.format_exc())
    written = {path: known for path, known in written_outputs(job).items() if path not in of_others}
    return replace(
        ended,
        notes=tuple(_without_name(text, job) for text in log.notes),
        outputs=written if ended.state != "stopped" else {},
        seconds=time.monotonic() - start,
        shares=sampler.class_shares().as_dict(),
        strip=sampler.strip(),
    )


def _run(
    job: Job, engine: Engine, log: JobLog, interrupts: StopRequest | None, identity: Identity | None, sampler: Sampler
) -> Outcome:
    if identity is None:
        raise SourceError("the file no longer exists")
    for path in job.outputs.values():
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        except OSError as error:
            raise SinkError(write_failure(os.path.dirname(path), error)) from error
    watchers = (InputGuard(job.source, identity), sampler)
    return run(job.config, log, engine=engine, interrupts=interrupts, watchers=watchers)


def _ended(result: JobResult, outcome: Outcome, log: JobLog) -> JobResult:
    stats = outcome.stats
    counted = replace(
        result, frames=stats.delivered, video_seconds=stats.last_pts_seconds, counters=dict(stats.source_counters)
    )
    if outcome.aborted or (stats.stopped_early and not stats.delivered):
        return replace(counted, state="stopped", reason="stopped by the user", frames=0)
    if stats.broken_source is not None:
        return replace(counted, reason="; ".join(log.problems) or stats.broken_source, input_fault=True)
    if outcome.damage is not None and outcome.exit_code:  # --strict
        return replace(counted, reason=outcome.damage, input_fault=True)
    if outcome.exit_code:
        return replace(counted, reason="; ".join(log.problems) or "failed")
    if outcome.damage is not None:
        log.note(outcome.damage)
    return replace(counted, state="done")


def written_outputs(job: Job) -> dict[str, Identity | None]:
    """The outputs of a job that are there, and by what they are known again: None for folders and numbered pictures."""
    found = [path for path in job.outputs.values() if is_there(path)]
    return {path: identity_of(path) if os.path.isfile(path) else None for path in found}


def is_there(path: str) -> bool:
    """Whether there is something of this name: a file, a folder, or a picture that it stands for by a number."""
    return os.path.lexists(path) or (is_numbered(path) and bool(numbered_pictures(path)))


def files_below(folder: str) -> Iterator[str]:
    """The finished files in a folder, searched to the bottom."""
    for parent, _, names in os.walk(folder):
        yield from (os.path.join(parent, name) for name in sorted(names) if not name.endswith(PART_SUFFIX))


def name_in_stats(path: str | None, names: Mapping[str, str]) -> None:
    """Let the names in a statistics file, if there is one, be those that were given. Raises WriteError."""
    if path is not None and os.path.exists(path):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        content["config"] |= names
        write_whole_file(Path(path), (json.dumps(content, indent=2) + "\n").encode("utf-8"))


def _without_name(text: str, job: Job) -> str:
    """The text without the input's path before it: it stands in a table beside the name."""
    return text.removeprefix(f"{shown_name(job.source)}: ")
