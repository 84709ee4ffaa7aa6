"""One attempt at a job among others that may be at the same job: on a node that is taken for dead, or after it.

Everything is written below a folder of this attempt, on the file system of the outputs, and gets its name at the end.
So two attempts never write one file, with or without locks, and what a dead one left is in nobody's way.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from vidseg.atomic import write_failure
from vidseg.batch.job import (
    Job,
    JobLog,
    JobResult,
    do_job,
    files_below,
    is_there,
    name_in_stats,
    written_outputs,
)
from vidseg.errors import WriteError
from vidseg.names import shown_name
from vidseg.wiring.engine import Engine
from vidseg.wiring.interrupts import StopRequest


def attempt(job: Job, engine: Engine, *, out_dir: str, staging: str, log: JobLog | None = None) -> JobResult:
    """Do one job as `do_job` does; its outputs appear when all of them are whole. Never raises.

    Args:
        out_dir: absolute; all outputs are below it.
        staging: a folder below `out_dir` that was made for this batch. It is not made here: where it is missing, the
            output folder of this machine is not the one of the batch.
    """
    try:
        folder = tempfile.mkdtemp(prefix=f"{job.number}-", dir=staging)
    except OSError as error:
        missing = (
            f"{shown_name(out_dir)}: the output folder of the batch does not "
            "exist here; every node must have access to it"
        )
        reason = missing if isinstance(error, FileNotFoundError) else write_failure(out_dir, error)
        return JobResult(job.number, "failed", reason)
    try:
        return _attempt(job, engine, out_dir, staging, folder, log)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _attempt(job: Job, engine: Engine, out_dir: str, staging: str, folder: str, log: JobLog | None) -> JobResult:
    # a trailing slash means something, so the names are not taken apart
    names = {option: folder + path.removeprefix(out_dir) for option, path in job.outputs.items()}
    staged = replace(job, config=replace(job.config, **names))  # type: ignore[arg-type]
    # nobody asks it to stop: a worker is ended by whom it belongs to
    result = do_job(staged, engine, log=log, interrupts=StopRequest())
    result = replace(
        result,
        reason=result.reason.replace(folder, out_dir),
        notes=tuple(note.replace(folder, out_dir) for note in result.notes),
        outputs={},
    )
    if result.state != "done" and not result.frames:
        return result
    try:
        name_in_stats(names.get("stats"), job.outputs)
        _refuse_files_of_others(job, Path(staging, f"{job.number}.named"))
        _move_all(folder, out_dir)
    except WriteError as error:
        return replace(result, state="failed", reason=str(error))
    except OSError as error:
        return replace(result, state="failed", reason=write_failure(out_dir, error))
    return replace(result, outputs=written_outputs(job))


def _refuse_files_of_others(job: Job, mark: Path) -> None:
    """Raises WriteError for an output that appeared since the batch began, unless an earlier attempt was that far."""
    if not job.config.overwrite and not mark.exists():
        for path in job.outputs.values():
            if is_there(path):
                raise WriteError(f"{shown_name(path)}: was created by another program meanwhile; -y replaces it")
    mark.touch()


def _move_all(folder: str, out_dir: str) -> None:
    for path in files_below(folder):
        target = os.path.join(out_dir, os.path.relpath(path, folder))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.replace(path, target)
