"""Cars: a body lofted from cross-sections, with panes, lamps, grille, plates, mirrors and wheels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from street.mesh import Mesh, box
from street.view import FloatArray

GLASS = (26.0, 31.0, 36.0)
TYRE = (22.0, 22.0, 23.0)
HEADLAMP = (206.0, 212.0, 216.0)
SHOULDER = 6
"""Which point of a cross-section is the shoulder, below the side windows."""
TAIL_LAMP = (150.0, 22.0, 20.0)


@dataclass(frozen=True)
class Shape:
    """Side view of a car: (z, height) of the shoulder and of the top, front at +z; metres."""

    length: float
    width: float
    shoulder: tuple[tuple[float, float], ...]
    top: tuple[tuple[float, float], ...]
    roof_half_width: float
    pillars: tuple[float, ...]
    axles: tuple[float, float]


HATCHBACK = Shape(
    4.1,
    1.76,
    ((-2.05, 0.86), (-1.8, 0.97), (-0.5, 0.95), (0.95, 0.93), (1.55, 0.87), (1.88, 0.80), (2.05, 0.69)),
    ((-2.05, 0.86), (-1.95, 0.98), (-1.6, 1.38), (-1.2, 1.46), (-0.2, 1.49), (0.25, 1.43),
     (1.05, 0.97), (1.55, 0.90), (1.88, 0.82), (2.05, 0.69)),
    0.59,
    (-1.35, -0.2),
    (-1.28, 1.27),
)  # fmt: skip
SALOON = Shape(
    4.6,
    1.8,
    ((-2.3, 0.84), (-2.1, 0.98), (-1.5, 0.98), (-0.4, 0.94), (0.9, 0.92), (1.7, 0.86), (2.12, 0.78), (2.3, 0.67)),
    ((-2.3, 0.84), (-2.1, 1.0), (-1.55, 1.02), (-0.85, 1.39), (-0.4, 1.44), (0.15, 1.42),
     (1.1, 0.96), (1.7, 0.89), (2.12, 0.80), (2.3, 0.67)),
    0.57,
    (-0.95, -0.12),
    (-1.36, 1.4),
)  # fmt: skip
ESTATE = Shape(
    4.5,
    1.84,
    ((-2.25, 0.9), (-2.05, 1.02), (-0.5, 1.0), (1.0, 0.99), (1.8, 0.94), (2.1, 0.87), (2.25, 0.74)),
    ((-2.25, 0.9), (-2.18, 1.08), (-1.95, 1.52), (-1.5, 1.62), (-0.2, 1.64), (0.2, 1.58),
     (1.05, 1.03), (1.8, 0.97), (2.1, 0.89), (2.25, 0.74)),
    0.64,
    (-1.4, -0.2),
    (-1.36, 1.4),
)  # fmt: skip


def _rings(shape: Shape, stations: FloatArray) -> FloatArray:
    """(S, P, 3) points of the right half of each cross-section, from the sill over the shoulder to the roof line."""
    shoulder = np.interp(stations, *np.array(shape.shoulder).T)
    top = np.maximum(np.interp(stations, *np.array(shape.top).T), shoulder + 0.005)
    end = np.abs(stations) / (shape.length / 2)
    half = shape.width / 2 * (1 - 0.20 * end**7 - 0.04 * end**2)
    cabin = np.clip((top - shoulder) / 0.42, 0, 1)
    roof = half * 0.62 * (1 - cabin) + np.minimum(shape.roof_half_width, half * 0.8) * cabin
    low = 0.2 + 0.12 * np.clip(end - 0.8, 0, 1) * 5 * 0.3
    rows = [
        (half * 0.9, low),
        (half * 0.96, low + 0.06),
        (half * 0.99, low + 0.2),
        (half, 0.4 * low + 0.6 * shoulder * 0.8),
        (half, shoulder * 0.8),
        (half * 0.985, shoulder * 0.92),
        (half * 0.95, shoulder),
    ]
    for share in (0.08, 0.35, 0.65, 0.9):
        rows.append((half * 0.93 * (1 - share) + roof * share, shoulder + (top - shoulder) * share * 0.97))
    rows += [
        (roof * 0.93, top - 0.008),
        (roof * 0.82, top),
        (roof * 0.6, top + 0.012 * cabin),
        (roof * 0.25, top + 0.02 * cabin),
        (0 * roof, top + 0.022 * cabin),
    ]
    return np.stack([np.stack([x, y, stations], -1) for x, y in rows], 1).astype(np.float32)


def _paint(shape: Shape, middle: FloatArray, row: FloatArray, colour: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Colour (N, 3) and gloss (N,) of body faces by where they are; `row` is the place in the cross-section."""
    x, z = np.abs(middle[:, 0]), middle[:, 2]
    colours = np.broadcast_to(colour, (len(x), 3)).copy()
    gloss = np.full(len(x), 0.55, np.float32)
    shoulder = np.interp(z, *np.array(shape.shoulder).T)
    top = np.interp(z, *np.array(shape.top).T)
    slope = np.gradient(np.interp(np.array([z - 0.06, z + 0.06]), *np.array(shape.top).T), axis=0)[0] / 0.12
    tall = top - shoulder
    side = (row >= 7) & (row <= 9) & (tall > 0.12)
    for pillar in shape.pillars:
        side &= np.abs(z - pillar) > 0.05
    steep = np.abs(slope) > 0.33
    screen = (row >= 12) & steep & (tall > 0.05)
    glass = side | screen
    colours[glass], gloss[glass] = GLASS, 0.9
    dark = (row < 1) | ((row < 2) & (np.abs(z) < shape.length / 2))
    colours[dark], gloss[dark] = (28, 28, 29), 0.1
    seam = (row >= 3) & (row <= 6) & (np.min([np.abs(z - s) for s in (shape.pillars[1], 0.95, -1.15)], 0) < 0.026)
    colours[seam] *= 0.4
    trim = (row == 6) & (tall > 0.2)
    colours[trim] = (40, 40, 42)
    return colours, gloss


