"""Processes on this machine that run jobs; none outlives the run."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from collections.abc import Callable, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from vidseg.chunks.split.child import begin
from vidseg.chunks.split.chunk import ChunkDone
from vidseg.chunks.split.plan import ChunkJob
from vidseg.errors import WorkerError
from vidseg.signals import kept_from_children

TICK_SECONDS = 0.1
_DEATH_SECONDS = 5.0


class Workers:
    """A process for each job. Use in a `with` statement: on leaving it, none of them runs any more."""

    def __init__(self, jobs: Sequence[ChunkJob]) -> None:
        self._jobs = jobs
        self._processes: list[SpawnProcess] = []
        self._connections: dict[Connection, int] = {}
        self.written = [0] * len(jobs)
        """Frames so far, by job."""

    def __enter__(self) -> Workers:
        # Started afresh instead of forked: the network's and FFmpeg's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        try:
            for job in self._jobs:
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(
                    target=begin, args=(pickle.dumps(job), sender), daemon=True, name=f"vidseg-{job.number}"
                )
                resource_tracker.ensure_running()  # it unblocks signals when it starts
                with kept_from_children():
                    process.start()
                sender.close()
                self._processes.append(process)
                self._connections[receiver] = job.number
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def results(self, on_tick: Callable[[], bool]) -> list[ChunkDone] | None:
        """What all of them found out, in order; None as soon as `on_tick`, asked ten times a second, says False.

        Raises:
            VidsegError: the first failure of any of them.
        """
        done: dict[int, ChunkDone] = {}
        while len(done) < len(self._jobs):
            ready = wait(list(self._connections), timeout=TICK_SECONDS)
            if not on_tick():
                return None
            for connection in ready:
                assert isinstance(connection, Connection)
                number = self._connections[connection]
                try:
                    told = connection.recv()
                except (EOFError, OSError):
                    raise WorkerError(self._death(number)) from None
                if isinstance(told, BaseException):
                    raise told
                if isinstance(told, ChunkDone):
                    done[number] = told
                    del self._connections[connection]
                    connection.close()
                    self.written[number] = told.stats.delivered
                else:
                    self.written[number] = told
        return [done[number] for number in sorted(done)]

    def _death(self, number: int) -> str:
        process = self._processes[number]
        process.join(_DEATH_SECONDS)
        code = process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return f"worker {number + 1} {how} before its chunk was finished; if memory is short, give fewer --workers"

    def _end(self) -> None:
        for process in self._processes:
            process.kill()  # they hold back other signals, and have nothing to tidy up
        for process in self._processes:
            process.join()
        for connection in self._connections:
            connection.close()
        self._connections.clear()
