"""The folder in which a resumable run keeps its finished chunks.

`OUT.resume/` holds `state` and the chunks 00000, 00001, ... that it speaks of, and at the very end `named`. A chunk is
on the disk under its name before the state that counts it is; the state is replaced in one step. So at every moment,
whatever is cut off, the folder holds a state with all of its chunks; what lies beside them is left over from a kill,
and is removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path

from vidseg.atomic import PART_SUFFIX, sync_folder, write_failure, write_whole_file
from vidseg.errors import ResumeError, WriteError
from vidseg.saved_state import State, load_state, save_state

SUFFIX = ".resume"
_STATE = "state"
_NAMED = "named"
_OURS = re.compile(rf"(\d{{5,}}|{_STATE}|{_NAMED})({re.escape(PART_SUFFIX)})?")


class WorkFolder:
    """The folder for one output. Made by `claim`; nothing is touched before."""

    def __init__(self, output: str | Path) -> None:
        """`output`: the path of the file or folder that will come out; through a symbolic link, what it points to."""
        self.output = Path(os.path.realpath(output))
        self.path = self.output.with_name(self.output.name + SUFFIX)

    @property
    def exists(self) -> bool:
        """True when a run was begun and is not over."""
        return os.path.lexists(self.path)

    def chunk(self, number: int) -> Path:
        """The file of a chunk."""
        return self.path / f"{number:05d}"

    def load(self) -> State | None:
        """The state of the run in the folder; None when it has none yet.

        Raises:
            ResumeError: it is no such folder, or its state is damaged.
        """
        if not self.exists:
            return None
        if not self.path.is_dir():
            raise ResumeError(f"{self.path}: is not a folder; remove it, or choose another output")
        stranger = next((name for name in sorted(os.listdir(self.path)) if not _OURS.fullmatch(name)), None)
        if stranger is not None:
            raise ResumeError(f"{self.path}: contains {stranger}, which no run wrote; choose another output")
        return load_state(self.path / _STATE) if (self.path / _STATE).exists() else None

    def claim(self) -> None:
        """Make the folder, and remove what a killed run left unfinished in it. Raises WriteError, and as `load`."""
        state = self.load()
        count = 0 if state is None else int(state["pieces"])
        try:
            self.path.mkdir(exist_ok=True)
            for name in os.listdir(self.path):
                if name != _STATE and not (name.isdigit() and int(name) < count):
                    (self.path / name).unlink()
            sync_folder(self.path.parent)
        except OSError as error:
            raise WriteError(write_failure(self.path, error)) from error

    def commit(self, state: State) -> None:
        """Make `state`, whose chunks are on the disk, the one that the next process starts with. Raises WriteError."""
        save_state(self.path / _STATE, state)

    def about_to_be_named(self, part: Path) -> None:
        """Note which file gets the name of the output, so that a kill right after that is understood."""
        write_whole_file(self.path / _NAMED, json.dumps(_identity(part)).encode(), synced=True)

    def was_named(self) -> bool:
        """True when the output of this folder's run has its name, and the folder is left over from a late kill."""
        try:
            return bool(json.loads((self.path / _NAMED).read_bytes()) == _identity(self.output))
        except (OSError, ValueError):
            return False

    def remove(self) -> None:
        """Remove the folder, once the output has its name for good. Raises WriteError."""
        try:
            sync_folder(self.output.parent)  # else a loss of power could take back the name, with nothing left here
            named = self.path / _NAMED
            for name in os.listdir(self.path):
                if name != _NAMED:
                    (self.path / name).unlink()
            sync_folder(self.path)
            with contextlib.suppress(FileNotFoundError):
                named.unlink()
            self.path.rmdir()
        except OSError as error:
            raise WriteError(write_failure(self.path, error)) from error


def _identity(path: Path) -> list[int]:
    """What stays the same when a file is renamed, and not when it is written again."""
    status = path.stat()
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]
