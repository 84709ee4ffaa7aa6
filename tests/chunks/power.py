"""A machine that loses power: file operations that stop at a given one, and what the disk may have lost by then."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class PowerLoss(BaseException):
    """The operation that did not happen any more."""


class Power:
    """Counts the operations that change names or flush content; fails from the `fail_at`-th on, before it is done.

    What was not flushed by then may be lost: `lose` takes back names that changed in a folder that was not flushed
    since, and cuts files whose content was not.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path, fail_at: int | None = None) -> None:
        self.count = 0
        self._fail_at = fail_at
        self._root = root
        self._spares = root.with_name(f"{root.name} spares")
        self._spares.mkdir()
        self._undo: list[tuple[Path, Callable[[], None]]] = []
        self._flushed: dict[int, tuple[int, int]] = {}
        self._plain = {name: getattr(os, name) for name in ("replace", "unlink", "fsync", "mkdir", "rmdir")}
        for name in self._plain:
            monkeypatch.setattr(os, name, getattr(self, f"_{name}"))

    def lose(self) -> None:
        """What is on the disk when the power is back, at the worst. The operations work again before that."""
        for _, undo in reversed(self._undo):
            undo()
        for path in self._root.rglob("*"):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and self._flushed.get(status.st_ino) != _version(status):
                os.truncate(path, status.st_size // 2)

    def _step(self) -> None:
        self.count += 1
        if self._fail_at is not None and self.count == self._fail_at:
            raise PowerLoss
        if self._fail_at is not None and self.count > self._fail_at:
            raise OSError(errno.EIO, "no power")  # what tidies up gets nothing done either

    def _replace(self, source: Any, target: Any) -> None:
        self._step()
        source, target = Path(source), Path(target)
        before = self._kept(target)
        self._plain["replace"](source, target)

        def undo() -> None:
            self._plain["replace"](target, source)
            before()

        self._undo.append((target.parent, undo))

    def _unlink(self, path: Any, **named: Any) -> None:
        self._step()
        if not os.path.lexists(path):
            raise FileNotFoundError(path)
        restore = self._kept(Path(path))
        self._plain["unlink"](path, **named)
        self._undo.append((Path(path).parent, restore))

    def _fsync(self, descriptor: int) -> None:
        self._step()
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            folder = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            self._undo = [entry for entry in self._undo if entry[0] != folder]
        else:
            self._flushed[status.st_ino] = _version(status)

    def _mkdir(self, path: Any, *more: Any, **named: Any) -> None:
        self._step()
        self._plain["mkdir"](path, *more, **named)

    def _rmdir(self, path: Any, **named: Any) -> None:
        self._step()
        self._plain["rmdir"](path, **named)

    def _kept(self, path: Path) -> Callable[[], None]:
        """Puts the file back as it is now, under the same inode; does nothing where there is none."""
        if not path.is_file():
            return lambda: None
        spare = self._spares / str(self.count)
        os.link(path, spare)

        def restore() -> None:
            path.parent.mkdir(exist_ok=True)
            os.rename(spare, path)

        return restore


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns
