"""Pictures that a file contains but the decoder does not return.

Not every packet is a picture of its own: fields come two to a frame, VP8 has references that are never shown, an edit
list cuts pictures out, and those that lean on a key frame before the first one cannot be decoded. That is no loss.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import Any

from vidseg.saved_state import State
from vidseg.video.timeline import AHEAD_SECONDS, JUMP_SECONDS

ONE_PICTURE_EACH = frozenset(
    {"h264", "hevc", "vp8", "vp9", "libdav1d", "av1", "mpeg1video", "mpeg2video", "mjpeg", "prores", "ffv1"}
)
"""Decoders that give a picture for every packet, but for the exceptions above."""
UNTOLD_FROM = 3
"""So many pictures are missing for a reason, though the decoder says nothing: of H.264 it may leave out one or two at
the start, until it knows how far pictures are out of order."""
_ANSWERED_WITHIN = Fraction(3, 5)
"""Of a usual step: the second field of a frame is half a step behind the first."""
_LONGEST_WAIT_PACKETS = 100
"""Decoders hold back a picture for each thread, and up to 16 for the order."""


class LostFrames:
    """Remembers the times of the packets for which no frame came yet.

    Args:
        usual_step: distance of two frames, in units of `time_base`.
    """

    def __init__(self, *, usual_step: int, time_base: Fraction) -> None:
        self.count = 0
        """Pictures that did not come."""
        self.newest: int | None = None
        """Time of the last frame."""
        self._within = usual_step * _ANSWERED_WITHIN
        self._back, self._ahead = JUMP_SECONDS / time_base, AHEAD_SECONDS / time_base
        self._waiting: deque[tuple[int, int]] = deque()
        self._packets = 0
        self._key: int | None = None
        self._last_dts: int | None = None

    def packet(self, packet: Any) -> bool:
        """Expect a frame, before the decoder is given the packet; False where another recording begins with it."""
        self._packets += 1
        dts = packet.pts if packet.dts is None else packet.dts
        goes_on = None in (dts, self._last_dts) or -self._back <= dts - self._last_dts <= self._ahead
        if not goes_on:
            self._key = None  # it may begin with pictures that lean on what is not there
        self._last_dts = self._last_dts if dts is None else dts
        while self._waiting and self._packets - self._waiting[0][0] > _LONGEST_WAIT_PACKETS:
            self._waiting.popleft()
            self.count += 1
        if packet.pts is not None and not packet.is_discard:
            if self._key is None and packet.is_keyframe:
                self._key = packet.pts
            if self._key is not None and packet.pts >= self._key:
                self._waiting.append((self._packets, packet.pts))
        return goes_on

    def frame(self, pts: int | None) -> None:
        """A frame came."""
        if pts is None:
            return
        self.newest = pts
        still = deque[tuple[int, int]]()
        for number, at in self._waiting:
            if self._within < pts - at < self._back:  # passed by
                self.count += 1
            elif abs(at - pts) > self._within:
                still.append((number, at))
        self._waiting = still

    def behind(self, pts: int) -> set[int]:
        """Times of the frames after this one that are still awaited."""
        return {at for _, at in self._waiting if at > pts}

    def ended(self) -> None:
        """No more frames come."""
        self.count += len(self._waiting)
        self._waiting.clear()

    def state(self) -> State:
        """The count, and up to where pictures have come."""
        return {"count": self.count, "newest": self.newest}

    def restore(self, state: State) -> None:
        """Go on counting behind the last frame, once it has come again."""
        self.count, self.newest = state["count"], state["newest"]
        self._waiting = deque(entry for entry in self._waiting if self.newest is None or entry[1] > self.newest)
