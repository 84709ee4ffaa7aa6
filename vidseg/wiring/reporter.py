"""Who is told what a run does."""

from __future__ import annotations

from typing import Protocol

from vidseg.pipeline.pipeline import Pipeline


class Reporter(Protocol):
    """Told what happens; prints it, or does not. A `vidseg.wiring.engine.Reporter` too."""

    def note(self, text: str) -> None:
        """Something the user should know, one sentence."""
        ...

    def detail(self, text: str) -> None:
        """Something for those who want to know more."""
        ...

    def address(self, text: str) -> None:
        """Where the web page is, token included: told even when only errors are."""
        ...

    def download(self, done: int, total: int | None) -> None:
        """Bytes of weights so far, and in all if known."""
        ...

    def problem(self, text: str) -> None:
        """Something went wrong, and the run goes on or ends with what it has."""
        ...

    def progress(self, pipeline: Pipeline, total: int | None) -> None:
        """About ten times a second; `total` frames will be delivered, None where unknown."""
        ...
