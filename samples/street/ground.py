"""Road, pavements, kerbs and the park lawn, with markings, patches, joints and the shadow of the houses."""

from __future__ import annotations

import cv2
import numpy as np

from street.noise import blocks, smooth_noise
from street.planes import Plane, fill
from street.view import GRASS, ROAD, SIDEWALK, SUN, FloatArray

ROAD_HALF_WIDTH = 5.0
WALL_X = 9.0
KERB = 0.12
START, END = 2.0, 166.0
PARK = (36.5, 92.0)
"""From where to where there is a park on the right instead of houses (z in metres)."""
PARK_DEPTH = 26.0
CROSSING = (33.0, 36.0)
SHADE = 0.62
"""Brightness left where the houses take the sun."""


def ground_planes(scale: float, houses: list[tuple[float, float, float]], rng: np.random.Generator) -> list[Plane]:
    """Everything one stands on, in drawing order; `houses` (z0, z1, height) of the left row throw the shadow."""
    reach = _shadow_reach(scale, houses)
    wide = WALL_X - ROAD_HALF_WIDTH
    along = (0.0, 0.0, 1.0)
    right = (1.0, 0.0, 0.0)
    left_path = _slabs(wide, scale, rng) * _shade(-WALL_X, wide, scale, reach)
    right_path = _slabs(wide, scale, rng) * _dapple(wide, scale, rng)
    road = _road(scale, rng) * _shade(-ROAD_HALF_WIDTH, 2 * ROAD_HALF_WIDTH, scale, reach)
    lawn = _lawn(scale / 2, rng)
    kerb = _kerb(scale, rng)
    return [
        Plane((-ROAD_HALF_WIDTH, 0, START), along, right, road, scale, ROAD),
        Plane((-ROAD_HALF_WIDTH, 0, START), along, (0, 1, 0), kerb * 0.66, scale, SIDEWALK),
        Plane((ROAD_HALF_WIDTH, 0, START), along, (0, 1, 0), kerb * 0.9, scale, SIDEWALK),
        Plane((-WALL_X, KERB, START), along, right, left_path, scale, SIDEWALK),
        Plane((ROAD_HALF_WIDTH, KERB, START), along, right, right_path, scale, SIDEWALK),
        Plane((WALL_X, KERB, PARK[0]), along, right, lawn, scale / 2, GRASS),
    ]


def _shadow_reach(scale: float, houses: list[tuple[float, float, float]]) -> FloatArray:
    """x of the shadow's edge for each texture column: the roof line, moved along the sun's rays."""
    columns = np.arange(round((END - START) * scale)) / scale + START
    height = np.zeros_like(columns)
    for z0, z1, roof in houses:
        height[(columns >= z0) & (columns < z1)] = roof
    # a roof point at height y falls y * (-sx / sy) to the right and y * (-sz / sy) down the street
    shift = int(np.mean([roof for _, _, roof in houses]) * -SUN[2] / SUN[1] * scale)
    height = np.concatenate([np.full(shift, height[0]), height])[: len(columns)]
    return np.asarray(-WALL_X + height * (-SUN[0] / SUN[1]), np.float32)


def _shade(x0: float, wide: float, scale: float, reach: FloatArray) -> FloatArray:
    x = x0 + (np.arange(round(wide * scale), dtype=np.float32)[:, None] + 0.5) / scale
    lit = np.clip((x - reach[None, :]) / 0.35 + 0.5, 0, 1)
    soft = cv2.GaussianBlur(lit, (0, 0), max(0.12 * scale, 0.3))
    shade = SHADE * np.array([0.94, 1.0, 1.08], np.float32)
    return np.asarray(shade + (1 - shade) * soft[..., None], np.float32)


def _dapple(wide: float, scale: float, rng: np.random.Generator) -> FloatArray:
    """Sun flecks under the street trees."""
    shape = (round(wide * scale), round((END - START) * scale))
    blot = smooth_noise(shape, (1.2 * scale, 1.6 * scale), rng, 4)
    return np.asarray((1 - 0.22 * np.clip(blot * 1.5 + 0.2, 0, 1))[..., None], np.float32)


