"""What a run counted and measured. Every frame from the source ends in exactly one of the counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from vidseg.timing import StageTime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: what those who watch it are told while it goes on."""

    delivered: int = 0
    """Frames that every output has."""
    rate: float = 0.0
    """Delivered frames per second, of late."""
    dropped: int = 0
    """Frames of a live source thrown away."""
    stages: Mapping[str, StageTime] = field(default_factory=dict)
    """What each stage has cost, in the order in which they were first seen."""


@dataclass(slots=True)
class RunStats:
    """Counts of a run, complete when the run is over and readable while it goes on.

    decoded = skipped + dropped + delivered + discarded, once the run is over.
    """

    decoded: int = 0
    """Frames that came out of the source."""
    skipped: int = 0
    """Left out on purpose: `max_fps`."""
    dropped: int = 0
    """Thrown away because the model was slower than a live source."""
    delivered: int = 0
    """Segmented (or carrying held masks) and taken by every sink."""
    discarded: int = 0
    """Under way when the run was aborted or failed."""
    placeholders: int = 0
    """Delivered, but cards in place of pictures, while a live source was away."""
    inferred: int = 0
    """Frames that the model saw."""
    held: int = 0
    """Delivered with the masks of an earlier frame."""
    stale: int = 0
    """Not shown, because they were older than `max_staleness`."""
    shown: int = 0
    """Frames put on the window, counted by the display."""
    lost_in_sending: int = 0
    """Delivered, but the receiver of a stream was away or too slow for them."""
    receiver_reconnects: int = 0
    """Times that a receiver was lost and found again."""
    elapsed_seconds: float = 0.0
    last_pts_seconds: float = 0.0
    """Presentation time of the last delivered frame."""
    stopped_early: bool = False
    """True when the user ended the run before the source did."""
    broken_source: str | None = None
    """Why the source ended before its time; what came before that was delivered."""
    source_counters: dict[str, int] = field(default_factory=dict)
    stages: dict[str, StageTime] = field(default_factory=dict)

    @property
    def fps(self) -> float:
        """Delivered frames per second of wall time."""
        return self.delivered / self.elapsed_seconds if self.elapsed_seconds > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON: counts, fps, and per stage calls, frames, seconds and ms_per_frame."""
        plain = asdict(self)
        plain["fps"] = self.fps
        for name, stage in self.stages.items():
            plain["stages"][name]["ms_per_frame"] = stage.ms_per_frame
        return plain
