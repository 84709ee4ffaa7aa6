"""How much of an unfinished video file is complete, after the disk filled or failed.

Such a file has no index, and ends in the middle of something. MP4 and MOV as `AvSink` writes live sources are made of
fragments, Matroska of clusters, MPEG-TS of packets: complete ones can be played. Others are taken as they are.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av

from vidseg.atomic import PartFile
from vidseg.errors import WriteError
from vidseg.timing import clock_time
from vidseg.video.pyav import exact, open_input

_TS_PACKET = 188
_TS_TAIL = 10_000 * _TS_PACKET
"""Bytes at the end of MPEG-TS that surely hold pictures."""
_SEGMENT = 0x18538067
_CLUSTER = 0x1F43B675
FRAGMENTS = {
    # fragments can be read while the file grows; at the end FFmpeg makes a plain file of them in place.
    # delay_moov: both have the edit lists of any other file; default_base_moof: a fragment knows no place in the file
    "movflags": "+hybrid_fragmented+delay_moov+default_base_moof",
    "frag_duration": "1000000",
    "flush_packets": "1",
}
"""Options for MP4 and MOV with which one second is lost at most."""
CLUSTERS = {"cluster_time_limit": "1000", "flush_packets": "1"}
"""Options for Matroska with which one second is lost at most."""
_PROBED_BYTES = 64 << 20
"""A last part that is larger is not looked into."""


@dataclass(frozen=True, slots=True)
class WholePart:
    """What of a file that broke off can be played."""

    size: int
    """Bytes; what follows is no use to anyone."""
    head: int
    """Bytes at the start that say what is in the file."""
    tail: int
    """Where the last part begins that can be played after the head."""


def keep_whole_part(part: PartFile, muxer: str, last: Fraction, error: WriteError) -> WriteError:
    """Name what can be played of a file that failed, or remove it if nothing can. Never raises.

    Args:
        part: of the file, with nobody writing into it any more.
        muxer: FFmpeg's name of the container.
        last: where the last picture was to be, in seconds; told where the file does not say it.
        error: what failed.
    Returns:
        The error, saying where the file ends.
    """
    try:
        whole = find_whole_part(part.part, muxer)
        if whole is not None:
            end = end_seconds(part.part, muxer, whole)
            part.keep(whole.size)
            return error.ending_at(clock_time(math.floor(max(last, Fraction(0)) if end is None else end)))
    except (OSError, WriteError):
        pass
    part.discard()
    return error


def find_whole_part(path: Path, muxer: str) -> WholePart | None:
    """What can be played of a file; None if nothing can.

    Args:
        muxer: FFmpeg's name of the container.
    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        if muxer in ("mp4", "mov"):
            return _of_fragments(file, size)
        if muxer in ("matroska", "webm"):
            return _of_clusters(file, size)
        if muxer == "mpegts":
            whole = size - size % _TS_PACKET
            return WholePart(whole, 0, max(0, whole - _TS_TAIL)) if whole else None
        return WholePart(size, 0, 0) if size else None


def end_seconds(path: Path, muxer: str, part: WholePart) -> Fraction | None:
    """Where the pictures of `part` end, in seconds of the file; None if that cannot be told."""
    if part.size - part.tail + part.head > _PROBED_BYTES:
        return None
    with path.open("rb") as file:
        data = file.read(part.head)
        file.seek(part.tail)
        data += file.read(part.size - part.tail)
    end: Fraction | None = None
    try:
        with open_input(io.BytesIO(data), format=None if muxer in ("mp4", "mov") else muxer) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.pts is not None and packet.time_base:
                    here = (packet.pts + (packet.duration or 0)) * exact(packet.time_base)
                    end = here if end is None else max(end, here)
    except (av.FFmpegError, OSError, ValueError, IndexError):
        return None
    return end


def _of_fragments(file: BinaryIO, size: int) -> WholePart | None:
    head = tail = end = begun = 0
    for name, start, stop in _boxes(file, size):
        if name == b"moov":
            head = end = stop
            if begun:
                return WholePart(stop, 0, 0)  # finished in spite of all
        elif name == b"moof":
            begun = start
        elif name == b"mdat" and head:
            tail, end = begun, stop
        elif name == b"mdat":
            begun = stop
    return WholePart(end, head, tail) if tail else None


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of the whole boxes at the top of an MP4."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:], "big")
        if length < 8 or position + length > size:
            return
        yield header[4:8], position, position + length
        position += length


def _of_clusters(file: BinaryIO, size: int) -> WholePart | None:
    head = tail = end = position = 0
    while position < size:
        file.seek(position)
        element, length = _vint(file, marker=True), _vint(file, marker=False)
        if element is None or length is None:
            break
        content = file.tell()
        if element == _SEGMENT:  # of unknown length until it is closed
            position = content
            continue
        if content + length > size:
            break
        if element == _CLUSTER:
            head, tail = head or position, position
        position = end = content + length
    return WholePart(end, head, tail) if tail else None


def _vint(file: BinaryIO, *, marker: bool) -> int | None:
    """EBML's number of variable length, with or without the bit that marks its length; None at the end."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    rest = file.read(more)
    if len(rest) < more:
        return None
    lead = first[0] if marker else first[0] - (1 << (7 - more))
    return int.from_bytes(bytes([lead]) + rest, "big")
