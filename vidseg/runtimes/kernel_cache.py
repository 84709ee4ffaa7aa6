"""Checks the folder in which torch's compiler keeps its kernels: damaged ones are compiled again.

torch loads what it finds by its name, and a damaged library ends the process. So a list of all files and their hashes
lies beside the folder, written after each compilation that worked, and what does not agree with it is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from vidseg.atomic import open_lock
from vidseg.zoo.cache import read_json

_PASSED_OVER = ("locks", "dynamo")
"""Folders of empty files, and of statistics that change with every run."""
_held: dict[Path, int] = {}
"""Locks of this process by folder, kept to its end."""


class KernelCache:
    """One folder of kernels; its list and lock lie beside it as FOLDER.json and FOLDER.lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._list = folder.with_suffix(".json")

    def check(self) -> str | None:
        """Remove what is damaged; what was, for people, or None.

        Done once a process, and not while another one has the folder in use: that one has checked it.

        Raises:
            OSError: the folder cannot be written.
        """
        if self.folder in _held:
            return None
        lock = _held[self.folder] = open_lock(self.folder.with_suffix(".lock"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = self._remove_damage()
            fcntl.flock(lock, fcntl.LOCK_SH)
        except BlockingIOError:
            fcntl.flock(lock, fcntl.LOCK_SH)
            return None
        return found

    def record(self) -> None:
        """Write the list: all that is there now is good. Without it the next run compiles again, which is no error."""
        with contextlib.suppress(OSError):
            descriptor, draft = tempfile.mkstemp(prefix=f"{self._list.stem}-", suffix=".new", dir=self._list.parent)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(self._hashes(), file, indent=1)
            os.replace(draft, self._list)

    def wipe(self) -> None:
        """Remove all kernels."""
        self._list.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)

    def _remove_damage(self) -> str | None:
        there = self._hashes()
        listed = read_json(self._list)
        if any(there.get(name) != digest for name, digest in listed.items()):
            self.wipe()
            return f"{self.folder}: is damaged; compiling again"
        for name in there.keys() - listed.keys():  # of a run that was killed, perhaps half of a file
            (self.folder / name).unlink(missing_ok=True)
        return None

    def _hashes(self) -> dict[str, str]:
        """Size and SHA-256 of each file, by its path in the folder."""
        found = {}
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder)
            if name.parts[0] in _PASSED_OVER or path.suffix == ".tmp":
                continue
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # other processes work there too
                content = path.read_bytes()
                found[name.as_posix()] = f"{len(content)} {hashlib.sha256(content).hexdigest()}"
        return found
