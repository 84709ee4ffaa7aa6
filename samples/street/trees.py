"""Trees in leaf: a trunk with boughs, and crowns painted leaf by leaf on upright cards."""

from __future__ import annotations

import cv2
import numpy as np

from street.mesh import Mesh, tube
from street.view import HAZE, SUN, Camera, Canvas, FloatArray, UInt8Array, haze_share

MARGIN = 1.25
"""Cards are this much larger than the crown's nominal size."""


class Card:
    """An upright picture with holes: `image` (h, w, 3), `mask` (h, w) 0 or 255, `size` (width, height) in metres."""

    def __init__(self, image: UInt8Array, mask: UInt8Array, size: tuple[float, float]) -> None:
        self.size = size
        self.copies = [(image, mask)]
        while min(image.shape[:2]) >= 32:
            half = (image.shape[1] // 2, image.shape[0] // 2)
            image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
            mask = np.asarray(cv2.resize(mask, half, interpolation=cv2.INTER_AREA), np.uint8)
            self.copies.append((image, mask))

    def draw(
        self, canvas: Canvas, camera: Camera, middle: tuple[float, float, float], label: int, mirrored: bool = False
    ) -> None:
        """Draw the card across the street with its middle at a place in the world."""
        x, y, z = middle
        half_wide, half_high = self.size[0] / 2 * (-1 if mirrored else 1), self.size[1] / 2
        corners = [(x - half_wide, y + half_high, z), (x + half_wide, y + half_high, z)]
        corners += [(x + half_wide, y - half_high, z), (x - half_wide, y - half_high, z)]
        in_camera = camera.to_camera(corners)
        if in_camera[:, 2].min() < 1.2:
            return
        outline = camera.to_samples(in_camera)
        window = camera.window(outline)
        if window is None:
            return
        x0, y0, x1, y1 = window
        shrink = self.copies[0][0].shape[0] / max(float(np.ptp(outline[:, 1])), 1.0)
        image, mask = self.copies[int(np.clip(np.log2(max(shrink, 1.0)), 0, len(self.copies) - 1))]
        height, width = mask.shape
        source = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
        warp = cv2.getPerspectiveTransform(source, (outline - (x0, y0)).astype(np.float32))
        size = (x1 - x0, y1 - y0)
        cover = cv2.warpPerspective(mask, warp, size, flags=cv2.INTER_LINEAR) > 127
        colour = cv2.warpPerspective(image, warp, size, flags=cv2.INTER_LINEAR)[cover].astype(np.float32)
        colour += (HAZE - colour) * haze_share(in_camera[0, 2])
        canvas.image[y0:y1, x0:x1][cover] = colour.astype(np.uint8)
        canvas.labels[y0:y1, x0:x1][cover] = label


def paint_crown(size: tuple[float, float], green: tuple[int, int, int], scale: float, seed: int) -> tuple[Card, Card]:
    """The far and the near half of one crown, `size` (width, height) in metres, `scale` pixels per metre.

    Leaves sit on balls inside an ellipsoid; light comes from the sun's side and fades towards the inside.
    """
    rng = np.random.default_rng(seed)
    radius = np.array([size[0] / 2, size[1] / 2, size[0] / 2])
    balls = _directions(36, rng) * rng.uniform(0.2, 0.8, (36, 1)) * radius
    ball_size = rng.uniform(0.13, 0.25, 36) * size[0]
    count = int(620 * size[0] * size[1] * min(1.0, scale / 50))
    ball = rng.integers(len(balls), size=count)
    normal = _directions(count, rng)
    place = balls[ball] + normal * (ball_size[ball] * rng.uniform(0.35, 1.12, count) ** 0.5)[:, None]
    outer = place / radius
    light = 0.34 + 0.30 * np.clip(normal @ SUN, -0.4, 1) + 0.30 * np.clip(outer @ SUN, -0.7, 1)
    light += 0.30 * (np.clip(np.linalg.norm(outer, axis=1), 0, 1.1) - 0.7)
    light = np.clip(light * np.exp(0.22 * rng.standard_normal(count)), 0.08, 1.3)[:, None]
    tint = np.array(green) * (1 + 0.07 * rng.standard_normal((count, 3)))
    # sunlit leaves are yellower than shaded ones
    colours = np.clip(tint * light * np.array([1.1, 1.06, 0.78]) ** (2 * light - 0.5) * 1.45, 3, 250)
    colours += 0.28 * (colours.mean(1, keepdims=True) - colours)
    long = np.maximum(rng.uniform(0.035, 0.085, count) * scale * max(1.0, (50 / scale) ** 0.5), 0.7)
    card = np.array(size) * MARGIN
    x, y = (place[:, 0] + card[0] / 2) * scale, (card[1] / 2 - place[:, 1]) * scale
    turn = rng.uniform(0, 180, count)

    def half(chosen: FloatArray) -> Card:
        shape = (round(card[1] * scale), round(card[0] * scale))
        image = np.empty((*shape, 3), np.uint8)
        image[:] = (np.array(green) * 0.25).astype(np.uint8)
        mask = np.zeros(shape, np.uint8)
        # far leaves first; 4 bits after the point place leaves between pixels
        for k in sorted(np.flatnonzero(chosen), key=lambda k: -place[k, 2]):
            at = (round(x[k] * 16), round(y[k] * 16))
            axes = (round(long[k] * 16), round(long[k] * 9))
            cv2.ellipse(image, at, axes, turn[k], 0, 360, colours[k].tolist(), -1, cv2.LINE_AA, 4)
            cv2.ellipse(mask, at, axes, turn[k], 0, 360, (255,), -1, cv2.LINE_8, 4)
        # pinholes between leaves close to dark inner leaves; what is left open is a real gap
        reach = max(round(0.2 * scale) | 1, 1)
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        return Card(image, np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel), np.uint8), (card[0], card[1]))

    return half(place[:, 2] > -0.08 * size[0]), half(place[:, 2] < 0.08 * size[0])


def _directions(count: int, rng: np.random.Generator) -> FloatArray:
    vectors = rng.standard_normal((count, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def trunk(height: float, radius: float, rng: np.random.Generator) -> Mesh:
    """A trunk on y = 0 with five boughs that reach into the crown."""
    bark = (92, 80, 66)
    levels = np.linspace(0, height, 9)
    lean = np.cumsum(rng.normal(0, 0.025, (9, 2)), 0)
    line = np.stack([lean[:, 0], levels, lean[:, 1]], -1)
    thick = radius * (1.0 - 0.45 * levels / height) + 0.5 * radius * np.exp(-levels / 0.25)
    parts = [tube(line, np.stack([thick, thick], -1), bark, sides=12, jitter=0.16, rng=rng)]
    for angle in np.linspace(0, 2 * np.pi, 5, endpoint=False) + rng.uniform(0, 1):
        steps = np.linspace(0, 1, 5)[:, None]
        away = np.array([np.cos(angle) * 1.1, 1.5, np.sin(angle) * 1.1]) * rng.uniform(0.8, 1.2)
        bough = line[-2] + steps * away + steps**2 * (0, 0.4, 0)
        thin = radius * np.linspace(0.5, 0.2, 5)
        parts.append(tube(bough, np.stack([thin, thin], -1), bark, sides=7, jitter=0.14, rng=rng))
    return Mesh.joined(parts)
