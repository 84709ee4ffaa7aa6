"""Failing closed: what a frame shows without masks of its own is not known."""

from __future__ import annotations

from vidseg.frames import Frame, Segmentation, nothing_in


def own_masks(frame: Frame, segmentation: Segmentation) -> Segmentation:
    """The segmentation if it was computed from this frame and fits it; else one that says nothing anywhere."""
    if segmentation.frame_index == frame.index and segmentation.label_map.shape == frame.size_hw:
        return segmentation
    return nothing_in(frame.size_hw, segmentation.frame_index)
