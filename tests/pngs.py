"""PNG files of any depth and kind of colour, which OpenCV does not write."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from vidseg.frames import UInt8Array

GREY, PALETTE = 0, 3


def png_bytes(values: UInt8Array, *, depth: int = 8, kind: int = GREY) -> bytes:
    """A PNG whose pixels are `values` (H, W), below 2 ** depth: greys, or indices of a palette of loud colours."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = values.shape
    bits = np.unpackbits(values.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :].reshape(height, -1)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(bits, axis=1))
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))]
    if kind == PALETTE:
        colours = np.random.default_rng(0).integers(0, 256, (2**depth, 3), dtype=np.uint8)
        parts += [chunk(b"PLTE", colours.tobytes()), chunk(b"tRNS", b"\0")]
    return b"".join([*parts, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])
