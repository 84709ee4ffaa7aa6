"""Ctrl+C and SIGTERM: once finishes the run properly, twice aborts it, three times leaves at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self


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


class Interrupts:
    """Counts signals while it is entered. The run looks at `count`; the handler itself does nothing.

    With `abandon` given, there is nothing to finish until `started` is called: the first signal calls it and leaves the
    program. (An exception would not do: libraries swallow KeyboardInterrupt while they are imported, and while they
    wait.)

    Handlers can only be set in the main thread; elsewhere nothing is caught and `count` stays 0.
    """

    def __init__(self, abandon: Callable[[], None] | None = None) -> None:
        self.count = 0
        self.last_signal = signal.SIGINT
        self._abandon = abandon
        self._old: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def started(self) -> None:
        """From now on signals are only counted, up to the third."""
        self._abandon = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        self.last_signal = signal.Signals(number)
        if self._abandon is not None:
            self._abandon()
            os.write(2, b"vidseg: interrupted\n")
            os._exit(self.exit_code)
        if self.count >= 3:
            os._exit(self.exit_code)  # a stage hangs; outputs stay under their .part names

    @property
    def exit_code(self) -> int:
        """What a shell reports for a program ended by the last signal."""
        return 128 + self.last_signal
