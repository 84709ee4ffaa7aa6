"""Encoded packets in a file of their own, exactly as the encoder gave them: bytes, times, durations, key frames.

Containers would round the times (mkv), lose durations (nut) or not take the codec (mp4). The file is one line of JSON
with the unit of time, then per packet a fixed head and its bytes, then an end mark with the number of packets. Every
packet carries a checksum, so damage is found before it is shown to anyone.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from vidseg.atomic import PART_SUFFIX, flush, sync_folder
from vidseg.errors import ResumeError

_FORMAT = "vidseg packets 1"
_HEAD = struct.Struct("<qqqBII")
"""pts, dts, duration in ticks; 1 for a key frame; bytes that follow; CRC-32 of the head so far and the bytes."""
_END_SIZE = 0xFFFFFFFF
_CRC_BYTES = 4


@dataclass(frozen=True, slots=True)
class StoredPacket:
    """One packet; times in units of the file's `time_base`."""

    pts: int
    dts: int
    duration: int
    is_keyframe: bool
    data: bytes


class PacketFileWriter:
    """Writes `path`, which appears under its name in `close` and is on the disk then. Methods raise OSError."""

    def __init__(self, path: Path, time_base: Fraction) -> None:
        self._path = path
        self._part = path.with_name(path.name + PART_SUFFIX)
        self._file: BinaryIO = self._part.open("wb")
        self._count = 0
        self._file.write(json.dumps({"format": _FORMAT, "time_base": str(time_base)}).encode() + b"\n")

    def write(self, packet: StoredPacket) -> None:
        """Add one packet."""
        self._put(packet.pts, packet.dts, packet.duration, packet.is_keyframe, len(packet.data), packet.data)
        self._count += 1

    def close(self) -> None:
        """Finish the file."""
        self._put(self._count, 0, 0, False, _END_SIZE, b"")
        self._file.flush()
        flush(self._file.fileno())
        self._file.close()
        os.replace(self._part, self._path)
        sync_folder(self._path.parent)

    def abort(self) -> None:
        """Drop the file. Never raises."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._part.unlink()

    def _put(self, pts: int, dts: int, duration: int, key: bool, size: int, data: bytes) -> None:
        head = _HEAD.pack(pts, dts, duration, key, size, 0)[:-_CRC_BYTES]
        self._file.write(head + zlib.crc32(data, zlib.crc32(head)).to_bytes(_CRC_BYTES, "little") + data)


def read_packets(path: Path) -> tuple[Fraction, Iterator[StoredPacket]]:
    """The unit of time in seconds, and the packets of a finished file, checked as they are read.

    Raises:
        ResumeError: not there, damaged or cut off; the iterator raises it as well.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise _unusable(path, str(error.strerror)) from error
    try:
        first = json.loads(file.readline(1000))
        if first["format"] != _FORMAT:
            raise ValueError
        time_base = Fraction(first["time_base"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        file.close()
        raise _unusable(path, "its header is damaged") from error
    return time_base, _packets(path, file)


def check_packets(path: Path) -> None:
    """Read the whole file. Raises ResumeError unless all of it is as it was written."""
    for _ in read_packets(path)[1]:
        pass


def _packets(path: Path, file: BinaryIO) -> Iterator[StoredPacket]:
    count = 0
    with file:
        while True:
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                raise _unusable(path, "it is cut off")
            pts, dts, duration, key, size, crc = _HEAD.unpack(head)
            data = b"" if size == _END_SIZE else file.read(size)
            if zlib.crc32(data, zlib.crc32(head[:-_CRC_BYTES])) != crc:
                raise _unusable(path, f"packet {count} is damaged")
            if size == _END_SIZE:
                if pts != count:
                    raise _unusable(path, f"it contains {count} of {pts} packets")
                return
            yield StoredPacket(pts, dts, duration, bool(key), data)
            count += 1


def _unusable(path: Path, why: str) -> ResumeError:
    return ResumeError(f"{path}: cannot be used, {why}; remove its folder to start over")
