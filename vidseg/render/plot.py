"""A plot on white: a frame with room for words around it, and places in it as shares of its sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vidseg.frames import UInt8Array

Rgb = tuple[int, int, int]
INK: Rgb = (60, 60, 60)
GRID: Rgb = (228, 228, 228)
TEXT_SCALE = 0.45


@dataclass(frozen=True, slots=True)
class Plot:
    """Where on a picture of this size the frame is; the margins are in pixels."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    def blank(self) -> UInt8Array:
        """(height, width, 3) RGB, white."""
        return np.full((self.height, self.width, 3), 255, dtype=np.uint8)

    def x(self, share: float) -> int:
        """The column of a place, 0 at the left side of the frame and 1 at the right."""
        return round(self.left + share * (self.width - self.left - self.right))

    def y(self, share: float) -> int:
        """The row of a place, 0 at the bottom of the frame and 1 at the top."""
        return round(self.height - self.bottom - share * (self.height - self.top - self.bottom))

    def rule(self, picture: UInt8Array, across: Sequence[float], upwards: Sequence[float]) -> None:
        """Draw grid lines at these places, 0..1, and the frame into an (H, W, 3) picture."""
        for share in upwards:
            cv2.line(picture, (self.x(0), self.y(share)), (self.x(1), self.y(share)), GRID, 1)
        for share in across:
            cv2.line(picture, (self.x(share), self.y(1)), (self.x(share), self.y(0)), GRID, 1)
        cv2.rectangle(picture, (self.x(0), self.y(1)), (self.x(1), self.y(0)), INK, 1)


def put_text(picture: UInt8Array, text: str, place: tuple[int, int], colour: Rgb, align: float = 0.0) -> None:
    """Draw text into an (H, W, 3) picture, centred on the height of `place` (x, y).

    `align`: 0 starts there, 0.5 is centred, 1 ends there.
    """
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, TEXT_SCALE, 1)
    corner = (round(place[0] - align * width), place[1] + height // 2)
    cv2.putText(picture, text, corner, cv2.FONT_HERSHEY_SIMPLEX, TEXT_SCALE, colour, 1, cv2.LINE_AA)


def png_of(picture: UInt8Array) -> bytes:
    """An (H, W, 3) uint8 RGB picture as a PNG."""
    _, code = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return code.tobytes()
