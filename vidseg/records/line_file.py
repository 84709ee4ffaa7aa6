"""A text file of one record per line that can be read while it grows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from vidseg.atomic import PartFile, write_failure
from vidseg.errors import WriteError


class LineFile:
    """Appends lines to `NAME.part`, each on its way to the disk at once, and names the file when it is whole.

    A reader of the part file (`tail -f`) sees every record as soon as it is there.
    """

    def __init__(self, path: str | Path, *, overwrite: bool, source_paths: Iterable[str | Path] = ()) -> None:
        """Claim `path`. Arguments and SinkError as `PartFile`."""
        self._file = PartFile(path, overwrite=overwrite, sources=source_paths)
        self.path = self._file.path
        try:
            self._stream = self._file.part.open("wb")
        except OSError as error:
            self._file.discard()
            raise WriteError(write_failure(self.path, error)) from error

    def write(self, line: str) -> None:
        """Append one line, given without its end. What UTF-8 cannot hold is escaped (`\\udcff`). Raises WriteError."""
        try:
            self._stream.write(line.encode("utf-8", "backslashreplace") + b"\n")
            self._stream.flush()
        except OSError as error:
            raise WriteError(write_failure(self.path, error)) from error

    def commit(self) -> None:
        """Give the file its name. Raises WriteError; the part file is gone then, or holds the whole result."""
        try:
            self._stream.close()
        except OSError as error:
            self.discard()
            raise WriteError(write_failure(self.path, error)) from error
        self._file.commit()

    def discard(self) -> None:
        """Remove the part file. Never raises; does nothing after `commit` or a second time."""
        with contextlib.suppress(OSError):  # what a full disk refused is tried once more
            self._stream.close()
        self._file.discard()
