"""Flat textured surfaces in perspective: road, pavements, rows of houses.

Each texture keeps copies that are shrunk along its long axis only, since a street is seen at a grazing angle along
that axis; every sample picks the copy that fits its distance.
"""

from __future__ import annotations

from copy import copy

import cv2
import numpy as np
import numpy.typing as npt

from street.view import HAZE, Camera, Canvas, FloatArray, UInt8Array, haze_share

SMALLEST_COPY = 24


class Plane:
    """A textured rectangle: `origin` + u * `along` + v * `across`, u and v in metres.

    `texture` is (rows along v, columns along u, 3); `labels` is one class, or a map of the same size in which 255
    is a hole.
    """

    def __init__(
        self,
        origin: tuple[float, float, float],
        along: tuple[float, float, float],
        across: tuple[float, float, float],
        texture: FloatArray,
        pixels_per_metre: float,
        labels: int | UInt8Array,
    ) -> None:
        self.origin = np.array(origin, np.float32)
        self.along, self.across = np.array(along, np.float32), np.array(across, np.float32)
        self.normal = np.cross(self.along, self.across)
        self.scale = pixels_per_metre
        self.labels = labels
        level = np.clip(texture, 0, 255).astype(np.uint8)
        self.rows, self.columns = level.shape[:2]
        copies = [level]
        while copies[-1].shape[1] // 2 >= SMALLEST_COPY:
            size = (copies[-1].shape[1] // 2, self.rows)
            copies.append(np.asarray(cv2.resize(copies[-1], size, interpolation=cv2.INTER_AREA), np.uint8))
        self.atlas = np.concatenate(copies, 1)
        widths = np.array([each.shape[1] for each in copies])
        self.copy_width = widths.astype(np.float32)
        self.copy_start = np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.float32)

    def moved(self, origin: tuple[float, float, float], along: tuple[float, float, float]) -> Plane:
        """The same surface at another place and turned; nothing is copied."""
        other = copy(self)
        other.origin, other.along = np.array(origin, np.float32), np.array(along, np.float32)
        other.normal = np.cross(other.along, other.across)
        return other

    @property
    def corners(self) -> FloatArray:
        u, v = self.columns / self.scale * self.along, self.rows / self.scale * self.across
        return np.array([self.origin, self.origin + u, self.origin + u + v, self.origin + v], np.float32)

    def draw(self, canvas: Canvas, camera: Camera) -> None:
        """Draw what is seen of the rectangle, from either side."""
        outline = camera.outline(self.corners)
        window = None if outline is None else camera.window(outline)
        if window is None:
            return
        x0, y0, x1, y1 = window
        ray_x = (np.arange(x0, x1, dtype=np.float32) + 0.5 - camera.centre[0]) / camera.focal
        ray_y = (camera.centre[1] - np.arange(y0, y1, dtype=np.float32) - 0.5) / camera.focal

        def along_ray(direction: FloatArray) -> FloatArray:
            """Dot product of each sample's ray (depth 1) with a world direction, over the window."""
            in_camera = camera.rotation @ direction
            down = in_camera[1] * ray_y + in_camera[2]
            return np.asarray(down[:, None] + (in_camera[0] * ray_x)[None, :], np.float32)

        offset = self.origin - camera.position
        slope = along_ray(self.normal)
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = float(self.normal @ offset) / slope
        inside = (depth > 0.1) & (depth < 2000)
        depth = np.where(inside, depth, 1.0).astype(np.float32)
        u = depth * along_ray(self.along) - float(offset @ self.along)
        v = depth * along_ray(self.across) - float(offset @ self.across)
        column, row = u * self.scale, v * self.scale
        inside &= (column >= 0) & (column < self.columns) & (row >= 0) & (row < self.rows)
        if not inside.any():
            return
        if isinstance(self.labels, int):
            canvas.labels[y0:y1, x0:x1][inside] = self.labels
        else:
            label = self.labels[np.where(inside, row, 0).astype(np.int32), np.where(inside, column, 0).astype(np.int32)]
            inside &= label != 255
            canvas.labels[y0:y1, x0:x1][inside] = label[inside]
        colour = self._look_up(column, row, depth / np.maximum(np.abs(slope), 1e-4), camera)
        share = haze_share(depth)[..., None]
        canvas.image[y0:y1, x0:x1][inside] = (colour + (HAZE - colour) * share)[inside].astype(np.uint8)

    def _look_up(self, column: FloatArray, row: FloatArray, stretch: FloatArray, camera: Camera) -> FloatArray:
        footprint = stretch * (self.scale / camera.focal)
        level = np.clip(np.log2(np.maximum(footprint, 1)) - 0.3, 0, len(self.copy_start) - 1).round().astype(np.int32)
        width = self.copy_width[level]
        in_copy = np.clip(column / self.columns * width - 0.5, 0, width - 1) + self.copy_start[level]
        picked = cv2.remap(
            self.atlas, in_copy, np.clip(row - 0.5, 0, self.rows - 1), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return picked.astype(np.float32)


def fill(
    texture: npt.NDArray[np.float32], box: tuple[float, float, float, float], colour: npt.ArrayLike, keep: float = 0.0
) -> None:
    """Paint the box (x0, y0, x1, y1) in pixels, edges by coverage; `keep` is the share of what was there before."""
    height, width = texture.shape[:2]
    x0, y0, x1, y1 = box
    c0, r0 = max(int(np.floor(x0)), 0), max(int(np.floor(y0)), 0)
    c1, r1 = min(int(np.ceil(x1)), width), min(int(np.ceil(y1)), height)
    if c1 <= c0 or r1 <= r0:
        return
    columns, rows = np.arange(c0, c1), np.arange(r0, r1)
    cover_x = np.minimum(columns + 1, x1) - np.maximum(columns, x0)
    cover_y = np.minimum(rows + 1, y1) - np.maximum(rows, y0)
    cover = (np.clip(cover_y, 0, 1)[:, None] * np.clip(cover_x, 0, 1)[None, :] * (1 - keep))[..., None]
    part = texture[r0:r1, c0:c1]
    part += (np.asarray(colour, np.float32) - part) * cover.astype(np.float32)