def _road(scale: float, rng: np.random.Generator) -> FloatArray:
    """Asphalt (rows = x from the left kerb, columns = z) before any shadow."""
    shape = (round(2 * ROAD_HALF_WIDTH * scale), round((END - START) * scale))
    tone = 101 + 7.0 * rng.standard_normal(shape).astype(np.float32)
    tone += 2.5 * smooth_noise(shape, 0.3 * scale, rng, 3) + 2.5 * smooth_noise(shape, (6 * scale, 9 * scale), rng, 3)
    x = (np.arange(shape[0], dtype=np.float32) + 0.5) / scale - ROAD_HALF_WIDTH
    for lane in (-1.5, 1.5):  # tyres polish two tracks in each lane, oil darkens the middle
        for track in (-0.75, 0.75):
            tone += 6 * np.exp(-(((x - lane - track) / 0.28) ** 2))[:, None]
        tone -= 5 * np.exp(-(((x - lane) / 0.35) ** 2))[:, None]
    for side in (-1, 1):  # dirt in the gutter
        tone -= 16 * np.exp(-np.abs(side * ROAD_HALF_WIDTH - x) / 0.3)[:, None]
    road = tone[..., None] * np.array([1.0, 0.995, 0.985], np.float32)
    for _ in range(14):
        z, at = rng.uniform(START, END), rng.uniform(-4.5, 3)
        patch = (
            z - START,
            at + ROAD_HALF_WIDTH,
            z - START + rng.uniform(1, 5),
            at + ROAD_HALF_WIDTH + rng.uniform(0.6, 2),
        )
        fill(road, (patch[0] * scale, patch[1] * scale, patch[2] * scale, patch[3] * scale), (78, 78, 78), keep=0.55)
    for _ in range(40):
        z, at = rng.uniform(0, END - START), rng.uniform(0, 2 * ROAD_HALF_WIDTH)
        path = np.cumsum(rng.normal((0.1, 0), (0.12, 0.14), (30, 2)), 0) + np.array([z, at])
        cv2.polylines(road, [np.round(path * scale * 16).astype(np.int32)], False, (82, 82, 82), 1, cv2.LINE_AA, 4)
    for z, at in ((9.0, -0.3), (22.5, 2.6), (47.0, -2.4), (70.0, 0.4)):
        centre = (round((z - START) * scale), round((at + ROAD_HALF_WIDTH) * scale))
        cv2.circle(road, centre, max(round(0.33 * scale), 1), (66, 64, 62), -1, cv2.LINE_AA)
        cv2.circle(road, centre, max(round(0.33 * scale), 1), (92, 90, 88), 1, cv2.LINE_AA)
    _markings(road, scale, rng)
    return road


def _markings(road: FloatArray, scale: float, rng: np.random.Generator) -> None:
    paint = np.array([206, 205, 198], np.float32)
    plain = road.copy()

    def stripe(z0: float, z1: float, x0: float, x1: float) -> None:
        low, high = (x0 + ROAD_HALF_WIDTH) * scale, (x1 + ROAD_HALF_WIDTH) * scale
        fill(road, ((z0 - START) * scale, low, (z1 - START) * scale, high), paint)

    for z in np.arange(4.0, END, 6.0):
        if not CROSSING[0] - 4 < z < CROSSING[1] + 1:
            stripe(z, z + 3.0, -0.07, 0.07)
    for x in np.arange(-4.7, 4.6, 1.0):
        stripe(*CROSSING, x, x + 0.5)
    stripe(CROSSING[0] - 1.8, CROSSING[0] - 1.5, 0.1, 3.0)
    for z in np.arange(5.0, END, 6.2):  # bays for parked cars
        if not CROSSING[0] - 5 < z < CROSSING[1] + 4:
            for x0, x1 in ((-5.0, -2.95), (2.95, 5.0)):
                stripe(z, z + 0.1, x0, x1)
    worn = smooth_noise(road.shape[:2], 0.25 * scale, rng, 3)[..., None]
    road[:] = plain + (road - plain) * np.clip(0.84 - 0.13 * worn, 0.3, 0.95)


def _slabs(wide: float, scale: float, rng: np.random.Generator) -> FloatArray:
    """Pavement: concrete slabs in the middle and kerb stones along the first and last rows."""
    shape = (round(wide * scale), round((END - START) * scale))
    value, joint = blocks(shape, (0.6 * scale, 0.9 * scale), 0.025 * scale, rng)
    tone = 168 + 7 * value + 4.0 * rng.standard_normal(shape).astype(np.float32)
    tone += 6 * smooth_noise(shape, 1.5 * scale, rng, 4) - 38 * joint
    slabs = tone[..., None] * np.array([1.0, 0.965, 0.905], np.float32)
    edge = max(round(0.16 * scale), 1)
    stones = 182 + 7 * blocks((edge, shape[1]), (1e6, 0.95 * scale), 0.02 * scale, rng, False)[0]
    slabs[:edge] = slabs[-edge:] = stones[..., None]
    for _ in range(260):
        spot = (int(rng.integers(shape[1])), int(rng.integers(shape[0])))
        cv2.circle(slabs, spot, max(round(rng.uniform(0.01, 0.035) * scale), 1), (104, 102, 98), -1, cv2.LINE_AA)
    return slabs


def _kerb(scale: float, rng: np.random.Generator) -> FloatArray:
    shape = (max(round(KERB * scale), 2), round((END - START) * scale))
    value, joint = blocks(shape, (1e6, 0.95 * scale), 0.02 * scale, rng, False)
    return (150 + 8 * value - 50 * joint)[..., None] * np.array([1, 0.98, 0.95], np.float32)


def _lawn(scale: float, rng: np.random.Generator) -> FloatArray:
    """Grass with the shade of trees on it."""
    shape = (round(PARK_DEPTH * scale), round((END - PARK[0]) * scale))
    blade = smooth_noise(shape, (0.35 * scale, 0.35 * scale), rng, 3)
    patch = smooth_noise(shape, 5 * scale, rng, 3)
    grass = np.array([92, 116, 52], np.float32) * (1 + 0.13 * blade + 0.1 * patch)[..., None]
    grass += (np.clip(patch, 0, 2) * 7)[..., None] * np.array([1.6, 1, 0.2], np.float32)
    shadow = np.clip(smooth_noise(shape, 3.0 * scale, rng, 3) * 1.4, 0, 1)
    grass *= (1 - 0.38 * shadow)[..., None]
    return np.asarray(grass, np.float32)
