"""What is cut from the pictures of a source, and how they are turned, before anything looks at them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vidseg.errors import ConfigError, SourceError
from vidseg.frames import UInt8Array

_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


@dataclass(frozen=True, slots=True)
class PictureChange:
    """First cropped, then turned, then mirrored."""

    crop: tuple[int, int, int, int] | None = None
    """(width, height, left, top) in pixels of the upright picture."""
    rotate: int | None = None
    """Degrees clockwise: 90, 180 or 270."""
    mirror: bool = False
    """Left to right."""

    @classmethod
    def asked(cls, crop: str | None, rotate: int | None, mirror: bool) -> PictureChange | None:
        """The change that the options say, `crop` as WxH+X+Y; None where they say none."""
        if crop is None and rotate is None and not mirror:
            return None
        box = None
        if crop is not None:
            size, left, top = crop.split("+")
            width, height = size.split("x")
            box = (int(width), int(height), int(left), int(top))
        return cls(box, rotate, mirror)

    def size(self, name: str, width: int, height: int) -> tuple[int, int]:
        """(width, height) of what becomes of a picture. Raises ConfigError if the part to keep is not in it."""
        if self.crop is not None:
            wide, high, left, top = self.crop
            if left + wide > width or top + high > height:
                raise ConfigError(
                    f"{name}: --crop {wide}x{high}+{left}+{top} reaches beyond its {width}x{height} pixels; "
                    "give a part inside as WIDTHxHEIGHT+LEFT+TOP"
                )
            width, height = wide, high
        return (height, width) if self.rotate in (90, 270) else (width, height)

    def apply(self, image: UInt8Array) -> UInt8Array:
        """The changed (H, W, 3) picture, contiguous. Of a smaller one than the first, what lies in the part is kept.

        Raises:
            SourceError: nothing does.
        """
        if self.crop is not None:
            wide, high, left, top = self.crop
            image = image[top : top + high, left : left + wide]
            if not image.size:
                raise SourceError(
                    f"the picture has nothing in the part that --crop keeps, from {left},{top} on; leave out --crop"
                )
        if self.rotate is not None:
            image = np.asarray(cv2.rotate(image, _TURNS[self.rotate]), np.uint8)
        if self.mirror:
            image = np.asarray(cv2.flip(image, 1), np.uint8)
        return np.ascontiguousarray(image)
