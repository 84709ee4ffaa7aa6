"""Whether the files that a run reads stay what they were while it reads them."""

from __future__ import annotations

import os
from collections.abc import Iterable

from vidseg.app.batch.identity import identity_of
from vidseg.errors import SourceError
from vidseg.names import shown_name


class InputFiles:
    """Remembers size and time of the files of a source. Pipes and devices, which always change, are not looked at."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._found = {path: identity_of(path) for path in paths if os.path.isfile(path)}

    def what_changed(self) -> str | None:
        """One sentence about the first file that was written to since; None for none.

        A file that was removed meanwhile does not count: who has opened it reads it to its end.
        """
        for path, before in self._found.items():
            now = identity_of(path)
            if now is not None and now != before:
                return f"{shown_name(path)}: changed while it was read"
        return None

    def refuse_change(self) -> None:
        """Raises SourceError if a file was written to since."""
        changed = self.what_changed()
        if changed is not None:
            raise SourceError(f"{changed}; do it again when it is no longer written to")
