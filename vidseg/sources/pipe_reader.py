"""The bytes of a named pipe as a file that `av.open` reads: once, from the beginning to the end."""

from __future__ import annotations

import contextlib
import os
import select
import stat
from pathlib import Path

from vidseg.names import expand_user

PIPES = (
    "accepted through a pipe: what can be read from its start to its end, such as MPEG-TS, Matroska, or MP4 with its "
    "index in front"
)


def is_pipe(path: str) -> bool:
    """True for a named pipe, and for what `<(command)` stands for in a shell."""
    try:
        return stat.S_ISFIFO(os.stat(expand_user(path)).st_mode)
    except (OSError, ValueError):
        return False


class PipeReader:
    """Waits for whoever writes, as long as it takes. Raises OSError when the pipe cannot be opened."""

    def __init__(self, path: str) -> None:
        # opening must not wait, for there is no way to end that
        self._pipe = os.open(Path(expand_user(path)), os.O_RDONLY | os.O_NONBLOCK)
        self._woken, self._waker = os.pipe()
        self._closed = False

    def read(self, size: int) -> bytes:
        """What is there, at most `size` bytes; b"" at the end, and after `wake`."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            if any(number == self._woken for number, _ in poll.poll()):
                return b""
            with contextlib.suppress(BlockingIOError):  # another process was faster
                return os.read(self._pipe, size)

    def wake(self) -> None:
        """End a read that waits; from any thread."""
        with contextlib.suppress(OSError):
            os.write(self._waker, b"!")

    def close(self) -> None:
        """Close the pipe; safe to call twice."""
        if not self._closed:
            self._closed = True
            for number in (self._pipe, self._woken, self._waker):
                os.close(number)
