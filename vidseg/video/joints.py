"""Where recordings in one file are joined: audio is moved in time as the pictures beside it are."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from vidseg.video.pyav import exact
from vidseg.video.timeline import Timeline

_TOLERANCE_SECONDS = Fraction(1, 40)
"""Audio that would be as little off goes on without a hole or an overlap."""
_SAME_JOINT_SECONDS = 5
"""Audio and pictures of one recording begin that near to each other."""


class Joints:
    """Remembers where the clock of the pictures jumped, and by how much those after it are moved.

    Args:
        discontinuous: as in `Timeline`.
    """

    def __init__(self, discontinuous: bool) -> None:
        self.discontinuous = discontinuous
        self._pictures: Timeline | None = None
        self._found: list[tuple[Fraction, Fraction]] = []

    def pass_picture(self, packet: Any) -> Fraction:
        """Look at the time of the next picture, in file order: in seconds, moved."""
        if self._pictures is None:
            self._pictures = Timeline(
                usual_step=packet.duration or 1, time_base=exact(packet.time_base), discontinuous=self.discontinuous
            )
        jumps = self._pictures.jumps(packet.dts)
        self._pictures.place(packet.dts, packet.duration)
        if jumps:
            at = packet.dts * exact(packet.time_base)
            self._found.append((at, self._pictures.offset * exact(packet.time_base)))
        seconds: Fraction = (packet.pts + self._pictures.offset) * exact(packet.time_base)
        return seconds

    def shift_at(self, seconds: Fraction) -> Fraction | None:
        """What is added to the times of the pictures that begin about there; None where no recording begins."""
        near = (shift for at, shift in reversed(self._found) if abs(at - seconds) < _SAME_JOINT_SECONDS)
        return next(near, None)


def place_at_joint(timeline: Timeline, joints: Joints, packet: Any) -> tuple[int, int | None]:
    """The new time of a packet of audio, and, where a recording begins with it, the end of the one before.

    Args:
        timeline: of this track of audio.
    """
    jumps = timeline.jumps(packet.dts)
    end = timeline.following
    placed = timeline.place(packet.dts, packet.duration)
    shift = joints.shift_at(packet.dts * exact(packet.time_base)) if jumps else None
    if shift is None:
        return placed, None
    apart = shift - timeline.offset * exact(packet.time_base)
    if abs(apart) <= _TOLERANCE_SECONDS:
        return placed, None
    by = round(apart / exact(packet.time_base))
    timeline.move(by)
    return placed + by, end
