"""The `vidseg` command. Thin: it reads options, calls `vidseg.app`, and turns every error into one line.

Commands import heavy libraries only when called, so that `vidseg --help` is quick.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from types import FrameType

from vidseg.cli.say import say, tell_lost_output, unbreakable_streams
from vidseg.errors import VidsegError, short_reason
from vidseg.freed_memory import keep_freed_memory
from vidseg.gpu import gpu_problem
from vidseg.memory import memory_problem
from vidseg.opencv import import_problem

__all__ = ["main"]

_IMPOSSIBLE_NAMES = (errno.ENAMETOOLONG, errno.ELOOP)


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed while running, 2 asked for something impossible, 130 Ctrl+C.

    `VIDSEG_DEBUG=1` shows tracebacks instead of one-line errors.
    """
    # Until a run has something to finish, Ctrl+C exits at once. KeyboardInterrupt would not do: torch, NumPy and PyAV
    # swallow it, or turn it into errors of their own, during import or while waiting for a server.
    before = signal.signal(signal.SIGINT, _leave)
    keep_freed_memory()
    try:
        with unbreakable_streams() as out:
            try:
                _run()
            except SystemExit as end:
                sys.exit(1 if tell_lost_output(out) and not end.code else end.code)
    finally:
        signal.signal(signal.SIGINT, before)


def _run() -> None:
    try:
        from vidseg.cli.commands import app

        app()
    except VidsegError as error:
        if os.environ.get("VIDSEG_DEBUG"):
            raise
        say(f"vidseg: error: {error}")
        sys.exit(error.exit_code)
    except Exception as error:
        line = _problem(error)
        if line is None or os.environ.get("VIDSEG_DEBUG"):
            raise
        say(f"vidseg: error: {line}")
        sys.exit(2 if isinstance(error, OSError) and error.errno in _IMPOSSIBLE_NAMES else 1)


def _problem(error: Exception) -> str | None:
    """One line about an error that no check of ours foresees and the user can cause; None for a bug."""
    if isinstance(error, OSError) and error.errno in _IMPOSSIBLE_NAMES:
        name = "" if error.filename is None else f"{error.filename}: "
        return f"{name}cannot be opened ({short_reason(error)}); give another name"
    return import_problem(error) if isinstance(error, ImportError) else memory_problem(error) or gpu_problem(error)


def _leave(number: int, frame: FrameType | None) -> None:
    with contextlib.suppress(OSError):  # nobody is reading
        os.write(2, b"vidseg: interrupted\n")
    os._exit(128 + number)
