"""Pictures as the bytes of a file."""

from __future__ import annotations

import cv2
import numpy as np

from vidseg.frames import UInt8Array

JPEG_QUALITY = 82


def encode_picture(
    picture: UInt8Array, encoding: str, *, max_width: int | None = None, quality: int = JPEG_QUALITY
) -> bytes:
    """The bytes of a JPEG or PNG file.

    Args:
        picture: (H, W, 3) uint8 RGB.
        encoding: "jpeg" or "png".
        max_width: a wider picture is made smaller, with its sides in proportion.
        quality: of a JPEG, 1 to 100.
    """
    height, width = picture.shape[:2]
    if max_width is not None and width > max_width:
        size = (max_width, max(1, round(height * max_width / width)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    if encoding == "png":
        return cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
