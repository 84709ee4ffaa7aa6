"""Output files that get their name only when they are complete.

A file grows as `NAME.part` in the folder of `NAME` and is renamed at the end. A process that is killed leaves the
part file, never a half-written `NAME`; the next run takes the part file over.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterable
from io import RawIOBase
from pathlib import Path

from vidseg.errors import SinkError, WriteError, short_reason

PART_SUFFIX = ".part"
_flushing: set[object] = set()
"""One for each thread that waits in `flush`."""


def existing(path: str | Path) -> SinkError:
    """The error for a file that may not be replaced."""
    return SinkError(f"{path}: exists; overwrite it with -y or choose another name")


class PartFile:
    """A claimed output path: `part` may be written by any means, `commit` gives it its name.

    The part file is created at once, so that a folder without permission is found out before the work starts. It is
    locked as long as this process lives: two runs never write one part file.
    """

    def __init__(self, path: str | Path, *, overwrite: bool, sources: Iterable[str | Path] = ()) -> None:
        """Claim `path`. Through a symbolic link the file it points to is written.

        Args:
            overwrite: an existing file may be replaced, at `commit` and not before.
            sources: inputs that must not be replaced in any case.
        Raises:
            SinkError: exists and `overwrite` is False, is one of the sources, is a folder or a device, its folder is
                missing or not writable, or another process is writing it. Nothing is left behind.
        """
        self.path = Path(path)
        self._overwrite = overwrite
        refuse_source(self.path, sources)
        self._target = Path(os.path.realpath(self.path))
        refuse_device(path, "give another name")
        check_folder(self._target.parent, self.path)
        if os.path.isdir(self._target):
            raise SinkError(f"{self.path}: is a folder; give the name of a file in it")
        if os.path.exists(self._target) and not overwrite:
            raise existing(self.path)
        self.part = self._target.with_name(self._target.name + PART_SUFFIX)
        refuse_source(self.part, sources)
        self._descriptor: int | None = self._claim()

    def commit(self, *, keep: bool = False) -> None:
        """Flush the part file to disk and rename it.

        Args:
            keep: rename it even if the disk fails.
        Raises:
            WriteError: the disk failed, and the part file is removed unless `keep`; or another file took the name
                meanwhile, and the part file stays.
        """
        assert self._descriptor is not None, "commit after commit or discard"
        try:
            flush(self._descriptor)
        except OSError as error:
            if keep:
                self._rename()
            else:
                self.discard()
            raise WriteError(write_failure(self.path, error)) from error
        self._rename()

    def keep(self, size: int | None = None) -> None:
        """Give what was written so far its name, after the disk failed. What takes space is not tried.

        Args:
            size: complete bytes; the rest is cut off. None for all.
        Raises:
            WriteError: it cannot be renamed, and the part file is removed; or as `commit`.
        """
        assert self._descriptor is not None, "keep after commit or discard"
        with contextlib.suppress(OSError):
            if size is not None:
                os.ftruncate(self._descriptor, size)
            flush(self._descriptor)
        self._rename()

    def discard(self) -> None:
        """Remove the part file. Never raises; does nothing after `commit` or a second time."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                self.part.unlink()
            self._release()

    def _rename(self) -> None:
        if not self._overwrite and self._target.exists():
            self._release()
            raise WriteError(f"{self.path}: was created by another program meanwhile; the result is in {self.part}")
        try:
            os.replace(self.part, self._target)
        except OSError as error:
            self.discard()
            raise WriteError(write_failure(self.path, error)) from error
        self._release()

    def _claim(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self.part, flags, 0o666)
        except OSError as error:
            other = "give another name" if error.errno == errno.ENAMETOOLONG else "choose another place"
            raise SinkError(f"{self.path}: cannot be written ({error.strerror}); {other}") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SinkError(f"{self.part}: is not a regular file; remove it or choose another output name")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(descriptor), os.stat(self.part)):
                raise BlockingIOError  # another run renamed it between open and lock
            os.ftruncate(descriptor, 0)  # left by a killed run
        except (BlockingIOError, FileNotFoundError):
            os.close(descriptor)
            raise SinkError(f"{self.path}: is being written by another process; choose another name") from None
        except SinkError:
            os.close(descriptor)
            raise
        except OSError:
            pass  # a file system without locks: go on, unguarded
        return descriptor

    def _release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def open_lock(path: Path) -> int:
    """A descriptor of the lock file `path`, which is made where it is missing, and left as it is otherwise.

    Raises:
        OSError: it cannot be made, or is a symbolic link: whoever may write the folder could point it anywhere.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def write_all(file: RawIOBase, data: bytes) -> None:
    """Write all of `data` to an unbuffered file. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) or 0 :]


