"""Datasets made for a test: pictures whose classes can be seen by their colour."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

COLOURS = {2: (120, 180, 250), 6: (90, 90, 90), 4: (30, 140, 40), 20: (200, 30, 30)}
"""Class id -> RGB."""


def make_dataset(
    folder: Path, count: int = 4, size_hw: tuple[int, int] = (48, 64), *, soft: bool = False, seed: int = 0
) -> Path:
    """Sky over road with a tree and a car at random places; the upper left corner has no label."""
    rng = np.random.default_rng(seed)
    height, width = size_hw
    for name in ("images", "labels", *(("soft",) if soft else ())):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        labels = np.full(size_hw, 2, dtype=np.uint8)
        labels[round(height * rng.uniform(0.4, 0.6)) :] = 6
        left = int(rng.integers(0, width // 2))
        labels[height // 4 : 3 * height // 4, left : left + width // 4] = 4
        left = int(rng.integers(width // 2, 3 * width // 4))
        labels[height // 2 :, left : left + width // 4] = 20
        image = np.zeros((*size_hw, 3), dtype=np.uint8)
        for class_id, colour in COLOURS.items():
            image[labels == class_id] = colour
        noise = rng.normal(0, 6, image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
        known = labels.copy()
        known[:4, :4] = 255
        stem = f"{number:03}"
        cv2.imwrite(str(folder / "images" / f"{stem}.png"), image[..., ::-1])
        cv2.imwrite(str(folder / "labels" / f"{stem}.png"), known)
        if soft:
            coarse = labels[2::4, 2::4]
            ids = np.stack([coarse, (coarse + 1) % 150, (coarse + 2) % 150]).astype(np.uint8)
            probs = np.broadcast_to(np.array([160, 48, 16], np.uint8)[:, None, None], ids.shape)
            np.savez(folder / "soft" / f"{stem}.npz", ids=ids, probs=probs)
    return folder
