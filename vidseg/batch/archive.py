"""The record of batches: what was processed, from which file, with which settings; one JSON object per line.

Lines are only ever added, each in one write that is flushed to disk, so a power loss can damage the last one at most.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from vidseg.atomic import write_failure
from vidseg.errors import ConfigError, SinkError, WriteError
from vidseg.wiring.input_files import Identity

HEADER = {"vidseg_batch": 1}
_HEADER_LINE = json.dumps(HEADER).encode("ascii") + b"\n"
State = Literal["started", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Record:
    """What happened to one input."""

    source: str
    """Its path without links, or its URL without passwords."""
    identity: Identity
    settings: str
    """Digest of what the outputs depend on."""
    state: State
    outputs: dict[str, Identity | None] = field(default_factory=dict)
    """Paths relative to the output folder; the identity is None for folders, and for what is not there."""
    reason: str = ""
    input_fault: bool = False
    """Failed because of the input itself: to try again is useless as long as it stays the same."""
    details: dict[str, Any] = field(default_factory=dict)
    """For reports."""

    def as_line(self) -> bytes:
        """One line of the file. Names that are no text survive it."""
        return json.dumps(asdict(self), separators=(",", ":")).encode("ascii") + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """The record of a line. Raises ValueError, KeyError or TypeError where it is none."""
        plain = json.loads(line)
        outputs = {str(path): identity and Identity(**identity) for path, identity in plain["outputs"].items()}
        if plain["state"] not in ("started", "done", "failed"):
            raise ValueError(plain["state"])
        return cls(**plain | {"identity": Identity(**plain["identity"]), "outputs": outputs})


class Archive:
    """The records of a file, and a place to add more. A context manager.

    While it is open for writing no other batch can use it.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        """Read the file; a missing or empty one is a new archive.

        Args:
            write: make the file, lock it, and cut a damaged end off, so that records can be added.
        Raises:
            ConfigError: the file is something else.
            SinkError: it cannot be read or written, or another batch uses it.
        """
        self.path = path
        self.notes: list[str] = []
        self._descriptor: int | None = None
        self._by_input: dict[tuple[str, str], Record] = {}
        self._by_source: dict[str, Record] = {}
        self._by_output: dict[str, Record] = {}
        if path.exists() and not path.is_file():
            raise SinkError(f"{path}: is not a regular file; give another name for the archive")
        try:
            if write:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
                self._lock(self._descriptor)
            data = path.read_bytes() if path.exists() else b""
            whole = self._read(data)
            if self._descriptor is not None:
                if whole < len(data):
                    os.ftruncate(self._descriptor, whole)
                if not whole:
                    self._append(_HEADER_LINE)
        except OSError as error:
            self.close()
            raise SinkError(f"{path}: the archive cannot be used ({error.strerror}); choose another place") from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, source: str, settings: str) -> Record | None:
        """The last record of an input with these settings."""
        return self._by_input.get((source, settings))

    def last(self, source: str) -> Record | None:
        """The last record of an input, whatever the settings."""
        return self._by_source.get(source)

    def maker(self, output: str) -> Record | None:
        """The last record that names this output (relative to the output folder)."""
        return self._by_output.get(output)

    def add(self, record: Record) -> None:
        """Keep a record, for this batch and those to come. Raises WriteError; it counts for this batch then."""
        self._keep(record)
        try:
            self._append(record.as_line())
        except OSError as error:
            raise WriteError(write_failure(self.path, error)) from error

    def close(self) -> None:
        """Let other batches use the file. Does nothing a second time."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, line: bytes) -> None:
        assert self._descriptor is not None, "the archive was opened for reading, or closed"
        written = os.write(self._descriptor, line)
        if written < len(line):  # a full disk takes a part; the end of the file has to stay a whole line
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            os.write(self._descriptor, line)
        os.fsync(self._descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SinkError(f"{self.path}: another batch is using this archive; wait until it has finished") from None
        except OSError:
            pass  # a file system without locks: go on, unguarded

    def _read(self, data: bytes) -> int:
        """Take in all records; returns how many bytes are whole lines up to the last good one."""
        if len(data) < len(_HEADER_LINE) and (_HEADER_LINE.startswith(data) or not data.strip(b"\0")):
            return 0  # a power loss came when it was made
        whole = good = 0
        damaged: list[int] = []
        for number, line in enumerate(data.splitlines(keepends=True), start=1):
            whole += len(line)
            if number == 1:
                self._check_header(line)
                good = whole if line.endswith(b"\n") else 0
                continue
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("cut off")
                self._keep(Record.from_line(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                damaged.append(number)
            else:
                good = whole
        if damaged:
            lines = f"line {damaged[0]} is" if len(damaged) == 1 else f"{len(damaged)} lines are"
            self.notes.append(f"{self.path}: {lines} damaged; inputs recorded there are processed again if necessary")
        return good

    def _check_header(self, line: bytes) -> None:
        try:
            header = json.loads(line)
            version = header["vidseg_batch"]
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                f"{self.path}: is not an archive of `vidseg batch`; give another file, or remove it to start a new one"
            ) from None
        if version != HEADER["vidseg_batch"]:
            raise ConfigError(
                f"{self.path}: is an archive of version {version}, but only "
                "version 1 is supported; give another --archive"
            )

    def _keep(self, record: Record) -> None:
        before = self._by_input.get((record.source, record.settings))
        if before is not None and before.state == "started":
            for output in before.outputs:  # announced then; what became of them is in this record
                if self._by_output.get(output) is before:
                    del self._by_output[output]
        self._by_input[record.source, record.settings] = self._by_source[record.source] = record
        for output in record.outputs:
            self._by_output[output] = record
