"""Damage found in a file, in words, and what it means for a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from vidseg.config import RunConfig
from vidseg.errors import ConfigError
from vidseg.frames import VideoInfo
from vidseg.names import shown_name

if TYPE_CHECKING:
    from vidseg.app.run import Outcome

DAMAGE = {
    "corrupt_packets": ("damaged packet", "damaged packets"),
    "damaged_frames": ("picture with concealed errors", "pictures with concealed errors"),
    "lost_frames": ("picture lost", "pictures lost"),
    "unreadable_images": ("picture that cannot be read", "pictures that cannot be read"),
}
"""Counters of a source that mean loss, in words; `truncated` is another."""


def damage_in(counters: Mapping[str, int]) -> str | None:
    """One sentence about damage in a file; None if it is complete."""
    found = []
    for name, (one, several) in DAMAGE.items():
        if count := counters.get(name, 0):
            found.append(f"{count} {one if count == 1 else several}")
    if counters.get("truncated"):
        found.append("it ends before its announced length")
    return f"the source is damaged: {', '.join(found)}; everything readable was used" if found else None


def refuse_strict_live(config: RunConfig, info: VideoInfo) -> None:
    """Raises ConfigError for --strict with a source that loses packets every day."""
    if config.strict and info.live:
        raise ConfigError(
            f"{shown_name(config.source or '')}: is live, where lost packets are "
            "normal; --strict is for files, leave it out"
        )


def with_damage(outcome: Outcome, config: RunConfig, info: VideoInfo) -> Outcome:
    """The outcome with what is damaged of a file, failed for it with --strict."""
    damage = None if info.live or outcome.aborted else damage_in(outcome.stats.source_counters)
    if damage is None:
        return outcome
    return replace(outcome, damage=damage, exit_code=outcome.exit_code or int(config.strict))
