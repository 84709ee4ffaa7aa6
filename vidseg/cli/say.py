"""The one way to stderr: lines of plain text, which can be lost but never end the work.

A terminal may be closed, a pipe's reader may go, the disk of a log may fill. What cannot be told then is dropped.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from vidseg.names import printable


def say(text: str, console: Any = None) -> None:
    """Print one line on stderr. Escape sequences, line breaks and whatever else moves a cursor come out as text.

    Never raises within `unbreakable_streams`.

    Args:
        console: a `rich.console.Console` on stderr that shows a bar or a table, which stays below the line.
    """
    line = printable(text)
    if console is None:
        print(line, file=sys.stderr)
    else:
        from rich.text import Text

        console.print(Text(line))  # as it is: no markup, no emoji


class UnbreakableStream(io.TextIOBase):
    """Passes text on to a stream for as long as that takes it; then drops what it refuses.

    What is not about writing is the other stream's: `fileno`, `isatty`, `encoding`, `buffer`.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None
        """Why the first text was dropped."""

    def write(self, text: str) -> int:
        """Write, or drop."""
        try:
            try:
                self._stream.write(text)
            except UnicodeEncodeError as error:
                self._stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
        except (OSError, ValueError) as error:  # ValueError: it is closed
            self._drop(error)
        return len(text)

    def flush(self) -> None:
        """Flush, or drop."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._drop(error)

    def writable(self) -> bool:
        """Always."""
        return True

    def isatty(self) -> bool:
        """As the other stream."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """As the other stream."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As the other stream."""
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """As the other stream."""
        return self._stream.errors

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _drop(self, error: Exception) -> None:
        """Empty the buffers of the stream, which Python would try once more at its end, and then complain."""
        if self.failure is None and isinstance(error, OSError):
            self.failure = error
        with contextlib.suppress(OSError, ValueError):
            descriptor = self._stream.fileno()
            kept = os.dup(descriptor)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, descriptor)
                self._stream.flush()
            finally:
                os.dup2(kept, descriptor)
                os.close(kept)
                os.close(nowhere)


@contextmanager
def unbreakable_streams() -> Iterator[UnbreakableStream]:
    """`sys.stdout`, which is given, and `sys.stderr` never raise inside of it."""
    before = sys.stdout, sys.stderr
    out, err = (UnbreakableStream(stream or io.StringIO()) for stream in before)
    sys.stdout, sys.stderr = out, err
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def tell_lost_output(out: UnbreakableStream) -> bool:
    """Say that what was to be printed on stdout is lost; True then. A reader that wants no more is no failure."""
    out.flush()
    if out.failure is None or out.failure.errno == errno.EPIPE:
        return False
    say(f"vidseg: error: standard output cannot be written ({out.failure.strerror}); its text is lost")
    return True
