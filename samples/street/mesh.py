"""Closed shapes of small four-sided faces with sun, sky light and reflections: cars, people, trunks, poles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from street.view import (
    GROUND_COLOUR,
    HAZE,
    NEAR_METRES,
    SKY_COLOUR,
    SUN,
    SUN_COLOUR,
    Camera,
    Canvas,
    FloatArray,
    haze_share,
)

MIRRORED = np.array([(66, 66, 67), (94, 91, 86), (196, 212, 228)], np.float32)
"""What polished faces show: road, houses, sky."""


@dataclass
class Mesh:
    """N faces: `corners` (N, 4, 3), unit `normals` (N, 3) outwards, `colours` (N, 3), `gloss` (N,) 0..1.

    `nearer` (N,) is how many metres a face is moved to the front when faces are put in drawing order.
    """

    corners: FloatArray
    normals: FloatArray
    colours: FloatArray
    gloss: FloatArray
    nearer: FloatArray

    @classmethod
    def of(
        cls,
        corners: npt.ArrayLike,
        colours: npt.ArrayLike,
        *,
        gloss: npt.ArrayLike = 0.0,
        nearer: float = 0.0,
        normals: npt.ArrayLike | None = None,
    ) -> Mesh:
        """A mesh whose normals follow from the corners (counter-clockwise from outside) unless given."""
        points = np.asarray(corners, np.float32)
        count = len(points)
        if normals is None:
            across = np.cross(points[:, 2] - points[:, 0], points[:, 3] - points[:, 1])
            normals = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
        return cls(
            points,
            np.asarray(normals, np.float32),
            np.broadcast_to(np.asarray(colours, np.float32), (count, 3)).copy(),
            np.broadcast_to(np.asarray(gloss, np.float32), (count,)).copy(),
            np.full(count, nearer, np.float32),
        )

    @classmethod
    def joined(cls, parts: Sequence[Mesh]) -> Mesh:
        return cls(
            np.concatenate([part.corners for part in parts]),
            np.concatenate([part.normals for part in parts]),
            np.concatenate([part.colours for part in parts]),
            np.concatenate([part.gloss for part in parts]),
            np.concatenate([part.nearer for part in parts]),
        )

    def placed(self, position: tuple[float, float, float], heading: float, size: float = 1.0) -> Mesh:
        """The mesh scaled, turned about the vertical (radians, 0 looks along +z, +pi/2 along +x) and moved."""
        s, c = np.sin(heading), np.cos(heading)
        turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)
        corners = (self.corners * size) @ turn.T + np.array(position, np.float32)
        return Mesh(corners.astype(np.float32), self.normals @ turn.T, self.colours, self.gloss, self.nearer)

    def draw(self, canvas: Canvas, camera: Camera, label: int, sun: float = 1.0) -> None:
        """Draw the faces that look at the camera, far ones first; `sun` is the share of sunlight (0..1)."""
        middle = self.corners.mean(1)
        to_eye = camera.position - middle
        in_camera = camera.to_camera(self.corners)
        seen = (np.einsum("ij,ij->i", to_eye, self.normals) > 0) & (in_camera[..., 2].min(1) > NEAR_METRES)
        if not seen.any():
            return
        distance = np.linalg.norm(to_eye, axis=1)
        order = np.flatnonzero(seen)
        order = order[np.argsort(self.nearer[order] - distance[order], kind="stable")]
        outlines = camera.to_samples(in_camera[order])
        width, height = camera.size_wh
        low, high = outlines.min(1), outlines.max(1)
        on = (high[:, 0] > 0) & (low[:, 0] < width) & (high[:, 1] > 0) & (low[:, 1] < height)
        order, outlines = order[on], np.clip(outlines[on], -20000, 20000)
        colours = self._lit(order, to_eye[order] / distance[order, None], sun)
        share = haze_share(distance[order])[:, None]
        colours = np.clip(colours + (HAZE - colours) * share, 0, 255)
        for outline, colour in zip(outlines, colours.tolist(), strict=True):
            canvas.polygon(outline, colour, label)

    def _lit(self, order: npt.NDArray[np.intp], to_eye: FloatArray, sun: float) -> FloatArray:
        normal, gloss = self.normals[order], self.gloss[order, None]
        direct = np.clip(normal @ SUN, 0, 1)[:, None] * SUN_COLOUR * sun
        up = (normal[:, 1:2] + 1) / 2
        light = 0.78 * direct + 0.95 * (SKY_COLOUR * up + GROUND_COLOUR * (1 - up))
        diffuse = self.colours[order] * light
        cosine = np.clip(np.einsum("ij,ij->i", normal, to_eye), 0, 1)[:, None]
        mirror = 2 * cosine * normal - to_eye
        fresnel = gloss * (0.07 + 0.93 * (1 - cosine) ** 4)
        # mirrored: pale sky above, dark houses around the horizon, road below
        rise = mirror[:, 1:2]
        world = MIRRORED[0] + np.clip((rise + 0.08) / 0.16, 0, 1) * (MIRRORED[1] - MIRRORED[0])
        world = world + np.clip((rise - 0.18) / 0.3, 0, 1) * (MIRRORED[2] - world)
        glint = np.clip(mirror @ SUN, 0, 1)[:, None] ** 60 * sun
        return np.asarray(diffuse * (1 - 0.4 * fresnel) + fresnel * world + gloss * glint * 235, np.float32)


def tube(
    stations: npt.ArrayLike,
    radii: npt.ArrayLike,
    colour: npt.ArrayLike,
    *,
    sides: int = 10,
    gloss: float = 0.0,
    nearer: float = 0.0,
    jitter: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Mesh:
    """A round bar along `stations` (S, 3); `radii` (S, 2) are its half-widths sideways (x) and in depth.

    `jitter` is the relative spread of the faces' colours, drawn from `rng`.
    """
    centre, radius = np.asarray(stations, np.float32), np.asarray(radii, np.float32)
    axis = np.gradient(centre, axis=0)
    axis /= np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-6)
    side = np.array([1.0, 0, 0], np.float32) - axis * axis[:, :1]
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-6)
    front = np.cross(axis, side)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False, dtype=np.float32)
    spoke = np.cos(angle)[None, :, None] * side[:, None] * radius[:, None, :1]
    spoke = spoke + np.sin(angle)[None, :, None] * front[:, None] * radius[:, None, 1:]
    ring = centre[:, None] + spoke
    following = np.roll(ring, -1, 1)
    corners = np.stack([ring[:-1], following[:-1], following[1:], ring[1:]], 2).reshape(-1, 4, 3)
    mesh = Mesh.of(corners, colour, gloss=gloss, nearer=nearer)
    outward = corners.mean(1) - np.repeat((centre[:-1] + centre[1:]) / 2, sides, 0)
    flip = np.einsum("ij,ij->i", outward, mesh.normals) < 0
    mesh.normals[flip] *= -1
    if rng is not None and jitter > 0:
        mesh.colours *= 1 + jitter * rng.standard_normal((len(corners), 1)).astype(np.float32)
    return mesh


def box(
    low: tuple[float, float, float], high: tuple[float, float, float], colour: npt.ArrayLike, **kind: float
) -> Mesh:
    """An upright box between two corners; `kind` goes to `Mesh.of`."""
    x0, y0, z0 = low
    x1, y1, z1 = high
    corners = [
        [(x0, y0, z0), (x0, y1, z0), (x1, y1, z0), (x1, y0, z0)],
        [(x1, y0, z1), (x1, y1, z1), (x0, y1, z1), (x0, y0, z1)],
        [(x0, y0, z1), (x0, y1, z1), (x0, y1, z0), (x0, y0, z0)],
        [(x1, y0, z0), (x1, y1, z0), (x1, y1, z1), (x1, y0, z1)],
        [(x0, y1, z0), (x0, y1, z1), (x1, y1, z1), (x1, y1, z0)],
        [(x0, y0, z1), (x0, y0, z0), (x1, y0, z0), (x1, y0, z1)],
    ]
    normals = [(0, 0, -1), (0, 0, 1), (-1, 0, 0), (1, 0, 0), (0, 1, 0), (0, -1, 0)]
    return Mesh.of(corners, colour, normals=normals, **kind)
