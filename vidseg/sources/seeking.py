"""Where in a file a time is, found by its packets alone: nothing is decoded.

A frame's number is that of the packets shown before it. That holds where every packet is a picture and has a time of
its own; whoever goes to a `SeekPlace` checks that the frames come out so,
and else decodes from the start.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

from vidseg.sources.lost_frames import ONE_PICTURE_EACH
from vidseg.video.pyav import exact
from vidseg.video.timeline import AHEAD_SECONDS, Timeline, has_discontinuous_clock
from vidseg.video.video_track import leave_out_others

HEAD_FRAMES = 24
"""The first frames are decoded and compared: some decoders leave out one or two at the start."""
_STEPS_BACK_SECONDS = (0, 2, 15)
"""How much before the key frame a search may start: a container's index may not be exact, and pictures may lean on
an older key frame."""
_LAST_SECONDS = 10
OpenContainer = Callable[[], av.container.InputContainer]


@dataclass(frozen=True, slots=True)
class SeekPlace:
    """The frame at a time, and the key frame before it. Times are in units of the stream."""

    times: list[int]
    """Of the frames, rising, from the first up to a few behind the place."""
    number: int
    """Of the frame at the place, and its index in `times`."""
    key: int
    """Index of the key frame in `times`."""
    packets: int
    """Before that of the key frame."""

    def starts(self, time_base: Fraction) -> Iterator[int]:
        """Times from which to decode, best first."""
        for seconds in _STEPS_BACK_SECONDS:
            yield self.times[self.key] - round(seconds / time_base)


def find_place(open_container: OpenContainer, video_number: int, first: int, target: int) -> SeekPlace | None:
    """The first frame at or after `target`; None where packets do not tell it for sure, or it is near the start.

    Args:
        video_number: of the stream among those with pictures.
        first: time of the first frame.
    Raises:
        av.FFmpegError: reading failed.
    """
    times: list[int] = []
    keys: list[tuple[int, int]] = []
    last: int | None = None
    with closing(open_container()) as container:
        stream = container.streams.video[video_number]
        if stream.codec_context.name not in ONE_PICTURE_EACH - {"vp8"} or container.format.name == "avi":
            return None  # packets of VP8 need not be shown, and AVI does not know when
        ahead = AHEAD_SECONDS / exact(stream.time_base) if has_discontinuous_clock(container) else None
        for packet in _packets(container, stream):
            if packet.pts is None or packet.is_corrupt:
                return None
            if packet.dts is not None:
                step = 1 if last is None else packet.dts - last
                if step <= 0 or (ahead is not None and step >= ahead):
                    return None
                last = packet.dts
            if not packet.is_discard:
                if packet.is_keyframe and packet.pts <= target:
                    keys.append((packet.pts, len(times)))
                times.append(packet.pts)
            if packet.dts is not None and packet.dts > target:
                break
    ordered = sorted(set(times))
    if len(ordered) != len(times):
        return None
    ordered = ordered[bisect_left(ordered, first) :]  # the others lean on what is not there
    number = bisect_left(ordered, target)
    keys = [entry for entry in keys if entry[0] >= first]
    if number >= len(ordered) or ordered[0] != first or not keys:
        return None
    key, packets = max(keys)
    at = ordered.index(key)
    # not worth a search, where the frames of the head are decoded in any case
    return None if at < HEAD_FRAMES else SeekPlace(ordered, number, at, packets)


def end_of(open_container: OpenContainer, video_number: int, usual_step: int) -> int | None:
    """Where the last picture ends, in units of the stream; None without any.

    Args:
        usual_step: how long a picture lasts of which that is not known.
    Raises:
        av.FFmpegError: reading failed.
    """
    with closing(open_container()) as container:
        stream = container.streams.video[video_number]
        whole = has_discontinuous_clock(container)
        if not whole and container.duration is not None:
            unit = exact(stream.time_base)
            near_end = Fraction(max(0, container.duration - _LAST_SECONDS * av.time_base), av.time_base)
            container.seek(round(near_end / unit) + (stream.start_time or 0), stream=stream)
            if (found := _end(container, stream, usual_step)) is not None:
                return found
    with closing(open_container()) as container:  # from the start, where the clock may begin anew
        stream = container.streams.video[video_number]
        return _end(container, stream, usual_step)


def _end(container: av.container.InputContainer, stream: Any, usual_step: int) -> int | None:
    timeline = Timeline(
        usual_step=usual_step, time_base=exact(stream.time_base), discontinuous=has_discontinuous_clock(container)
    )
    counted = container.format.name == "avi"  # in the order of the packets, not of the pictures
    ends = []
    for packet in _packets(container, stream):
        shown = packet.dts if counted else packet.pts
        if shown is None or packet.is_discard:
            continue
        timeline.place(shown if packet.dts is None else packet.dts, packet.duration or None)
        ends.append(shown + timeline.offset + (packet.duration or usual_step))
    return max(ends, default=None)


def _packets(container: av.container.InputContainer, stream: Any) -> Iterator[Any]:
    leave_out_others(container, stream)
    return (packet for packet in container.demux(stream) if packet.size)