def _cap(shape: Shape, ring: FloatArray, colour: FloatArray, front: bool) -> Mesh:
    """The closed nose or tail: a bulged sheet with lamps, grille, plate and bumper."""
    rows, columns = 18, 28
    z_end = float(ring[0, 2])
    heights = np.linspace(ring[0, 1], ring[SHOULDER, 1], rows + 1)
    half = np.interp(heights, ring[: SHOULDER + 1, 1], ring[: SHOULDER + 1, 0])
    across = np.linspace(-1, 1, columns + 1)
    sign = 1.0 if front else -1.0
    x = half[:, None] * across[None, :]
    bulge = 0.14 * (1 - across[None, :] ** 2) * (1 - np.linspace(-1, 1, rows + 1)[:, None] ** 4)
    y = np.repeat(heights[:, None], columns + 1, 1)
    y[-1] = np.interp(np.abs(x[-1]), ring[: SHOULDER - 1 : -1, 0], ring[: SHOULDER - 1 : -1, 1])
    grid = np.stack([x, y, z_end + sign * bulge], -1)
    corners = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], 2).reshape(-1, 4, 3)
    mesh = Mesh.of(corners, colour, gloss=0.5)
    wrong = mesh.normals[:, 2] * sign < 0
    mesh.normals[wrong] *= -1
    middle = corners.mean(1)
    wide, high = np.abs(middle[:, 0]) / (shape.width / 2), (middle[:, 1] - heights[0]) / (heights[-1] - heights[0])

    def mark(where: np.ndarray, shade: tuple[float, float, float], gloss: float) -> None:
        mesh.colours[where], mesh.gloss[where] = shade, gloss

    mark(high < 0.16, (30, 30, 31), 0.1)
    if front:
        mark((high > 0.2) & (high < 0.44) & (wide < 0.5), (24, 24, 25), 0.2)
        mark((high > 0.66) & (high < 0.86) & (wide < 0.38), (34, 34, 36), 0.5)
        mark((high > 0.62) & (high < 0.9) & (wide > 0.48), HEADLAMP, 0.9)
        mark((high > 0.66) & (high < 0.84) & (wide > 0.56) & (wide < 0.68), (250, 250, 244), 0.9)
        mark((high > 0.46) & (high < 0.6) & (wide < 0.28), (222, 222, 214), 0.1)
    else:
        mark((high > 0.58) & (high < 0.94) & (wide > 0.52), TAIL_LAMP, 0.7)
        mark((high > 0.66) & (high < 0.74) & (wide > 0.58), (214, 120, 60), 0.7)
        mark((high > 0.62) & (high < 0.78) & (wide < 0.29), (220, 204, 120), 0.1)
        mark((high > 0.44) & (high < 0.48), (20, 20, 20), 0.1)
    # what is behind the seams between sheet and body, so that nobody looks through them
    inner, back = float(half.min()) * 0.9, z_end - sign * 0.3
    low_z, high_z = sorted((z_end - sign * 0.02, back))
    core = box((-inner, 0.28, low_z), (inner, float(heights[-1]) - 0.03, high_z), colour * 0.5, nearer=-1.0)
    return Mesh.joined([core, mesh])


