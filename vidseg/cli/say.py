"""The only way to stderr: lines of plain text. A line may get lost but never stops the run.

A terminal may be closed, a pipe may lose its reader, the disk of a log may fill up. Such lines are dropped.
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
    """Print one line on stderr, with escape sequences, line breaks and other control characters made visible.

    Never raises within `unbreakable_streams`.

    Args:
        console: a `rich.console.Console` on stderr whose bar or table stays below the line.
    """
    line = printable(text)
    if console is None:
        print(line, file=sys.stderr)
    else:
        from rich.text import Text

        console.print(Text(line))  # verbatim: no markup, no emoji


class UnbreakableStream(io.TextIOBase):
    """Writes text to another stream, and drops what that stream refuses.

    Everything else comes from the other stream: `fileno`, `isatty`, `encoding`, `buffer`.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None
        """Why the first text was dropped."""

    def write(self, text: str) -> int:
        """Write, or drop the text."""
        try:
            try:
                self._stream.write(text)
            except UnicodeEncodeError as error:
                self._stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
        except (OSError, ValueError) as error:  # ValueError: it is closed
            self._drop(error)
        return len(text)

    def flush(self) -> None:
        """Flush, or drop what is buffered."""
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
        """Empty the stream's buffers; otherwise Python would flush them again at exit, and complain."""
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
    """Within this context `sys.stdout` (which it yields) and `sys.stderr` never raise."""
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
    """Report that output to stdout was lost, and return True then. A pipe closed by its reader is no failure."""
    out.flush()
    if out.failure is None or out.failure.errno == errno.EPIPE:
        return False
    say(f"vidseg: error: cannot write to standard output ({out.failure.strerror}); some output is lost")
    return True
