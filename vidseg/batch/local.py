"""Does jobs on this machine: some at a time, on threads, with one network per device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from vidseg.batch.board import Board
from vidseg.batch.job import Job, JobResult, do_job
from vidseg.batch.remote_attempt import needs_copies, remote_attempt
from vidseg.config import RunConfig
from vidseg.pipeline.jobs import run_jobs
from vidseg.wiring.engine import Engine
from vidseg.wiring.interrupts import StopRequest
from vidseg.wiring.network_cores import load_beside
from vidseg.wiring.reporter import Reporter


class Hooks(Protocol):
    """What a batch wants to know while its jobs are done; called on its own thread."""

    def started(self, job: Job) -> None:
        """The job begins."""
        ...

    def finished(self, result: JobResult) -> None:
        """A job ended."""
        ...

    def tick(self) -> bool:
        """About ten times a second; False: start no further job."""
        ...


def load_engines(config: RunConfig, devices: Sequence[str], reporter: Reporter, *, most: int) -> list[Engine]:
    """A network for each device that several threads may use. Raises VidsegError as `load_engine`.

    Args:
        most: frames that one can have at once.
    """
    return [load_beside(replace(config, device=device), reporter, most=most).shared() for device in devices]


def run_local(
    jobs: Sequence[Job],
    engines: Sequence[Engine],
    board: Board,
    hooks: Hooks,
    *,
    workers: int,
    aborted: Callable[[], bool],
) -> None:
    """Do the jobs in order, `workers` at once; each takes the network with the fewest jobs.

    Args:
        aborted: when it turns true, the jobs under way end at once and leave nothing.
    """
    stops = {job.number: StopRequest() for job in jobs}
    taken: dict[int, int] = {}

    def begun() -> Iterator[Job]:
        for job in jobs:
            loads = list(taken.values())
            taken[job.number] = min(range(len(engines)), key=loads.count)
            hooks.started(job)
            yield job

    def work(job: Job) -> JobResult:
        engine, stop = engines[taken[job.number]], stops[job.number]

        def do(one: Job) -> JobResult:
            return do_job(one, engine, log=board.rows[job.number].log, interrupts=stop)

        return remote_attempt(job, do, aborted=lambda: stop.count >= 2) if needs_copies(job) else do(job)

    def done(job: Job, result: JobResult) -> None:
        del taken[job.number]
        hooks.finished(result)

    def tick() -> bool:
        if aborted():
            for stop in stops.values():
                stop.count = 2
        return hooks.tick()

    run_jobs(begun(), work, workers=workers, on_done=done, on_tick=tick)
