"""One picture file as 8-bit RGB, upright, whatever its samples are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidseg.errors import SourceError
from vidseg.frames import UInt8Array
from vidseg.names import shown_name
from vidseg.picture_size import HEADER_BYTES, MAX_PIXELS, too_large
from vidseg.sources.heif import is_heif, read_heif
from vidseg.video.quiet import quiet_opencv

_DEPTHS = (10, 12, 14, 16)
"""Bits that cameras and scanners put into 16-bit samples."""
_PNM = re.compile(rb"P[2356](?:\s+|#[^\n]*\n)+(?:[0-9]+(?:\s+|#[^\n]*\n)+){2}([0-9]{1,5})\s")
"""The head of a .pgm or .ppm; the number is that of white."""


class PictureReader:
    """Reads pictures one after the other. Remembers the range of samples of more than 8 bits, so that all look alike.

    `notes` are one sentence each on what was done to the samples of the last picture.

    Args:
        max_pixels: pictures with more are refused, before they are decoded.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self._max_pixels = max_pixels
        self.notes: tuple[str, ...] = ()
        self._bits = 0
        self._range: tuple[float, float] | None = None

    def read(self, path: Path) -> UInt8Array | None:
        """(H, W, 3) uint8 RGB, upright; None where the file cannot be read or decoded.

        Raises:
            SourceError: its header says that it has more than `max_pixels`.
        """
        self.notes = ()
        try:
            # From memory rather than by name: OpenCV cannot open every name that the system can.
            data = np.fromfile(path, np.uint8)
            if (said := too_large(data[:HEADER_BYTES].tobytes(), self._max_pixels)) is not None:
                raise SourceError(f"{shown_name(str(path))}: {said}; make it smaller, or give --max-pixels")
            if is_heif(data[:64].tobytes()):
                image, self.notes = read_heif(data.tobytes())
                return image
            bgr = _decoded(data)
        except (OSError, ValueError, cv2.error):
            return None
        if bgr is None:
            return None
        white = _PNM.match(data[:4096].tobytes())
        if white is not None and int(white[1]) not in (255, 65535):
            return _rgb(self._between(bgr, 0, max(1, int(white[1]))))
        return _rgb(self._as_8_bits(bgr))

    def _as_8_bits(self, image: npt.NDArray[Any]) -> UInt8Array:
        if image.dtype == np.uint8:
            return image
        if image.dtype != np.uint16:
            return self._scaled(image)
        top = int(image.max())
        self._bits = max(self._bits, next(bits for bits in _DEPTHS if top < 1 << bits))
        if self._bits < 16:
            self.notes = (f"16-bit samples that use {self._bits} bits: white is {(1 << self._bits) - 1}",)
        return (image >> (self._bits - 8)).astype(np.uint8)

    def _scaled(self, image: npt.NDArray[Any]) -> UInt8Array:
        """Floats and numbers with a sign: those from 0 to 1 are shares of white, others lie between their extremes."""
        known = image[np.isfinite(image)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
        if image.dtype.kind == "f" and low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        if self._range is None and low < high:
            self._range = (low, high)
        low, high = self._range or (low, low + 1)
        self.notes = (f"{image.dtype} samples: black is {low:g}, white is {high:g}",)
        return self._between(image, low, high)

    @staticmethod
    def _between(image: npt.NDArray[Any], low: float, high: float) -> UInt8Array:
        shares = (image.astype(np.float64) - low) / (high - low)
        return np.rint(255 * np.clip(np.nan_to_num(shares), 0, 1)).astype(np.uint8)


def _decoded(data: UInt8Array) -> npt.NDArray[Any] | None:
    """(H, W, 3) BGR, or (H, W) and other channels for the kinds that OpenCV gives only as they are; any type."""
    if not data.size:
        return None
    with quiet_opencv():
        found = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        return cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if found is None else found


def _rgb(image: UInt8Array) -> UInt8Array:
    channels = 1 if image.ndim == 2 else image.shape[2]
    code = {1: cv2.COLOR_GRAY2RGB, 4: cv2.COLOR_BGRA2RGB}.get(channels, cv2.COLOR_BGR2RGB)
    return np.asarray(cv2.cvtColor(image, code), np.uint8)
