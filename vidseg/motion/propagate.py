"""Masks of the last segmented frame, carried along with the motion onto the frames that the model does not see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from vidseg.frames import Detection, DetectionMode, FloatArray, Frame, QueryMasks, Segmentation
from vidseg.motion.flow import chained, looked_up, resized_flow
from vidseg.motion.tracker import FlowTracker
from vidseg.saved_state import State
from vidseg.timing import StageTimers


@dataclass(frozen=True, slots=True)
class Carry:
    """Brings a segmentation along `flow` (h, w, 2), which leads from the frame shown back to the segmented one."""

    flow: FloatArray
    timers: StageTimers

    def __call__(self, segmentation: Segmentation) -> Segmentation:
        """The segmentation moved; `frame_index` stays that of the frame it was computed from.

        Labels, and how sure they are, are looked up, not mixed, so they stay crisp at the frame's size.
        """
        with self.timers.measure("propagate"):
            flow = resized_flow(self.flow, (segmentation.label_map.shape[0], segmentation.label_map.shape[1]))
            levels = segmentation.levels
            return replace(
                segmentation,
                label_map=looked_up(segmentation.label_map, flow, nearest=True),
                levels=None if levels is None else looked_up(levels, flow, nearest=True),
                _query_masks=_moved_query_masks(segmentation, flow) if segmentation._query_masks else None,
                _detections=_moved_detections(segmentation, flow) if segmentation._detections else None,
            )


class FlowPropagator:
    """Satisfies `vidseg.interfaces.Propagator` by following the motion from frame to frame.

    Remembers the flow from the newest frame back to the anchor: chained frame by frame, because long steps are found
    badly (CamVid at 15 frames per second, every fourth segmented: mIoU 0.4022, searched in one step 0.3987), and always
    applied to the anchor's own masks, so that nothing blurs.
    """

    def __init__(self, timers: StageTimers | None = None) -> None:
        self._tracker = FlowTracker()
        self._timers = timers or StageTimers()
        self._to_anchor: FloatArray | None = None  # None: the newest frame is the anchor
        self._lost = True

    def anchor(self) -> None:
        """From here on masks come from the frame of the last `follow`."""
        self._to_anchor = None
        self._lost = False

    def state(self) -> State:
        """The last frame, and the way from it back to the anchor."""
        return {"tracker": self._tracker.state(), "to_anchor": self._to_anchor, "lost": self._lost}

    def restore(self, state: State) -> None:
        """Go on after the frame of `state`."""
        self._tracker.restore(state["tracker"])
        self._to_anchor, self._lost = state["to_anchor"], state["lost"]

    def follow(self, frame: Frame) -> Carry | None:
        """What brings the anchor's masks onto this frame; None where nothing of the anchor is left to see."""
        with self._timers.measure("propagate", frames=0):
            step = self._tracker.follow(frame)
            if step is None or self._lost:
                self._lost = True  # until the next anchor: what comes now is of another scene
                return None
            self._to_anchor = step.flow if self._to_anchor is None else chained(self._to_anchor, step.flow)
            return Carry(self._to_anchor, self._timers)


def _moved_query_masks(segmentation: Segmentation, flow: FloatArray) -> Callable[[], QueryMasks]:
    def compute() -> QueryMasks:
        found = segmentation.query_masks()
        masks = np.stack([looked_up(mask, flow) for mask in found.masks])
        return replace(found, masks=masks)

    return compute


def _moved_detections(
    segmentation: Segmentation, flow: FloatArray
) -> Callable[[float, DetectionMode], list[Detection]]:
    def compute(threshold: float, mode: DetectionMode) -> list[Detection]:
        moved = []
        for detection in segmentation.detections(threshold, mode):
            mask = looked_up(detection.mask.astype(np.uint8), flow, nearest=True) > 0
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            if mask.sum() > 1:  # else it has left the picture; the same rule as for fresh detections
                box = (int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1]))
                moved.append(replace(detection, bbox=box, mask=mask))
        return moved

    return compute
