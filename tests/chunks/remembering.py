"""Stages with a memory in which any loss shows, for runs in chunks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vidseg.frames import Frame, Segmentation, UInt8Array
from vidseg.saved_state import State


class SummingSegmenter:
    """Labels depend on every frame seen so far."""

    def __init__(self) -> None:
        self._sum = np.zeros(1, np.int64)

    def segment(self, frames: Sequence[Frame]) -> list[Segmentation]:
        found = []
        for frame in frames:
            self._sum = self._sum * 3 + frame.index + 1
            found.append(Segmentation(np.full(frame.size_hw, self._sum[0] % 150, np.uint8), frame.index))
        return found

    def state(self) -> State:
        return {"sum": self._sum}

    def restore(self, state: State) -> None:
        self._sum = state["sum"]


class CountingPropagator:
    """Carries labels by adding the number of frames since the anchor."""

    def __init__(self) -> None:
        self._since = -1

    def follow(self, frame: Frame) -> Callable[[Segmentation], Segmentation] | None:
        if self._since < 0:
            return None
        self._since += 1
        since = self._since
        return lambda last: Segmentation(last.label_map + np.uint8(since), last.frame_index)

    def anchor(self) -> None:
        self._since = 0

    def state(self) -> State:
        return {"since": self._since}

    def restore(self, state: State) -> None:
        self._since = state["since"]


class BandRenderer:
    """Paints the label over the left half; fails at the picture of that number."""

    def __init__(self, fail_at: int | None = None) -> None:
        self._left = -1 if fail_at is None else fail_at

    def render(self, image: UInt8Array, segmentation: Segmentation) -> UInt8Array:
        if self._left == 0:
            raise RuntimeError("renderer broke")
        self._left -= 1
        picture = image.copy()
        half = image.shape[1] // 2
        picture[:, :half] = segmentation.label_map[:, :half, None]
        return picture
