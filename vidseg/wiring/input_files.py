"""Whether the files that a run reads change while it reads them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vidseg.errors import InputChangedError, ResumeError, SourceError
from vidseg.names import expand_user, shown_name, without_file_scheme


@dataclass(frozen=True, slots=True)
class Identity:
    """By which a file is known again without reading it."""

    size: int
    """Bytes; 0 where a server does not tell."""
    mtime_ns: int
    tag: str = ""
    """What a store says of the content, e.g. an ETag; empty for files of this machine."""


def identity_of(path: str | Path) -> Identity | None:
    """Size and time of a file of this machine now, None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return Identity(status.st_size, status.st_mtime_ns)


class InputFiles:
    """Remembers size and time of the files of a source. Pipes and devices, which always change, are not looked at.

    To be made before the source is opened, with the names that were given: what is noted later may be of another file.
    """

    def __init__(self, paths: Iterable[str], known: Mapping[str, Identity | None] | None = None) -> None:
        """`known`: path -> what is known of it already; each has to be a plain path."""
        self._found = dict(known or {})
        self.add(paths)

    def add(self, paths: Iterable[str]) -> None:
        """Look after these files too; what is known of them already stays."""
        for name in paths:
            path = expand_user(without_file_scheme(name))
            if path not in self._found and os.path.isfile(path):
                self._found[path] = identity_of(path)

    def what_changed(self) -> str | None:
        """One sentence about the first file that was written to or removed since; None for none."""
        for path, before in self._found.items():
            now = identity_of(path)
            if now != before:
                return f"{shown_name(path)}: {'was removed' if now is None else 'changed'} while it was being read"
        return None

    def refuse_change(self) -> None:
        """Raises InputChangedError if a file was written to or removed since."""
        changed = self.what_changed()
        if changed is not None:
            raise InputChangedError(f"{changed}; try again when it exists and nothing writes to it any more")

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Raises InputChangedError in place of what the block raises about a source that changed meanwhile."""
        try:
            yield
        except (SourceError, ResumeError):
            self.refuse_change()
            raise
