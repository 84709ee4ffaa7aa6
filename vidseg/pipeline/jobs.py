"""Several jobs at once: threads that each take the next job when they have done one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from vidseg.pipeline.pipeline import TICK_SECONDS

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    jobs: Iterable[Job],
    work: Callable[[Job], Result],
    *,
    workers: int,
    on_done: Callable[[Job, Result], None],
    on_tick: Callable[[], bool],
) -> None:
    """Do the jobs in order, `workers` at a time. Returns when all that were started are done.

    A job is taken from `jobs` only when a worker is free, so `jobs` may be endless.

    Args:
        work: called on a thread of a worker; failures that belong to the job are part of its result.
        on_done: called on this thread for each finished job, in the order in which they finish.
        on_tick: called on this thread about ten times a second; from its first False on no further job is started.
    Raises:
        What `work` raised: that is a mistake in it. No further job is started then, and those under way are finished.
    """
    waiting = iter(jobs)
    running: dict[Future[Result], Job] = {}
    starting = True
    with ThreadPoolExecutor(workers, thread_name_prefix="vidseg-job") as pool:
        while True:
            starting = on_tick() and starting
            while starting and len(running) < workers:
                try:
                    job = next(waiting)
                except StopIteration:
                    starting = False
                else:
                    running[pool.submit(work, job)] = job
            if not running:
                return
            finished, _ = wait(running, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
            for future in finished:
                on_done(running.pop(future), future.result())
