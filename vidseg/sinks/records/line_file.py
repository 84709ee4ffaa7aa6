"""A text file of one record per line that can be read while it grows."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from pathlib import Path

from vidseg.atomic import PartFile, write_all, write_failure
from vidseg.errors import WriteError
from vidseg.timing import clock_time


class LineFile:
    """Appends lines to `NAME.part`, each on its way to the disk at once, and names the file when it is complete.

    A reader of the part file (`tail -f`) sees every record as soon as it is there.
    """

    def __init__(
        self, path: str | Path, *, overwrite: bool, source_paths: Iterable[str | Path] = (), keep: bool = False
    ) -> None:
        """Claim `path`. Other arguments and SinkError as `PartFile`.

        Args:
            keep: when the disk fills, the file gets its name with the whole lines that it has.
        """
        self._keep = keep
        self._file = PartFile(path, overwrite=overwrite, sources=source_paths)
        self.path = self._file.path
        self._whole = 0
        self._times: tuple[float, float] | None = None
        try:
            self._stream = self._file.part.open("wb", buffering=0)
        except OSError as error:
            self._file.discard()
            raise WriteError(write_failure(self.path, error)) from error

    def write(self, line: str, seconds: float | None = None) -> None:
        """Append one line, given without its end. What UTF-8 cannot hold is escaped (`\\udcff`).

        Args:
            seconds: time of what it is about; None for what comes before all records.
        Raises:
            WriteError: the disk failed. A file that is to be kept is closed then.
        """
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        try:
            write_all(self._stream, data)
        except OSError as error:
            raise self.ended_by(WriteError(write_failure(self.path, error))) from error
        self._whole += len(data)
        if seconds is not None:
            self._times = (seconds if self._times is None else self._times[0], seconds)

    def commit(self) -> None:
        """Give the file its name. Raises WriteError; the part file is gone then, or
        holds the whole result."""
        try:
            self._stream.close()
        except OSError as error:
            self.discard()
            raise WriteError(write_failure(self.path, error)) from error
        self._file.commit(keep=self._keep)

    def discard(self) -> None:
        """Remove the part file. Never raises; does nothing after `commit` or a second time."""
        with contextlib.suppress(OSError):
            self._stream.close()
        self._file.discard()

    def ended_by(self, error: WriteError) -> WriteError:
        """Give the file its name after a failure, if it is to be kept. The error, saying where the records end."""
        if not self._keep or self._times is None:
            return error
        with contextlib.suppress(OSError):
            self._stream.close()
        try:
            self._file.keep(self._whole)
        except WriteError:
            return error
        first, last = self._times
        return error.ending_at(clock_time(math.floor(last - first)))
