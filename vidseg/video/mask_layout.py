"""What `MaskVideoSink` puts beside the pictures of a mask video, and the reader looks for."""

from __future__ import annotations

import zlib

from vidseg.frames import UInt8Array
from vidseg.saved_masks import MARK_COLUMNS

VERSION_TAG = "VIDSEG_MASKS"
COLUMNS_TAG = "VIDSEG_COLUMNS"
OPTION_TAG = "VIDSEG_OPTION"
"""What asked for the file: --save-masks or --save-confidence. Files of older versions do not say it."""
VERSION = "1"
COLUMNS = (*MARK_COLUMNS, "crc32")


def crc_of(label_map: UInt8Array) -> str:
    """CRC-32 of the bytes of a C-contiguous (H, W) uint8 map, in eight hexadecimal digits."""
    return f"{zlib.crc32(label_map.data):08x}"
