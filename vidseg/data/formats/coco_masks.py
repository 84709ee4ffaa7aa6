"""COCO's polygons and run lengths as masks, pixel for pixel as pycocotools makes them.

Source: github.com/cocodataset/cocoapi, common/maskApi.c (`rleFrPoly`, `rleFrString`, `rleDecode`). Different here:
whole arrays in NumPy, and a mask instead of run lengths.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg.frames import BoolArray

_FINER = 5
"""Outlines are walked on a grid this much finer than the pixels."""


def segmentation_mask(segmentation: Any, size_hw: tuple[int, int]) -> BoolArray:
    """(H, W) of the field "segmentation": polygons, or run lengths as numbers or as COCO's string.

    Raises:
        ValueError: it is none of these, or of another size.
    """
    if isinstance(segmentation, dict):
        if tuple(segmentation.get("size", ())) != size_hw:
            raise ValueError(f"run lengths of {segmentation.get('size')} for an image of {list(size_hw)}")
        counts = segmentation.get("counts")
        if isinstance(counts, str | bytes):
            counts = decompressed(counts)
        if not isinstance(counts, list | np.ndarray):
            raise ValueError("run lengths without 'counts'")
        return mask_of_runs(np.asarray(counts, dtype=np.int64), size_hw)
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError("no polygons")
    polygons = segmentation if isinstance(segmentation[0], list) else [segmentation]
    mask = np.zeros(size_hw, dtype=np.bool_)
    for polygon in polygons:
        points = np.asarray(polygon, dtype=np.float64)
        if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
            raise ValueError("a polygon is not x1, y1, x2, y2, ... of three points or more")
        mask |= polygon_mask(points.reshape(-1, 2), size_hw)
    return mask


def mask_of_runs(counts: npt.NDArray[np.int64], size_hw: tuple[int, int]) -> BoolArray:
    """(H, W) of the lengths of runs down the columns, zeros first. Raises ValueError for other than H * W pixels."""
    height, width = size_hw
    if counts.ndim != 1 or (counts < 0).any() or counts.sum() != height * width:
        raise ValueError(f"run lengths of {int(counts.sum())} pixels for an image of {height * width}")
    ones = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return np.ascontiguousarray(ones.reshape(width, height).T)


def decompressed(text: str | bytes) -> npt.NDArray[np.int64]:
    """The run lengths (N,) of COCO's string. Raises ValueError for text that is none."""
    data = text.encode("ascii", "replace") if isinstance(text, str) else text
    counts: list[int] = []
    value = shift = 0
    for character in data:
        code = character - 48
        if not 0 <= code < 64:
            raise ValueError("run lengths contain a character that COCO does not use")
        value |= (code & 0x1F) << shift
        shift += 5
        if code & 0x20:
            continue
        if code & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("run lengths are cut short")
    return np.array(counts, dtype=np.int64)


def polygon_mask(points: npt.NDArray[np.float64], size_hw: tuple[int, int]) -> BoolArray:
    """(H, W) of one outline (N, 2) of x, y."""
    height, width = size_hw
    far = 10 * (width + height) + 1000  # nobody draws there, and a walk to it would fill the memory
    x, y = _walked(np.trunc(np.clip(points, -far, far) * _FINER + 0.5).astype(np.int64))
    steps = np.flatnonzero(np.diff(x))  # where the outline enters another column of the fine grid
    left = np.minimum(x[steps], x[steps + 1])
    top = np.minimum(y[steps], y[steps + 1])
    column = (left + 0.5) / _FINER - 0.5
    inside = (column == np.floor(column)) & (column >= 0) & (column <= width - 1)
    mask = np.zeros(size_hw, dtype=np.bool_)
    if inside.any():
        columns = column[inside].astype(np.int64)
        rows = np.ceil(np.clip((top[inside] + 0.5) / _FINER - 0.5, 0, height)).astype(np.int64)
        first, count = columns.min(), columns.max() + 1 - columns.min()
        turns = np.bincount((columns - first) * height + rows, minlength=count * height)[: count * height]
        # each column is entered as often as it is left, so that those beside these have none
        mask[:, first : first + count] = (np.cumsum(turns) % 2 == 1).reshape(count, height).T
    return mask


def _walked(corners: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """x and y of every point of the fine grid along the closed outline, each side with both its ends."""
    ends = np.roll(corners, -1, axis=0)
    across, down = np.abs(ends - corners).T
    flat = across >= down
    flipped = np.where(flat, corners[:, 0] > ends[:, 0], corners[:, 1] > ends[:, 1])
    first = np.where(flipped[:, None], ends, corners)
    last = np.where(flipped[:, None], corners, ends)
    longest = np.maximum(across, down)
    rise = np.where(flat, last[:, 1] - first[:, 1], last[:, 0] - first[:, 0])
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(longest > 0, rise / longest, 0.0)
    side = np.repeat(np.arange(len(corners)), longest + 1)
    place = np.arange(len(side)) - np.repeat(np.cumsum(longest + 1) - longest - 1, longest + 1)
    place = np.where(flipped[side], longest[side] - place, place)
    along = place + np.where(flat, first[:, 0], first[:, 1])[side]
    other = np.trunc(np.where(flat, first[:, 1], first[:, 0])[side] + slope[side] * place + 0.5).astype(np.int64)
    return np.where(flat[side], along, other), np.where(flat[side], other, along)
