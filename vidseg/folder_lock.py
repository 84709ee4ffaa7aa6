"""A folder that one process at a time works in."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidseg.atomic import open_lock
from vidseg.errors import ConfigError

LOCK = "lock"


@contextmanager
def locked(folder: Path, *, advice: str = "choose another --out") -> Iterator[None]:
    """Holds the file `lock` in the folder, and removes it at the end. One that a killed process left holds up nobody.

    Args:
        advice: what else can be done.
    Raises:
        ConfigError: another process holds it, or the folder cannot be written.
    """
    path = folder / LOCK
    try:
        descriptor = open_lock(path)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error.strerror}); {advice}") from None
    try:
        _lock(descriptor, path, advice)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path, advice: str) -> None:
    try:
        # not flock: forked readers would keep it for a while after a kill of their parent
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        taken = not os.path.samestat(os.fstat(descriptor), os.stat(path))  # a run that ends just now removed it
    except (BlockingIOError, PermissionError, FileNotFoundError):
        taken = True
    except OSError:
        taken = False  # a file system without locks: go on, unguarded
    if taken:
        raise ConfigError(f"{path.parent}: another run is using it; wait until it ends, or {advice}")
