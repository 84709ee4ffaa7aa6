"""Random fields that make surfaces look worn: smooth at a chosen scale, or in bricks."""

from __future__ import annotations

import cv2
import numpy as np

from street.view import FloatArray


def smooth_noise(
    shape: tuple[int, int], cell: float | tuple[float, float], rng: np.random.Generator, octaves: int = 4
) -> FloatArray:
    """(H, W) noise, mean about 0 and deviation about 1, whose largest blots are `cell` (rows, columns) pixels."""
    cell_y, cell_x = (cell, cell) if isinstance(cell, int | float) else cell
    total = np.zeros(shape, np.float32)
    weight = 1.0
    for _ in range(octaves):
        rows, columns = int(shape[0] / max(cell_y, 1)) + 3, int(shape[1] / max(cell_x, 1)) + 3
        grid = rng.standard_normal((rows, columns)).astype(np.float32)
        total += weight * cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
        cell_y, cell_x, weight = cell_y / 2, cell_x / 2, weight * 0.6
        if max(cell_y, cell_x) < 1:
            break
    return total / max(float(total.std()), 1e-6)


def blocks(
    shape: tuple[int, int],
    block: tuple[float, float],
    joint: float,
    rng: np.random.Generator,
    stagger: bool = True,
) -> tuple[FloatArray, FloatArray]:
    """Bricks, stones or slabs: (H, W) random number of each block, deviation 1, and (H, W) share of joint 0..1.

    Args:
        block: height and width of a block in pixels.
        joint: width of the joint in pixels; thinner than a pixel gives a paler joint.
        stagger: every second row is moved by half a block.
    """
    y, x = np.arange(shape[0], dtype=np.float32)[:, None], np.arange(shape[1], dtype=np.float32)[None, :]
    row = np.floor(y / block[0])
    moved = x + (row % 2) * (block[1] / 2 if stagger else 0)
    column = np.floor(moved / block[1])
    table = rng.standard_normal((int(row.max()) + 1, int(column.max()) + 1)).astype(np.float32)
    value = table[row.astype(int), column.astype(int)]
    away_y, away_x = y - row * block[0], moved - column * block[1]
    covered = np.maximum(np.clip(joint - away_y, 0, 1), np.clip(joint - away_x, 0, 1))
    return value, covered.astype(np.float32)
