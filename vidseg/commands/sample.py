"""Default frames for commands that are given no pictures."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from vidseg.frames import Frame
from vidseg.sources.factory import open_source

PATTERN = "test:640x360@30"


def sample_source() -> str:
    """The street of a checkout; an installed package has none, then the test pattern."""
    street = Path(__file__).resolve().parents[2] / "samples" / "street.mp4"
    return str(street) if street.is_file() else PATTERN


def frames_of(spec: str, count: int, *, every: int = 1) -> list[Frame]:
    """Up to `count` frames of a source, one of `every`. Raises SourceError."""
    source = open_source(spec)
    try:
        return list(islice(iter(source), 0, count * every, every))
    finally:
        source.close()
