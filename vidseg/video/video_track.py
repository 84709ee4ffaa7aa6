"""Which of the video tracks of a container is the film."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import av
from av.stream import Discard, Disposition

_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_LOOKED_AT_PACKETS = 200
_MOVING_FROM_PACKETS = 5
"""A track of one packet beside one with so many is a cover picture."""


def main_video(
    container: av.container.InputContainer, reopen: Callable[[], av.container.InputContainer] | None = None
) -> av.VideoStream | None:
    """The track with moving pictures, of several the default one, else the largest; None where there is none.

    A cover picture is left out even where the container gives it out as a film.

    Args:
        reopen: opens the container once more, to look at the first packets; None where that cannot be done.
    """
    videos = [stream for stream in container.streams.video if not stream.disposition & _PICTURES]
    if len(videos) > 1:
        stills = _stills(videos, reopen)
        videos = [stream for stream in videos if stream.index not in stills] or videos
    # of several as large, the first: max() keeps it
    return max(videos, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height), default=None)


def leave_out_others(container: av.container.InputContainer, *wanted: Any) -> None:
    """Let the container give packets of these streams only."""
    for stream in container.streams:
        if stream not in wanted:
            stream.discard = Discard.all


def is_encrypted(stream: av.VideoStream, packet: Any) -> bool:
    """True where the container says that the packet can only be read with a key."""
    return packet.has_sidedata("encryption_info") or "enc_key_id" in stream.metadata


def what_else(container: av.container.InputContainer) -> str:
    """What a file without video holds: "1 audio stream found", "1 cover picture found", "nothing else either"."""
    streams = container.streams
    words = {"audio stream": len(streams.audio), "cover picture": len(streams.video)}
    words["subtitle stream"] = len(streams.subtitles)
    found = [f"{count} {word}{'s' if count > 1 else ''}" for word, count in words.items() if count]
    return f"{', '.join(found)} found" if found else "nothing else either"


def _stills(videos: Sequence[av.VideoStream], reopen: Callable[[], av.container.InputContainer] | None) -> set[int]:
    """Indices of the tracks that hold one picture, while another one moves."""
    counts = {stream.index: stream.frames for stream in videos}
    if not all(counts.values()) and reopen is not None:
        try:
            counts = _first_packets(reopen, list(counts))
        except (av.FFmpegError, OSError, ValueError):
            return set()
    if max(counts.values()) < _MOVING_FROM_PACKETS:
        return set()
    return {index for index, count in counts.items() if count == 1}


def _first_packets(reopen: Callable[[], av.container.InputContainer], indices: Sequence[int]) -> dict[int, int]:
    seen: Counter[int] = Counter()
    with reopen() as container:
        streams = [container.streams[index] for index in indices]
        leave_out_others(container, *streams)
        for number, packet in enumerate(container.demux(*streams)):
            if packet.size:
                seen[packet.stream_index] += 1
            if number >= _LOOKED_AT_PACKETS:
                break
    return {index: seen[index] for index in indices}
