"""Times of audio in an AVI, which holds none: FFmpeg counts packets, or bytes, by what a header says of them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from vidseg.video.pyav import exact
from vidseg.video.silence import packet_seconds


class CountedAudio:
    """Moves packets that would begin before the one before them has ended: a header says too little of their length.

    Remembers where each stream ends. Packets of other containers than AVI stay as they are: those have times.
    """

    def __init__(self, container: Any) -> None:
        self._counts = container.format.name == "avi"
        self._ends: dict[int, Fraction] = {}

    def place(self, packet: Any) -> None:
        """Set the times of the next packet of a stream; it has a `pts`."""
        context = packet.stream.codec_context
        if not self._counts or context is None:
            return
        unit, length = exact(packet.time_base), packet_seconds(context, packet)
        start = packet.pts * unit
        end = self._ends.get(packet.stream_index, start)
        if end - start > length / 2:  # by less: lengths and times are rounded
            start = end
            packet.pts = packet.dts = round(start / unit)
        self._ends[packet.stream_index] = start + length
