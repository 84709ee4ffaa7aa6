"""Where in a file a run stopped, and how to verify that the same place was found again."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from fractions import Fraction

from vidseg.frames import UInt8Array
from vidseg.saved_state import State

TAIL_FRAMES = 8
"""The last frames before the place are known by time and content, and have to come out the same again."""
_STEPS_BACK_SECONDS = (0, 2, 15)
"""How much earlier a search may start when the frames do not come out: a key frame whose neighbours lean on an older
one, or a container whose index is not exact."""
_EVERY_ROW, _EVERY_COLUMN = 3, 7


class Tail:
    """The last frames that were read. Remembers (raw time, digest of the picture) of up to `TAIL_FRAMES`."""

    def __init__(self) -> None:
        self._entries: deque[tuple[int | None, int]] = deque(maxlen=TAIL_FRAMES)

    def add(self, raw_pts: int | None, image: UInt8Array) -> None:
        """Note the newest frame: its raw time, in the stream's time base, and its (H, W, 3) uint8 picture."""
        self._entries.append((raw_pts, digest(image)))

    def state(self) -> list[list[int | None]]:
        """Oldest first."""
        return [list(entry) for entry in self._entries]

    def restore(self, state: list[list[int | None]]) -> None:
        """Go on after the frame of `state`."""
        self._entries.clear()
        self._entries.extend((pts, value or 0) for pts, value in state)


def digest(image: UInt8Array) -> int:
    """A number that differs for different pictures (H, W, 3) as good as always. 0.1 ms for 1280x720."""
    return zlib.crc32(image[::_EVERY_ROW, ::_EVERY_COLUMN].tobytes())


def starts_before(tail: list[list[int | None]], time_base: Fraction) -> Iterator[int]:
    """Times, in units of `time_base`, from which the frames of `tail` may be searched, latest first."""
    first = tail[0][0]
    assert first is not None
    for seconds in _STEPS_BACK_SECONDS:
        yield first - round(seconds / time_base)


def is_searchable(state: State) -> bool:
    """True where a time names one frame: none was missing, and they never ran backwards."""
    timely = not any(state["counters"].get(event) for event in ("guessed_pts", "non_monotonic_pts"))
    times = [pts for pts, _ in state["tail"]]
    return timely and bool(times) and None not in times and len(set(times)) == len(times)
