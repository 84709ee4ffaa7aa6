"""The state of a batch: one row per job, and totals. Filled by the batch, shown by the command line."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from vidseg.batch.job import Job, JobLog

RowState = Literal["waiting", "running", "done", "skipped", "failed", "stopped"]


@dataclass(slots=True)
class Row:
    """One job."""

    job: Job
    size: int
    """Bytes of the input."""
    state: RowState = "waiting"
    reason: str = ""
    log: JobLog = field(default_factory=JobLog)

    @property
    def share(self) -> float:
        """How much of it is done, 0..1, as far as its length is announced."""
        if self.state != "running":
            return float(self.state not in ("waiting", "stopped"))
        return min(1.0, self.log.delivered / self.log.total) if self.log.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Until the job is done at its present speed; None where that cannot be told."""
        log = self.log
        if self.state != "running" or not log.total or log.rate <= 0:
            return None
        return max(0.0, (log.total - log.delivered) / log.rate)


class Board:
    """All rows. Changed by one thread; each row's `log` by the thread of its job."""

    def __init__(self, rows: Sequence[Row], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.rows = {row.job.number: row for row in rows}
        self._clock = clock
        self._start = clock()

    def counts(self) -> Counter[RowState]:
        """How many jobs are in each state."""
        return Counter(row.state for row in self.rows.values())

    def running(self) -> list[Row]:
        """The rows under way, in order."""
        return [row for row in self.rows.values() if row.state == "running"]

    def started(self) -> None:
        """The first job begins now; what came before was getting ready."""
        self._start = self._clock()

    @property
    def rate(self) -> float:
        """Frames per second of all jobs under way."""
        return sum(row.log.rate for row in self.running())

    @property
    def share(self) -> float:
        """How much of all that can be done is done, 0..1, by the bytes of the inputs."""
        worked_on = [row for row in self.rows.values() if row.state in ("running", "done", "waiting")]
        total = sum(row.size for row in worked_on)
        return sum(row.size * row.share for row in worked_on) / total if total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """Until all is done, if a byte of input takes as long as so far; None before anything can be told."""
        share = self.share
        if not share or not any(row.state in ("running", "done") for row in self.rows.values()):
            return None
        return (self._clock() - self._start) * (1 - share) / share