def write_whole_file(path: Path, data: bytes, *, synced: bool = False) -> None:
    """Put `data` under `path` in one step, replacing what was there.

    For many small files: no lock.

    Args:
        synced: flush it to the disk with its name. Else a power failure may lose the last files.
    Raises:
        WriteError: disk full, folder gone, no permission. The part file is removed.
    """
    part = path.with_name(path.name + PART_SUFFIX)
    try:
        try:
            with part.open("wb") as file:
                file.write(data)
                if synced:
                    file.flush()
                    flush(file.fileno())
            os.replace(part, path)
            if synced:
                sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
    except OSError as error:
        raise WriteError(write_failure(path, error)) from error


def flush(descriptor: int) -> None:
    """`os.fsync`, which may take as long as the disk needs; `syncing` is true meanwhile. Raises OSError."""
    mine = object()
    _flushing.add(mine)
    try:
        os.fsync(descriptor)
    finally:
        _flushing.remove(mine)


def syncing() -> bool:
    """True while any thread waits in `flush`."""
    return bool(_flushing)


def sync_folder(folder: Path) -> None:
    """Flush the names in `folder` to the disk: without it a loss of power may undo a rename. Raises OSError."""
    sync_file(folder, os.O_RDONLY | os.O_DIRECTORY)


def sync_file(path: Path, flags: int = os.O_RDONLY) -> None:
    """Flush the content of a finished file to the disk. Raises OSError."""
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


def write_failure(path: Path | str, error: OSError) -> str:
    """One line that says why writing `path` failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{path}: disk full; free some space or choose another place"
    if error.errno == errno.EFBIG:
        return f"{path}: exceeds the largest file size allowed here; choose another place or split the input"
    return f"{path}: cannot be written ({short_reason(error)})"


def check_folder(folder: Path, output: Path) -> None:
    """Raises SinkError unless `folder` is an existing folder."""
    if not folder.exists():
        raise SinkError(f"{output}: folder {folder} does not exist; create it first")
    if not folder.is_dir():
        raise SinkError(f"{output}: {folder} is not a folder")


def refuse_device(path: str | Path, advice: str) -> None:
    """Raises SinkError, with the advice, if `path`, whose links are not followed yet, is a pipe or device."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise SinkError(f"{path}: is a pipe or device, not a regular file; {advice}")


def refuse_source(output: Path, sources: Iterable[str | Path]) -> None:
    """Raises SinkError if `output` is one of the `sources`, by another name or link as well."""
    for source in sources:
        with contextlib.suppress(OSError):  # not there, or no local file
            if os.path.samefile(output, source):
                raise SinkError(f"{output}: is the input itself; choose another name")


def refuse_source_folder(folder: Path, output: Path, sources: Iterable[str | Path]) -> None:
    """Raises SinkError if one of the `sources` lies in `folder`."""
    for parent in {Path(source).absolute().parent for source in sources}:
        with contextlib.suppress(OSError):
            if os.path.samefile(folder, parent):
                raise SinkError(f"{output}: is the folder of the input; choose another one")


class UniqueStems:
    """File stems without repeats: a second "a" becomes "a_1". Remembers all stems of one run."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._repeats: dict[str, int] = {}

    def take(self, stem: str) -> str:
        """`stem` without path separators, made unique, also where upper and lower case are one."""
        clean = stem.replace("/", "_").replace("\\", "_").replace("\0", "_")
        if clean in ("", ".", ".."):
            clean = "frame"
        candidate = clean
        while candidate.casefold() in self._used:
            repeat = self._repeats[clean] = self._repeats.get(clean, 0) + 1
            candidate = f"{clean}_{repeat}"
        self._used.add(candidate.casefold())
        return candidate