def _wheel(x: float, z: float, radius: float) -> Mesh:
    """A wheel in its arch: arch shade, tyre, rim with five spokes, and the tread that is seen from ahead."""
    side = float(np.sign(x))
    angle = np.linspace(0, 2 * np.pi, 31)
    parts: list[Mesh] = []

    def disc(
        inner: float,
        outer: float,
        at: float,
        colour: tuple[float, float, float],
        nearer: float,
        gloss: float,
        keep: np.ndarray,
    ) -> None:
        rim = [
            np.stack([np.full_like(angle, x + side * at), radius + r * np.sin(angle), z + r * np.cos(angle)], -1)
            for r in (inner, outer)
        ]
        corners = np.stack([rim[0][:-1], rim[1][:-1], rim[1][1:], rim[0][1:]], 1)[keep]
        normals = np.broadcast_to((side, 0, 0), (len(corners), 3))
        parts.append(Mesh.of(corners, colour, gloss=gloss, nearer=nearer, normals=normals))

    whole = np.ones(30, bool)
    spokes = np.arange(30) % 6 < 3
    disc(0.0, radius + 0.06, -0.01, (12, 12, 12), 0.5, 0.0, np.sin(angle[:-1]) > -0.55)
    disc(radius * 0.66, radius, 0.0, TYRE, 0.8, 0.05, whole)
    disc(0.0, radius * 0.66, 0.0, (38, 38, 40), 0.85, 0.1, whole)
    disc(radius * 0.12, radius * 0.6, 0.005, (172, 174, 178), 0.9, 0.6, spokes)
    disc(radius * 0.56, radius * 0.67, 0.005, (164, 166, 170), 0.9, 0.6, whole)
    disc(0.0, radius * 0.14, 0.006, (120, 122, 126), 0.95, 0.6, whole)
    low, high = sorted((x, x - side * 0.2))
    tread = [
        np.stack([np.full_like(angle, e), radius + radius * np.sin(angle), z + radius * np.cos(angle)], -1)
        for e in (low, high)
    ]
    corners = np.stack([tread[0][:-1], tread[1][:-1], tread[1][1:], tread[0][1:]], 1)
    outward = corners.mean(1) - (0, radius, z)
    outward[:, 0] = 0
    parts.append(Mesh.of(corners, TYRE, normals=outward / radius))
    return Mesh.joined(parts)


def car(shape: Shape, colour: tuple[int, int, int], detail: int = 64) -> Mesh:
    """A car that stands on y = 0 around the origin and looks along +z; `detail` is the number of cross-sections."""
    paint = np.array(colour, np.float32)
    stations = np.linspace(-shape.length / 2, shape.length / 2, detail, dtype=np.float32)
    half = _rings(shape, stations)
    corners = np.stack([half[:-1, :-1], half[:-1, 1:], half[1:, 1:], half[1:, :-1]], 2).reshape(-1, 4, 3)
    row = np.tile(np.arange(half.shape[1] - 1, dtype=np.float32), detail - 1)
    colours, gloss = _paint(shape, corners.mean(1), row, paint)
    right = Mesh.of(corners, colours, gloss=gloss)
    inward = right.normals[:, 0] * 1.0 + right.normals[:, 1] * (corners[:, :, 1].mean(1) - 0.6) < 0
    right.normals[inward] *= -1
    mirror = np.array([-1, 1, 1], np.float32)
    left = Mesh(corners * mirror, right.normals * mirror, colours, gloss, right.nearer)
    parts = [right, left, _cap(shape, half[-1], paint, True), _cap(shape, half[0], paint, False)]
    for axle in shape.axles:
        for side in (-1, 1):
            parts.append(_wheel(side * (shape.width / 2 - 0.02), axle, 0.315))
    for side in (-1, 1):
        x0, x1 = sorted((side * (shape.width / 2 - 0.02), side * (shape.width / 2 + 0.14)))
        parts.append(box((x0, 0.95, 0.72), (x1, 1.08, 0.84), paint * 0.8, gloss=0.4, nearer=0.3))
    return Mesh.joined(parts)
