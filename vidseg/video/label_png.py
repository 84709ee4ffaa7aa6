"""Pictures whose pixels are class ids, as they are stored: OpenCV gives a palette's colours, and few bits as greys."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidseg.frames import UInt8Array
from vidseg.video.quiet import quiet_opencv

LABEL_PNG_PARAMETERS = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
]
"""Run lengths of the difference to the row above suit regions: 4 ms and 33 kB for a map of 1280x720 with 12 blobs,
against 21 ms and 54 kB at level 1 alone. The order counts: naming the level resets the strategy."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3
"""Kinds of colour, as PNG numbers them."""


def decode_label_map(data: UInt8Array) -> npt.NDArray[Any] | None:
    """What a picture stores: (H, W) indices of a palette or grey values, of 1 to 16 bits; or (H, W, C) colours.

    Args:
        data: the content of a file, usually a PNG.
    Returns:
        None where it is no picture, or damaged.
    """
    content = data.tobytes()
    depth, kind = 8, None
    if content.startswith(_SIGNATURE) and content[12:16] == b"IHDR" and len(content) > 33:
        depth, kind = content[24], content[25]
    if kind == _PALETTE:
        content = _as_grey(content)
    try:
        with quiet_opencv():
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    except cv2.error:
        return None
    if image is not None and image.ndim == 2 and depth in (1, 2, 4):
        image = image // (255 // (2**depth - 1))  # to which OpenCV stretches them
    return image


def _as_grey(png: bytes) -> bytes:
    """The same PNG without its palette: what were indices are grey values."""
    parts = [_SIGNATURE]
    for name, body in _chunks(png):
        if name == b"IHDR":
            body = body[:9] + bytes([_GREY]) + body[10:]
        if name not in (b"PLTE", b"tRNS", b"bKGD", b"sBIT", b"hIST"):  # what depends on the palette
            parts.append(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))
    return b"".join(parts)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and bodies. A damaged one ends them: what is then missing is OpenCV's to refuse."""
    place = len(_SIGNATURE)
    while place + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, place)
        name, body = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        if png[place + 8 + length : place + 12 + length] != struct.pack(">I", zlib.crc32(name + body)):
            return
        yield name, body
        place += 12 + length
