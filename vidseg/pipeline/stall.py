"""Whether anything moves: tells a stage that works or waits for the disk from one blocked in a library."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Thread

from vidseg.atomic import syncing

IDLE_SHARE = 0.1
"""Of one core: below it the process is idle but for what looks after it (progress, the web page)."""
LONGEST_STEP_SECONDS = 1.0
"""Between two looks at most so much counts: a process that was stopped, or a machine that slept, was not blocked."""
_AT_DISK = frozenset("DtT")
"""States of a thread in Linux: waits for a device, or was stopped from outside."""


class StallWatch:
    """For how long nothing has moved: no count, hardly any processor time of others, no wait for the disk.

    Remembers the last counts, and since when they are the same.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        busy: Callable[[], float] | None = None,
        at_disk: Callable[[Iterable[Thread]], bool] | None = None,
    ) -> None:
        self._clock = clock
        self._busy = busy or _busy_elsewhere
        self._at_disk = at_disk or waits_for_disk
        self._marks: object = None
        self._seen = clock()
        self._idle = 0.0
        self._used = self._busy()

    def stalled(self, marks: object, threads: Iterable[Thread], limit: float) -> bool:
        """True once nothing has moved for `limit` seconds. To be asked often.

        Args:
            marks: counts that change when something moves.
            threads: of the stages.
        """
        now = self._clock()
        step, self._seen = min(now - self._seen, LONGEST_STEP_SECONDS), now
        if marks != self._marks or self._at_disk(threads):
            self._restart(marks)
            return False
        self._idle += step
        if self._idle < limit:
            return False
        if self._busy() - self._used > IDLE_SHARE * self._idle:
            self._restart(marks)
            return False
        return True

    def _restart(self, marks: object) -> None:
        self._marks, self._idle, self._used = marks, 0.0, self._busy()


def _busy_elsewhere() -> float:
    """Processor time of all threads but this one, in seconds."""
    return time.process_time() - time.thread_time()


def waits_for_disk(threads: Iterable[Thread]) -> bool:
    """True while one of the threads waits for a device, or any flushes a file to the disk. Elsewhere than on Linux only
    the second is known."""
    return syncing() or any(_state(thread) in _AT_DISK for thread in threads)


def _state(thread: Thread) -> str:
    try:
        stat = Path(f"/proc/self/task/{thread.native_id}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]


def bytes_written(threads: Iterable[Thread]) -> int:
    """What the threads have given to the system to write so far; 0 where that is not counted."""
    total = 0
    for thread in threads:
        try:
            lines = Path(f"/proc/self/task/{thread.native_id}/io").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        total += sum(int(line.partition(":")[2]) for line in lines if line.startswith("wchar:"))
    return total
