"""Who is told about the progress and problems of a run."""

from __future__ import annotations

from typing import Protocol

from vidseg.pipeline.stats import Progress


class Reporter(Protocol):
    """Told what happens; prints it, or does not."""

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

    def progress(self, progress: Progress, total: int | None) -> None:
        """About ten times a second; `total` frames will be delivered, None where unknown."""
        ...


class SilentReporter:
    """Satisfies `Reporter` and says nothing; to be derived from by who wants to hear a part only."""

    def note(self, text: str) -> None:
        """Nothing."""

    def detail(self, text: str) -> None:
        """Nothing."""

    def address(self, text: str) -> None:
        """Nothing."""

    def download(self, done: int, total: int | None) -> None:
        """Nothing."""

    def problem(self, text: str) -> None:
        """Nothing."""

    def progress(self, progress: Progress, total: int | None) -> None:
        """Nothing."""
