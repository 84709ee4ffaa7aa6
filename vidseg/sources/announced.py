"""What a file says about its end in advance, and whether reading got there."""

from __future__ import annotations

import os
import re
from fractions import Fraction

import av

from vidseg.video.pyav import exact

_MOST_MISSING_SECONDS = Fraction(1, 2)
_MOST_MISSING_SHARE = Fraction(1, 10)
_MOST_MISSING_FRAMES = Fraction(5, 2)
"""Less may be rounding or an odd header: the first or second, whichever is less, but not less than the third."""
_CUT_FRAMES = Fraction(3, 4)
"""The same of a file that is shorter than its header says."""
_CLOCK_TIME = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")
_SEGMENT_ID = b"\x18\x53\x80\x67"
_HEAD_BYTES = 4096


def announced_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction | None:
    """Seconds of picture that the header announces; None where it does not, or speaks of audio as well."""
    if stream.duration is not None and stream.time_base:
        return stream.duration * exact(stream.time_base)
    # Matroska keeps it as text, "00:01:02.500000000".
    tagged = _CLOCK_TIME.fullmatch(stream.metadata.get("DURATION", ""))
    if tagged:
        return int(tagged[1]) * 3600 + int(tagged[2]) * 60 + Fraction(tagged[3])
    if container.duration is not None and len(container.streams) == 1:
        return Fraction(container.duration, av.time_base)
    return None


def ends_early(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    *,
    path: str | None,
    seconds: Fraction,
    step: Fraction,
    last_dts: int | None,
    packets: int,
) -> bool:
    """True for a file whose pictures ended before the end that it announces. Its index is believed before its duration,
    of which an edit list may cut a part.

    Args:
        path: of a file on this machine, else None.
        seconds: from zero, or the first picture where that is before, to the end of the last.
        step: usual distance of two pictures, in seconds.
        last_dts, packets: the latest packet that was read, and how many were.
    """
    is_avi = container.format.name == "avi"
    if (is_avi or container.format.name.startswith("mov,")) and len(entries := stream.index_entries):
        last = entries[-1].timestamp
        # an AVI that is cut off has no index but that of what was read; times are numbers of frames there
        return (last_dts is not None and last_dts < last) or (is_avi and last + 1 < stream.frames)
    cut = path is not None and _is_cut_off(path)
    announced = announced_seconds(container, stream)
    if announced is None and cut and container.duration is not None:
        return Fraction(container.duration, av.time_base) - seconds > _MOST_MISSING_SECONDS
    if announced is None:
        # Without times to compare, the number of packets; frames may be fewer than packets in a audio file.
        return packets < stream.frames
    most = max(_MOST_MISSING_FRAMES * step, min(_MOST_MISSING_SECONDS, announced * _MOST_MISSING_SHARE))
    return announced - seconds > (_CUT_FRAMES * step if cut else most)


def _is_cut_off(path: str) -> bool:
    """True for a Matroska file that is shorter than its header says."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
        at = head.find(_SEGMENT_ID)
        if at < 0 or not (first := head[at + 4]):
            return False
        length = 9 - first.bit_length()
        unknown = (1 << 7 * length) - 1
        size = int.from_bytes(head[at + 4 : at + 4 + length], "big") & unknown
        return size != unknown and os.path.getsize(path) < at + 4 + length + size
    except (OSError, IndexError):
        return False
