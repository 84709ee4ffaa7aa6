"""The frame number in the pictures of a test pattern."""

import numpy as np

from vidseg.frames import UInt8Array
from vidseg.sources.pattern_source import STRIP_BITS


def read_strip(image: UInt8Array) -> int:
    """The frame number (modulo 2**24) in the strip along the bottom; survives lossy coding and scaling of the picture.

    For measuring which frame arrived where, and how late. The picture must be at least 24 pixels wide.
    """
    height, width = image.shape[:2]
    row = image[-max(1, height // 48)].mean(axis=-1)
    centres = (np.arange(STRIP_BITS) + 0.5) * width / STRIP_BITS
    bits = row[centres.astype(int)] > 127
    return int("".join("1" if bit else "0" for bit in bits), 2)
