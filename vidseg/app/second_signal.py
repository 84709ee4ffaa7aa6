"""A small program beside a run: ends it when a second signal has come and it is still there.

In the run a signal is acted upon by Python code, which waits as long as a library holds the interpreter. So the numbers
of the signals also go into a pipe (`signal.set_wakeup_fd` writes them from the signal handler itself), and this program
reads them. It is run as a script, `second_signal.py PID`, with the pipe as its input, and imports nothing of vidseg.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Those that end a run."""
SAME_EVENT_SECONDS = 1.0
"""A closed terminal tells the shell and the run, and the shell tells the run again: a SIGHUP so soon after another
signal is the same event."""
LAST_SECONDS = 4.0
"""From the second signal on a run has so long to remove what is unfinished."""


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
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them to all
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
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
