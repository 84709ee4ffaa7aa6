"""Failing closed: what a frame shows without masks of its own is not known."""

from __future__ import annotations

import numpy as np

from vidseg.frames import NO_LABEL, Frame, Segmentation


def own_masks(frame: Frame, segmentation: Segmentation) -> Segmentation:
    """The segmentation if it was computed from this frame and fits it; else one that says nothing anywhere."""
    if segmentation.frame_index == frame.index and segmentation.label_map.shape == frame.size_hw:
        return segmentation
    return Segmentation(np.full(frame.size_hw, NO_LABEL, dtype=np.uint8), segmentation.frame_index)
