"""The bytes of standard input or a named pipe as a file that `av.open` reads: once, from the beginning to the end."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
from pathlib import Path

from vidseg.names import PIPE, expand_user

PIPES = (
    "accepted through a pipe: what can be read from its start to its end, such as MPEG-TS, Matroska, NUT, Y4M (for "
    "uncompressed pictures), or MP4 with its index in front"
)


def is_pipe(path: str) -> bool:
    """True for standard input, a named pipe, and what `<(command)` stands for in a shell."""
    if path == PIPE:
        return True
    try:
        return stat.S_ISFIFO(os.stat(expand_user(path)).st_mode)
    except (OSError, ValueError):
        return False


def stdin_file() -> str | None:
    """The file that standard input comes from (`< clip.mp4`), which can be read in any order; None for a pipe."""
    try:
        path = os.path.realpath("/dev/fd/0")
        return path if stat.S_ISREG(os.fstat(0).st_mode) and os.path.samestat(os.stat(path), os.fstat(0)) else None
    except OSError:
        return None


class PipeReader:
    """Waits for whoever writes, as long as it takes. Raises OSError when the pipe cannot be opened."""

    def __init__(self, path: str) -> None:
        if path == PIPE:
            self._pipe = os.dup(0)
        else:  # opening must not wait, for there is no way to end that
            self._pipe = os.open(Path(expand_user(path)), os.O_RDONLY | os.O_NONBLOCK)
        if os.isatty(self._pipe):
            os.close(self._pipe)
            raise OSError(errno.EINVAL, "this is a terminal; give a file, or send a video: cat clip.ts | vidseg run -")
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
