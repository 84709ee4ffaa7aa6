"""Progress of jobs on other machines. Imports nothing heavy, because it runs in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """What a job said last."""

    delivered: int
    total: int | None
    rate: float


class ProgressBoard:
    """Runs as a Ray actor: workers tell it how far they are, and the batch asks now and then."""

    def __init__(self) -> None:
        self._told: dict[int, Told] = {}

    def tell(self, number: int, told: Told) -> None:
        """The newest word of a job."""
        self._told[number] = told

    def news(self) -> dict[int, Told]:
        """What was said since the last time, by job number."""
        told, self._told = self._told, {}
        return told
