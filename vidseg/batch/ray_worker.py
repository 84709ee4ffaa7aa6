"""What runs on the nodes of a Ray cluster: one job at a time in a process, with a network that stays loaded."""

from __future__ import annotations

import os
import pickle
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from vidseg.batch.attempt import attempt
from vidseg.batch.identity import is_remote
from vidseg.batch.job import Job, JobLog, JobResult, do_job
from vidseg.batch.ray_progress import Told
from vidseg.batch.remote_attempt import needs_copies, remote_attempt
from vidseg.config import RunConfig
from vidseg.errors import VidsegError, unexpected
from vidseg.pipeline.stats import Progress
from vidseg.version import __version__
from vidseg.wiring.engine import Engine, load_engine
from vidseg.wiring.interrupts import StopRequest
from vidseg.wiring.reporter import SilentReporter

TELL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Task:
    """A job and where its outputs go."""

    job: Job
    engine: RunConfig
    """What the network is loaded with: equal for all jobs of a batch."""
    out_dir: str
    staging: str


class TellingLog(JobLog):
    """Passes progress on, once a second at most."""

    def __init__(self, tell: Callable[[Told], object]) -> None:
        super().__init__()
        self._tell = tell
        self._next = 0.0

    def progress(self, progress: Progress, total: int | None) -> None:
        """Keep the newest numbers, and tell them."""
        super().progress(progress, total)
        now = time.monotonic()
        if now >= self._next:
            self._next = now + TELL_SECONDS
            self._tell(Told(self.delivered, self.total, self.rate))


def check_version(version: str) -> None:
    """Raises RuntimeError (which every version can read) if this node has another vidseg than the batch."""
    if version != __version__:
        raise RuntimeError(
            f"node {socket.gethostname()} has vidseg {__version__}, the batch {version}; "
            "install the same version on all nodes"
        )


def do_task(version: str, pickled: bytes, tell: Callable[[int, Told], object]) -> JobResult:
    """Do a job on this node. Whatever goes wrong with it is the result's reason.

    Args:
        version: of vidseg where the batch runs.
        pickled: a `Task`. Taken apart only here, because another version may be unable to.
        tell: how far the job is.
    Raises:
        RuntimeError: this node has another version.
    """
    check_version(version)
    task: Task = pickle.loads(pickled)
    job, node = task.job, socket.gethostname()
    if not is_remote(job.source) and not os.path.exists(job.source):
        where = f"does not exist on node {node}; inputs and outputs must be in folders that all nodes share"
        return JobResult(job.number, "failed", where)
    try:
        engine = _engine(task.engine)
    except VidsegError as error:
        return JobResult(job.number, "failed", f"{error} (on node {node})")
    except Exception as error:
        return JobResult(job.number, "failed", f"{unexpected(error)} (on node {node})")
    log = TellingLog(lambda told: tell(job.number, told))
    far = is_remote(task.out_dir)

    def do(one: Job) -> JobResult:
        if far:
            return do_job(one, engine, log=log, interrupts=StopRequest())
        return attempt(one, engine, out_dir=task.out_dir, staging=task.staging, log=log)

    if not needs_copies(job):
        return do(job)
    return remote_attempt(job, do, mark=f"{task.staging}/{job.number}.named" if far else None)


@lru_cache(maxsize=1)
def _engine(config: RunConfig) -> Engine:
    """Loaded once in the life of a worker: Ray keeps the process for the next job of the batch."""
    return load_engine(replace(config, source=None), SilentReporter())
