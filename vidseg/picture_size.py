"""The size of a picture as its header says it, before anything is decoded: a small file can hold a huge picture.

PNG, JPEG, GIF, BMP, WebP, TIFF, PNM, AVIF and HEIC; the formats' own documents say where the numbers are.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

MAX_PIXELS = 200_000_000
"""What is read without being asked for; in RGB that is 0.6 GB, and a run holds several pictures."""
HEADER_BYTES = 1 << 20
"""In so many the size is found: what a camera adds before it is smaller."""

_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PNM = re.compile(rb"P[1-6](?:\s+|#[^\n]*\n)+(\d+)(?:\s+|#[^\n]*\n)+(\d+)\s")


def too_large(data: bytes, most: int = MAX_PIXELS) -> str | None:
    """What a picture holds, where that is more than `most` pixels; None where it is not, or the header says nothing."""
    size = picture_size(data)
    if size is None or size[0] * size[1] <= most:
        return None
    return f"{size[0]}x{size[1]} pixels, {size[0] * size[1] / 1e6:.0f} megapixels; at most {most / 1e6:g} are read"


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height as stored, of the largest part; None for other formats and for headers that are cut off."""
    try:
        return _size(data)
    except (struct.error, IndexError, ValueError):
        return None


def _size(data: bytes) -> tuple[int, int] | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _pair(">II", data, 16)
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _pair("<HH", data, 6)
    if data.startswith(b"BM"):
        width, height = struct.unpack_from("<HH" if data[14] == 12 else "<ii", data, 18)
        return abs(width), abs(height)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if data.startswith((b"II*\0", b"MM\0*")):
        return _tiff(data, "<" if data.startswith(b"II") else ">")
    if data[4:8] == b"ftyp":
        sizes = [_pair(">II", data, found.end() + 4) for found in re.finditer(b"ispe", data[:HEADER_BYTES])]
        return max(sizes, key=lambda size: size[0] * size[1], default=None)
    found = _PNM.match(data[:HEADER_BYTES])
    return (int(found[1]), int(found[2])) if found else None


def _pair(layout: str, data: bytes, at: int) -> tuple[int, int]:
    width, height = struct.unpack_from(layout, data, at)
    return width, height


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_SIZES:
            height, width = _pair(">HH", data, at + 5)
            return width, height
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = _pair("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")


def _tiff(data: bytes, order: str) -> tuple[int, int] | None:
    found = dict(_tiff_numbers(data, order))
    return (found[256], found[257]) if 256 in found and 257 in found else None


def _tiff_numbers(data: bytes, order: str) -> Iterator[tuple[int, int]]:
    """Tag and value of the first directory's entries that hold one number."""
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", data, at)
        if length == 1 and kind in (3, 4):
            yield tag, struct.unpack_from(order + ("H" if kind == 3 else "I"), data, at + 8)[0]
