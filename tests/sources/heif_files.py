"""HEIF files made for a test, with the tiles, crops and auxiliary pictures that phones write."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np

from vidseg.frames import UInt8Array


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + kind + content


def coded(image: UInt8Array) -> tuple[bytes, bytes]:
    """The content of `hvcC` and the data of a picture (H, W, 3) in HEVC: full range, 4:4:4."""
    encoder = av.CodecContext.create("libx265", "w")
    encoder.options = {"x265-params": "log-level=none:lossless=1:range=full:colormatrix=bt470bg:repeat-headers=1"}
    encoder.height, encoder.width = image.shape[:2]
    encoder.pix_fmt, encoder.time_base = "yuv444p", Fraction(1)
    frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(
        format="yuv444p", dst_colorspace=5, src_color_range=2, dst_color_range=2
    )
    frame.pts, frame.time_base = 0, Fraction(1)
    stream = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    units = [unit.rstrip(b"\0") for unit in stream.split(b"\0\0\1")[1:]]
    sets: dict[int, bytes] = {unit[0] >> 1: unit for unit in units if unit[0] >> 1 in (32, 33, 34)}
    arrays = [struct.pack(">BHH", kind, 1, len(unit)) + unit for kind, unit in sorted(sets.items())]
    settings = bytes([1]) + bytes(20) + bytes([3, len(arrays)]) + b"".join(arrays)
    rest = [unit for unit in units if unit[0] >> 1 not in sets]
    return settings, b"".join(struct.pack(">I", len(unit)) + unit for unit in rest)


def heif_bytes(
    tiles: list[UInt8Array],
    *,
    grid: tuple[int, int, int, int] | None = None,
    transforms: tuple[bytes, ...] = (),
    auxiliary: UInt8Array | None = None,
    content: bytes | None = None,
) -> bytes:
    """A file whose main picture is the only tile, or a grid.

    Args:
        grid: columns, rows, width, height.
        transforms: boxes such as `box(b"irot", b"\\1")`, in order.
        auxiliary: a picture that comes first in the file, and is not the main one.
        content: in place of the grid's own layout.
    """
    pictures = [*([] if auxiliary is None else [auxiliary]), *tiles]
    streams = [coded(picture) for picture in pictures]
    first = len(pictures) - len(tiles) + 1
    main = len(pictures) + 1 if grid else first
    entries = [
        box(b"infe", struct.pack(">IHH", 2 << 24, number, 0), b"hvc1\0") for number in range(1, main + (not grid))
    ]
    layout = b""
    if grid:
        columns, rows, width, height = grid
        layout = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height) if content is None else content
        entries.append(box(b"infe", struct.pack(">IHH", 2 << 24, main, 0), b"grid\0"))
    properties = [*(box(b"hvcC", settings) for settings, _ in streams), *transforms]
    links = [(number + 1, [number + 1]) for number in range(len(streams))]
    own = list(range(len(streams) + 1, len(properties) + 1))
    links = [(number, found + own) if number == main else (number, found) for number, found in links]
    links += [(main, own)] if grid else []
    ipma = [struct.pack(">HB", number, len(found)) + bytes(found) for number, found in links]
    refs = [box(b"auxl", struct.pack(">HHH", 1, 1, main))] if auxiliary is not None else []
    if grid:
        refs.append(
            box(
                b"dimg",
                struct.pack(">HH", main, len(tiles)),
                *(struct.pack(">H", first + n) for n in range(len(tiles))),
            )
        )

    def meta(start: int) -> bytes:
        places, at = [], start
        for number, (_, data) in enumerate(streams, 1):
            places.append(struct.pack(">HHHHII", number, 0, 0, 1, at, len(data)))
            at += len(data)
        if grid:
            places.append(struct.pack(">HHHHII", main, 1, 0, 1, 0, len(layout)))
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", struct.pack(">IH", 0, main)),
            box(b"iinf", struct.pack(">IH", 0, len(entries)), *entries),
            box(b"iloc", struct.pack(">IHH", 1 << 24, 0x4400, len(places)), *places),
            box(b"iprp", box(b"ipco", *properties), box(b"ipma", struct.pack(">II", 0, len(ipma)), *ipma)),
            box(b"iref", bytes(4), *refs),
            box(b"idat", layout),
        )

    head = box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", *(data for _, data in streams))


def tiles_of(image: UInt8Array, side: int) -> list[UInt8Array]:
    """Squares, line by line; the last ones are filled up with black."""
    height, width = image.shape[:2]
    filled = np.zeros((-(-height // side) * side, -(-width // side) * side, 3), np.uint8)
    filled[:height, :width] = image
    return [
        np.ascontiguousarray(filled[top : top + side, left : left + side])
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]
