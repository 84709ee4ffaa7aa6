"""The requested part of a video, in seconds from its first frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from vidseg.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Frames from `start` on, which is included, up to `end`, which is not; None: to the last."""

    start: Fraction = Fraction(0)
    end: Fraction | None = None


def range_of(
    name: str, length: Callable[[], Fraction | None], *, start: float | None, end: float | None, duration: float | None
) -> TimeRange:
    """What the options say of a video.

    Args:
        name: of the video, for messages.
        length: gives the seconds from its first frame to the end of its last; None where that is unknown. It may take
            a moment, and is asked where an option needs it only.
        start, end: seconds; negative ones count from the end.
    Raises:
        ConfigError: nothing is between the two, or the end is not known.
    """
    length = cache(length)

    def from_first(option: str, seconds: float) -> Fraction:
        if seconds >= 0:
            return _exact(seconds)
        whole = length()
        if whole is None:
            raise ConfigError(f"{name}: its length is unknown; give {option} as a time from its first frame")
        return max(Fraction(0), whole + _exact(seconds))

    begin = Fraction(0) if start is None else from_first("--start", start)
    stop = None if end is None else from_first("--end", end)
    if duration is not None:
        stop = begin + _exact(duration)
    if stop is not None and stop <= begin:
        raise ConfigError(
            f"{name}: --end is at {_shown(stop)}, --start at {_shown(begin)}; the end must be later than the start"
        )
    whole = length() if begin else None
    if whole is not None and begin >= whole:
        raise ConfigError(f"{name}: --start is at {_shown(begin)}, the video {_shown(whole)} long; begin earlier")
    return TimeRange(begin, stop)


def _exact(seconds: float) -> Fraction:
    return Fraction(seconds).limit_denominator(1_000_000)  # 0.4 is meant, not the float just above


def _shown(seconds: Fraction) -> str:
    return f"{float(seconds):g} s"
