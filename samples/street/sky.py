"""The sky: paler towards the horizon, with thin clouds."""

from __future__ import annotations

import cv2
import numpy as np

from street.noise import smooth_noise
from street.view import Camera, Canvas, UInt8Array


class Sky:
    """A picture at infinity: columns cover 120 degrees around the street's end, rows 0..60 degrees of height."""

    def __init__(self, rng: np.random.Generator) -> None:
        shape = (240, 480)
        rise = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None, None]
        clear = np.array([208, 220, 232]) + (np.array([86, 132, 192]) - np.array([208, 220, 232])) * rise**0.55
        cloud = smooth_noise(shape, (40, 110), rng, 6)[..., None]
        cover = np.clip((cloud - 0.05) * 0.5, 0, 0.92) * np.clip(1.1 - 0.5 * rise, 0, 1)
        lit = np.clip(238 + 10 * smooth_noise(shape, (25, 60), rng, 4)[..., None] - 12 * cloud, 0, 250)
        self.picture: UInt8Array = np.clip(clear + (lit - clear) * cover, 0, 255).astype(np.uint8)

    def draw(self, canvas: Canvas, camera: Camera) -> None:
        """Fill the whole canvas; classes stay as they are (sky)."""
        width, height = camera.size_wh
        # infinitely far: only the camera's turn moves it; a coarse grid is enough for so smooth a picture
        step = 6
        x = (np.arange(0, width, step, dtype=np.float32) - camera.centre[0]) / camera.focal
        y = (camera.centre[1] - np.arange(0, height, step, dtype=np.float32)) / camera.focal
        rays = np.stack([*np.meshgrid(x, y), np.ones((len(y), len(x)), np.float32)], -1) @ camera.rotation
        bearing, rise = np.arctan2(rays[..., 0], rays[..., 2]), np.arctan2(rays[..., 1], rays[..., 2])
        column = (np.degrees(bearing) + 60) / 120 * (self.picture.shape[1] - 1)
        row = np.clip(np.degrees(rise), 0, 60) / 60 * (self.picture.shape[0] - 1)
        picked = cv2.remap(self.picture, column.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR)
        canvas.image[:] = cv2.resize(picked, (width, height), interpolation=cv2.INTER_LINEAR)
