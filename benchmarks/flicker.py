"""How much labels flicker: the share of pixels whose label changes although the thing they show does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidseg.frames import FloatArray, UInt8Array
from vidseg.motion.flow import BackwardFlow, looked_up, resized_flow, small_gray

MEASURE_LONG_SIDE = 384
RESIDUAL_LIMIT = 20
"""Grey levels; a pixel that is missed by more is not the same thing."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where each pixel of a frame was in the frame before.

    `rows`, `columns` (H, W) int64 positions in the frame before; `visible` (H, W) bool: it was to be seen there.
    """

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    visible: npt.NDArray[np.bool_]

    @classmethod
    def of_images(cls, now: UInt8Array, before: UInt8Array) -> Alignment:
        """Of two (H, W, 3) uint8 RGB frames of one size. About 100 ms: for measuring, not for running."""
        search = BackwardFlow(careful=True)
        gray_now, gray_before = small_gray(now, MEASURE_LONG_SIDE), small_gray(before, MEASURE_LONG_SIDE)
        back = search.between(gray_now, gray_before)
        there = search.between(gray_before, gray_now)
        missed = np.abs(looked_up(gray_before, back).astype(np.int64) - gray_now) >= RESIDUAL_LIMIT
        visible = returns(back, looked_up(there, back)) & ~missed
        height, width = now.shape[:2]
        flow = resized_flow(back, (height, width))
        rows = np.rint(np.arange(height)[:, None] + flow[..., 1]).astype(np.int64)
        columns = np.rint(np.arange(width)[None, :] + flow[..., 0]).astype(np.int64)
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        small_y = np.arange(height) * visible.shape[0] // height
        small_x = np.arange(width) * visible.shape[1] // width
        seen = visible[small_y[:, None], small_x[None, :]] & inside
        return cls(rows.clip(0, height - 1), columns.clip(0, width - 1), seen)


def returns(back: FloatArray, there: FloatArray) -> npt.NDArray[np.bool_]:
    """(h, w) True where going back and there again ends within a pixel or so of the start: not occluded.

    The bound is that of N. Sundaram et al., "Dense point trajectories by GPU-accelerated large displacement optical
    flow", ECCV 2010, eq. 5. `there` is the forward flow looked up at the end of `back`; both (h, w, 2) in pixels.
    """
    error = ((back + there) ** 2).sum(axis=-1)
    length = (back**2).sum(axis=-1) + (there**2).sum(axis=-1)
    return np.asarray(error < 0.01 * length + 0.5)


def changed_share(now: UInt8Array, before: UInt8Array, alignment: Alignment) -> float:
    """Share, 0..1, of the visible pixels whose label (H, W) differs from the one at their place in the frame before.

    NaN where under 30 % of the pixels are visible in both: a cut, or motion that was not found.
    """
    if alignment.visible.mean() < 0.3:
        return float("nan")
    changed = now != before[alignment.rows, alignment.columns]
    return float(changed[alignment.visible].mean())
