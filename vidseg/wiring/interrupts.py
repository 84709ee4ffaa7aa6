"""Ctrl+C, SIGTERM and a closed terminal: once finishes the run, twice aborts it, three times exits at once.

A run that is still there some seconds after the second signal, whatever a library does in it, is killed by a program
beside it (`vidseg.signals`); its outputs stay under their ".part" names.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Self

from vidseg import signals
from vidseg.pipeline.background import BackgroundTask
from vidseg.signals import SIGNALS, SignalCount, kept_from_children

REMIND_SECONDS = 5.0
"""So often a run that was asked to end says that it is still at it."""


@contextmanager
def killable() -> Iterator[None]:
    """Ctrl+C in the block ends the program by the system's own hand.

    For calls that wait inside a library, where no Python handler runs, and at times when nothing has to be tidied up.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class StopRequest:
    """How often a run was asked to end: once finishes what is under way, twice aborts. The run looks at `count`."""

    def __init__(self) -> None:
        self.count = 0
        self.last_signal = signal.SIGINT

    def started(self) -> None:
        """From now on there is something to finish."""

    @property
    def exit_code(self) -> int:
        """What a shell reports for a program ended by the last signal."""
        return 128 + self.last_signal


class Interrupts(StopRequest):
    """Counts signals while it is entered. The run looks at `count`; the handler itself does nothing.

    With `abandon` given, there is nothing to finish until `started` is called: the first signal calls it and leaves the
    program. (An exception would not do: libraries swallow KeyboardInterrupt while they are imported, and while they
    wait.)

    Handlers can only be set in the main thread; elsewhere nothing is caught and `count` stays 0. A SIGHUP that is
    ignored (`nohup`) stays so.

    Args:
        abandon: removes what was begun; must not raise.
        tell: told every `REMIND_SECONDS` after the first signal, from another thread, that the run is still at it.
    """

    def __init__(self, abandon: Callable[[], None] | None = None, *, tell: Callable[[str], None] | None = None) -> None:
        super().__init__()
        self._abandon = abandon
        self._tell = tell
        self._signals = SignalCount()
        self._stack = contextlib.ExitStack()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        with contextlib.ExitStack() as stack:
            stack.enter_context(_killed_after_second())
            for number in SIGNALS:
                if number != getattr(signal, "SIGHUP", None) or signal.getsignal(number) is not signal.SIG_IGN:
                    before = signal.signal(number, self._note)
                    stack.callback(signal.signal, number, signal.SIG_DFL if before is None else before)
            if self._tell is not None:
                stack.enter_context(BackgroundTask("signals", self._remind, self._over.set))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def started(self) -> None:
        """From now on signals are only counted, up to the third."""
        self._abandon = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self._signals.note(number, time.monotonic()):
            return
        self.count += 1
        self.last_signal = signal.Signals(number)
        if self._abandon is not None:
            self._abandon()
            with contextlib.suppress(OSError):  # of a terminal that was closed
                os.write(2, b"vidseg: interrupted\n")
            os._exit(self.exit_code)
        if self.count >= 3:
            os._exit(self.exit_code)  # a stage hangs; outputs stay under their .part names

    def _remind(self) -> None:
        assert self._tell is not None
        began: float | None = None
        told = 0
        while not self._over.wait(0.1):
            if self.count == 0:
                continue
            began = time.monotonic() if began is None else began
            if time.monotonic() - began >= (told + 1) * REMIND_SECONDS:
                told += 1
                what = "finishing the work in progress" if self.count == 1 else "aborting"
                then = "abort" if self.count == 1 else "exit at once"
                with contextlib.suppress(Exception):  # what cannot be told is left out
                    self._tell(f"still {what} after {told * REMIND_SECONDS:.0f} s; press Ctrl+C again to {then}")


_writers: list[int] = []
"""The ends of pipes that signals are written into."""


def _forget_writers() -> None:
    """In a forked child: the signals that reach it are not those of the process that it comes from."""
    for writer in _writers:
        with contextlib.suppress(ValueError, OSError):
            signal.set_wakeup_fd(-1)
            os.close(writer)
    _writers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_writers)


@contextmanager
def _killed_after_second() -> Iterator[None]:
    """Have the program beside this one while the block lasts; do without where no process can be started."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    command = [sys.executable or "python3", "-I", "-S", str(Path(signals.__file__)), str(os.getpid())]
    helper = None
    with contextlib.suppress(OSError), kept_from_children():
        helper = subprocess.Popen(
            command, stdin=reader, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
    os.close(reader)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    _writers.append(writer)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        _writers.remove(writer)
        os.close(writer)
        if helper is not None:
            helper.kill()  # at once, though a child of a library may still hold the pipe
            helper.wait()
