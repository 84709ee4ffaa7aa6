"""Masks carried along the motion where something is to be hidden: what is unknown gets no label.

Between two segmented frames somebody may come in whom the model has not seen yet. Carried masks know nothing of them,
but the picture does: what the last segmented frame, moved along, does not explain gets no label, and what has no label
is hidden. Hidden classes are kept where they were, too, in case the motion was not found. It is a net with holes: what
comes in and looks like what is next to it is taken for that. With a stride of 1 there is no such question.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vidseg.frames import NO_LABEL, FloatArray, Frame, Segmentation, UInt8Array
from vidseg.motion.flow import looked_up, small_gray
from vidseg.motion.propagate import Carry, FlowPropagator
from vidseg.timing import StageTimers

UNEXPLAINED = 20
"""Grey levels by which a cell may miss what the segmented frame, moved along, shows there and in the cells around."""
GAP = 9
"""Cells of the small grid (192 across): gaps in the unexplained that are no wider are unexplained too. For the inner
parts of what comes in, the search often finds something alike nearby."""
REACH = 2
"""Cells by which the unexplained grows, for its edge."""


def unexplained(now: UInt8Array, before: UInt8Array, flow: FloatArray) -> UInt8Array:
    """(h, w) uint8, 255 where `before` (h, w), moved along the backward `flow` (h, w, 2), is not what `now` shows.

    So is what was outside the picture.
    """
    height, width = now.shape
    expected, around = looked_up(before, flow), _square(3)
    # what the neighbours show explains a cell too: the flow is off by fractions of a cell, which shows along every edge
    above = cv2.subtract(now, cv2.dilate(expected, around))
    below = cv2.subtract(cv2.erode(expected, around), now)
    missed = cv2.max(above, below) > UNEXPLAINED
    x = np.arange(width, dtype=np.float32)[None, :] + flow[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
    outside = (x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)
    unknown = cv2.morphologyEx((missed | outside).view(np.uint8) * 255, cv2.MORPH_CLOSE, _square(GAP))
    return np.asarray(cv2.dilate(unknown, _square(2 * REACH + 1)), dtype=np.uint8)


def _square(side: int) -> UInt8Array:
    return np.ones((side, side), dtype=np.uint8)


def _unsure(levels: UInt8Array, labels: UInt8Array) -> UInt8Array:
    """(H, W) the levels of confidence, 0 where the labels say nothing."""
    return np.where(labels == NO_LABEL, np.uint8(0), levels)


@dataclass(frozen=True, slots=True)
class CautiousCarry:
    """Brings a segmentation onto a frame, with less said than `carry` says.

    `unknown` (h, w) is not 0 where nothing is to be said; `hidden` (256,) not 0 for classes to keep where they were.
    """

    carry: Carry
    unknown: UInt8Array
    hidden: UInt8Array

    def __call__(self, segmentation: Segmentation) -> Segmentation:
        """The segmentation moved; `frame_index` stays that of the frame it was computed from."""
        moved = self.carry(segmentation)
        held, labels = segmentation.label_map, moved.label_map.copy()
        height, width = labels.shape
        unknown = cv2.resize(self.unknown, (width, height), interpolation=cv2.INTER_NEAREST)
        labels[unknown != 0] = NO_LABEL
        left_behind = (cv2.LUT(held, self.hidden) != 0) & (cv2.LUT(moved.label_map, self.hidden) == 0)
        labels[left_behind] = held[left_behind]
        return replace(moved, label_map=labels, levels=None if moved.levels is None else _unsure(moved.levels, labels))


class CautiousPropagator:
    """Satisfies `vidseg.interfaces.Propagator` for pictures in which classes are hidden.

    Remembers what `FlowPropagator` does, and the anchor as a small grey picture.

    Args:
        hidden: ids of the classes that are hidden.
    """

    def __init__(self, hidden: Iterable[int], timers: StageTimers | None = None) -> None:
        self._flow = FlowPropagator(timers)
        self._hidden = np.zeros(256, dtype=np.uint8)
        self._hidden[list(hidden)] = 255
        self._gray: UInt8Array | None = None
        self._anchor: UInt8Array | None = None

    def anchor(self) -> None:
        """From here on masks come from the frame of the last `follow`."""
        self._flow.anchor()
        self._anchor = self._gray

    def follow(self, frame: Frame) -> CautiousCarry | None:
        """What brings the anchor's masks onto this frame; None where nothing of the anchor is left to see."""
        self._gray = small_gray(frame.image)
        carry = self._flow.follow(frame)
        if carry is None or self._anchor is None:
            return None
        return CautiousCarry(carry, unexplained(self._gray, self._anchor, carry.flow), self._hidden)
