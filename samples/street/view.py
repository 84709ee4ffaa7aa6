"""The pinhole camera, the canvas it draws on, and the light that everything shares.

Pictures are drawn at `SUPERSAMPLE` times the final size and averaged down; the label of a final pixel is the class
that most of its samples have. There is no depth buffer: whoever draws later is in front.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.floating[Any]]

SUPERSAMPLE = 3
NEAR_METRES = 0.35
HAZE = np.array([206, 216, 226], np.float32)
HAZE_METRES = 260.0
SUN = np.array([-0.46, 0.68, -0.57], np.float32)
"""Unit vector towards the sun: left of the street, high, behind the camera."""
SUN_COLOUR = np.array([1.02, 0.96, 0.86], np.float32)
SKY_COLOUR = np.array([0.50, 0.55, 0.62], np.float32)
GROUND_COLOUR = np.array([0.30, 0.29, 0.27], np.float32)

SKY, BUILDING, TREE, ROAD, GRASS, SIDEWALK, PERSON, CAR, FENCE, SIGN, AWNING, POLE = (
    2, 1, 4, 6, 9, 11, 12, 20, 32, 43, 86, 93,
)  # fmt: skip
"""Class ids of ADE20K, counted from 0."""


def haze_share(depth: npt.ArrayLike) -> FloatArray:
    """Share of haze (0..1) in what is seen at `depth` metres."""
    return (1.0 - np.exp(-((np.maximum(depth, 0) / HAZE_METRES) ** 1.15))).astype(np.float32)


@dataclass(frozen=True)
class Camera:
    """Pinhole at `position`; `rotation` turns world directions into camera directions (x right, y up, z ahead)."""

    position: FloatArray
    rotation: FloatArray
    focal: float
    """In samples, not final pixels; so are `centre` and `size_wh`."""
    centre: tuple[float, float]
    size_wh: tuple[int, int]

    @classmethod
    def looking(
        cls, position: tuple[float, float, float], yaw: float, pitch: float, roll: float, size_wh: tuple[int, int]
    ) -> Camera:
        """A camera with small turns in radians (right, up, clockwise) for a final picture of `size_wh`."""
        width, height = size_wh[0] * SUPERSAMPLE, size_wh[1] * SUPERSAMPLE
        sy, cy, sp, cp, sr, cr = np.sin(yaw), np.cos(yaw), np.sin(pitch), np.cos(pitch), np.sin(roll), np.cos(roll)
        turn_yaw = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
        turn_pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        turn_roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        rotation = (turn_roll @ turn_pitch @ turn_yaw).astype(np.float32)
        return cls(np.array(position, np.float32), rotation, 0.88 * width, (width / 2, height * 0.53), (width, height))

    def to_camera(self, points: npt.ArrayLike) -> FloatArray:
        """(..., 3) world points in camera coordinates; the last one is the depth."""
        return np.asarray((np.asarray(points, np.float32) - self.position) @ self.rotation.T, np.float32)

    def to_samples(self, in_camera: FloatArray) -> FloatArray:
        """(..., 2) sample positions of points in camera coordinates, all in front of the camera."""
        depth = in_camera[..., 2]
        x = self.centre[0] + self.focal * in_camera[..., 0] / depth
        y = self.centre[1] - self.focal * in_camera[..., 1] / depth
        return np.stack([x, y], -1)

    def outline(self, corners: npt.ArrayLike) -> FloatArray | None:
        """The seen outline (N, 2) of a flat polygon, cut at the near plane; None where nothing is in front."""
        points = self.to_camera(corners)
        kept: list[FloatArray] = []
        for a, b in zip(points, np.roll(points, -1, 0), strict=True):
            if a[2] >= NEAR_METRES:
                kept.append(a)
            if (a[2] >= NEAR_METRES) != (b[2] >= NEAR_METRES):
                kept.append(a + (b - a) * (NEAR_METRES - a[2]) / (b[2] - a[2]))
        return self.to_samples(np.array(kept)) if len(kept) >= 3 else None

    def window(self, outline: FloatArray, margin: float = 1.0) -> tuple[int, int, int, int] | None:
        """(x0, y0, x1, y1) of the samples that the outline can touch; None where it is out of the picture."""
        low = np.floor(outline.min(0) - margin)
        high = np.ceil(outline.max(0) + margin) + 1
        x0, y0 = np.clip(low, 0, self.size_wh).astype(int)
        x1, y1 = np.clip(high, 0, self.size_wh).astype(int)
        return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


@dataclass
class Canvas:
    """What is drawn: `image` (H, W, 3) RGB and `labels` (H, W), both in samples."""

    size_wh: tuple[int, int]
    image: UInt8Array = field(init=False)
    labels: UInt8Array = field(init=False)

    def __post_init__(self) -> None:
        width, height = self.size_wh
        self.image = np.zeros((height, width, 3), np.uint8)
        self.labels = np.full((height, width), SKY, np.uint8)

    def polygon(self, points: FloatArray, colour: tuple[float, ...], label: int) -> None:
        """Fill one convex polygon (N, 2) with one colour and its class."""
        fixed = np.round(points * 16).astype(np.int32)
        cv2.fillConvexPoly(self.image, fixed, colour, cv2.LINE_8, 4)
        cv2.fillConvexPoly(self.labels, fixed, (label,), cv2.LINE_8, 4)

    def shade(self, camera: Camera, corners: npt.ArrayLike, softness: float, strength: float) -> None:
        """Darken a flat polygon of the world with an edge that is `softness` metres wide; no class changes."""
        in_camera = camera.to_camera(corners)
        if in_camera[:, 2].min() < 1.0:
            return
        sigma = float(np.clip(softness * camera.focal / in_camera[:, 2].mean(), 0.6, 60))
        outline = camera.to_samples(in_camera)
        window = camera.window(outline, 2 * sigma)
        if window is None:
            return
        x0, y0, x1, y1 = window
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(mask, [np.round((outline - (x0, y0)) * 16).astype(np.int32)], (255,), cv2.LINE_8, 4)
        # blurred wider along the rows than across them, as the ground is seen at a grazing angle
        soft = cv2.GaussianBlur(mask, (0, 0), sigmaX=sigma, sigmaY=max(0.5, sigma * 0.35))
        part = self.image[y0:y1, x0:x1]
        part[:] = (part * (1 - strength / 255 * soft[..., None].astype(np.float32))).astype(np.uint8)

    def reduced(self) -> tuple[FloatArray, UInt8Array]:
        """The picture (h, w, 3) float32 and the class of most samples (h, w), both at the final size."""
        width, height = self.size_wh[0] // SUPERSAMPLE, self.size_wh[1] // SUPERSAMPLE
        image = cv2.resize(self.image, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        blocks = self.labels.reshape(height, SUPERSAMPLE, width, SUPERSAMPLE)
        best = np.zeros((height, width), np.uint8)
        labels = np.full((height, width), 255, np.uint8)
        for value in np.unique(self.labels):
            votes = (blocks == value).sum((1, 3), dtype=np.uint8)
            wins = votes > best
            best[wins], labels[wins] = votes[wins], value
        return image, labels
