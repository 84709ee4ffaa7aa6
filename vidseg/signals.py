"""The signals that end a run; and, as a script, a small program that ends it when a second one has come to nothing.

In the run a signal is acted upon by Python code, which waits as long as a library holds the interpreter. So the numbers
of the signals also go into a pipe (`signal.set_wakeup_fd` writes them from the signal handler itself), and the program
reads them: `signals.py PID`, with the pipe as its input. So this file imports nothing of vidseg.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Those that end a run."""
SAME_EVENT_SECONDS = 1.0
"""A closed terminal tells the shell and the run, and the shell tells the run again: a SIGHUP so soon after another
signal is the same event."""
LAST_SECONDS = 4.0
"""From the second signal on a run has so long to remove what is unfinished."""


@contextmanager
def kept_from_children() -> Iterator[None]:
    """Processes started in the block are not reached by the signals of a terminal or a group until they ask for them:
    whoever started them ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_signals() -> None:
    """For a process that was started in `kept_from_children`, where the mask alone would not do: another library may
    lift it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def leave_group() -> None:
    """As `ignore_signals`, for a process that the one that started it ends with SIGTERM: only those for the whole group
    pass it by."""
    ignore_signals()
    os.setpgid(0, 0)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


class SignalCount:
    """Counts the signals that end a run. Remembers when the last one came."""

    def __init__(self) -> None:
        self.count = 0
        self._last = float("-inf")

    def note(self, number: int, now: float) -> bool:
        """Take one signal into account, at `now` in seconds; False where it belongs to the one before."""
        same = number == getattr(signal, "SIGHUP", None) and now - self._last < SAME_EVENT_SECONDS
        self._last = now
        self.count += not same
        return not same


def main(pid: int) -> None:
    """Read numbers of signals from standard input until it ends; kill the process `pid`, our parent, if it must be."""
    ignore_signals()  # a terminal sends them to all
    signals = SignalCount()
    end: float | None = None
    while end is None or end > time.monotonic():
        if not select.select([0], [], [], None if end is None else max(0.0, end - time.monotonic()))[0]:
            continue
        data = os.read(0, 64)
        if not data:
            return
        for number in data:
            if number in SIGNALS:
                signals.note(number, time.monotonic())
        if signals.count > 1 and end is None:
            end = time.monotonic() + LAST_SECONDS
    if os.getppid() == pid:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
