"""A camera that is not there: the part of `cv2.VideoCapture` that `CameraSource` uses."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np


class FakeCapture:
    """Gives `pictures` blue-green-red pictures, then nothing; `misses` are the reads that fail on the way."""

    def __init__(
        self, *, pictures: int = 1_000_000, misses: frozenset[int] = frozenset(), opens: bool = True, rate: float = 30.0
    ) -> None:
        self.left, self.misses, self.opens, self.rate = pictures, misses, opens, rate
        self.reads = 0
        self.released = 0
        self.asked: dict[int, float] = {}

    def isOpened(self) -> bool:
        return self.opens

    def read(self) -> tuple[bool, Any]:
        self.reads += 1
        if self.left == 0 or self.reads in self.misses:
            return False, None
        self.left -= 1
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[:] = (200, 100, 50)
        return True, picture

    def get(self, prop: int, /) -> float:
        return self.rate if prop == cv2.CAP_PROP_FPS else 0.0

    def set(self, prop: int, value: float, /) -> bool:
        self.asked[prop] = value
        return True

    def release(self) -> None:
        self.released += 1
