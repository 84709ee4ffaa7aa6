"""House fronts: brick, render or stone with windows, shops, doors, cornices and wear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from street.noise import blocks, smooth_noise
from street.planes import Plane, fill
from street.view import BUILDING, FloatArray, UInt8Array

GLASS_TOP = np.array([104, 118, 132], np.float32)
GLASS_LOW = np.array([34, 38, 42], np.float32)
MAX_HEIGHT = 17.5
"""Metres; row textures are this high and hold holes above each house."""


@dataclass(frozen=True)
class Style:
    """How one house looks."""

    material: str
    """brick, render or stone."""
    colour: tuple[int, int, int]
    trim: tuple[int, int, int]
    frame: tuple[int, int, int]
    floors: int
    shop: tuple[int, int, int] | None = None
    """Colour of the shop front; None for a house that people live in down to the street."""
    bay: float = 2.6
    """Metres from window to window."""


STYLES = (
    Style("brick", (140, 92, 72), (196, 188, 172), (222, 220, 212), 3, (38, 60, 48)),
    Style("render", (212, 202, 180), (232, 228, 216), (236, 234, 228), 3, (70, 26, 28), 2.9),
    Style("stone", (178, 166, 142), (196, 186, 164), (70, 66, 60), 3, None, 2.8),
    Style("brick", (168, 138, 104), (206, 198, 180), (232, 230, 224), 4, (30, 38, 58), 2.4),
    Style("render", (190, 172, 150), (222, 214, 200), (84, 62, 48), 3, (58, 58, 60), 2.5),
    Style("brick", (118, 78, 66), (184, 176, 164), (226, 224, 220), 3, None, 2.5),
    Style("render", (204, 204, 200), (186, 184, 178), (60, 62, 64), 4, (46, 74, 88), 3.0),
)


class Facade:
    """Paints one front, top row first; all measures are metres from the left and from the pavement."""

    def __init__(self, length: float, style: Style, scale: float, light: FloatArray, rng: np.random.Generator) -> None:
        self.style, self.scale, self.light, self.rng = style, scale, light, rng
        self.length = length
        self.ground_floor = 3.7 if style.shop is not None else 3.3
        self.floor = 3.05
        self.height = self.ground_floor + self.floor * (style.floors - 1) + 0.9
        self.shape = (round(self.height * scale), round(length * scale))
        self.texture = self._wall()

    def paint(self) -> FloatArray:
        """(rows, columns, 3) of the finished front, lit."""
        trim = np.array(self.style.trim, np.float32)
        bays = max(int(self.length / self.style.bay), 1)
        step = self.length / bays
        for storey in range(1, self.style.floors):
            sill = self.ground_floor + self.floor * (storey - 1) + 0.85
            tall = 1.75 if storey < self.style.floors - 1 else 1.45
            for bay in range(bays):
                self._window((bay + 0.5) * step, sill, 1.15, tall)
        if self.style.shop is None:
            door = int(self.rng.integers(bays))
            for bay in range(bays):
                if bay == door:
                    self._door((bay + 0.5) * step)
                else:
                    self._window((bay + 0.5) * step, 0.95, 1.2, 1.8)
        else:
            self._shop(np.array(self.style.shop, np.float32))
        for level in (self.ground_floor, self.height - 0.75):
            self._box(0, level, self.length, level + 0.22, trim)
            self._box(0, level - 0.16, self.length, level, 0, keep=0.55)
        self._box(0, self.height - 0.3, self.length, self.height, trim * 0.93)
        self._box(0, self.height - 0.36, self.length, self.height - 0.3, 0, keep=0.5)
        self._box(0.12, 0, 0.22, self.height - 0.5, (52, 50, 48), keep=0.15)
        self._box(0.22, 0, 0.3, self.height - 0.5, 0, keep=0.7)
        self._wear()
        return self.texture * self.light

    def _box(self, x0: float, y0: float, x1: float, y1: float, colour: object, keep: float = 0.0) -> None:
        top, low = (self.height - y1) * self.scale, (self.height - y0) * self.scale
        fill(self.texture, (x0 * self.scale, top, x1 * self.scale, low), np.asarray(colour, np.float32), keep)

    def _wall(self) -> FloatArray:
        colour, scale = np.array(self.style.colour, np.float32), self.scale
        grain = smooth_noise(self.shape, 0.08 * scale, self.rng, 2)
        if self.style.material == "render":
            return colour * (1 + 0.025 * grain)[..., None]
        size, joint, spread = (
            ((0.15, 0.23), 0.012, 0.10) if self.style.material == "brick" else ((0.34, 0.7), 0.02, 0.05)
        )
        value, mortar = blocks(self.shape, (size[0] * scale, size[1] * scale), joint * scale, self.rng)
        wall = colour * (1 + spread * value + 0.03 * grain)[..., None]
        pale = np.array(self.style.trim, np.float32) * (0.95 if self.style.material == "brick" else 0.75)
        return wall + (pale - wall) * (0.6 * mortar)[..., None]

    def _glass(self, x0: float, y0: float, x1: float, y1: float, dim: float = 1.0) -> None:
        """Panes: sky above, the dark room below, and blots of what is mirrored."""
        c0, c1 = round(x0 * self.scale), round(x1 * self.scale)
        r0, r1 = round((self.height - y1) * self.scale), round((self.height - y0) * self.scale)
        part = self.texture[max(r0, 0) : r1, max(c0, 0) : c1]
        if part.size == 0:
            return
        down = np.linspace(0, 1, part.shape[0], dtype=np.float32)[:, None, None]
        blot = smooth_noise(part.shape[:2], max(part.shape[0] / 2.5, 2), self.rng, 3)[..., None]
        mirror = np.clip(0.55 - 0.6 * down + 0.16 * blot, 0, 1) * dim
        part[:] = GLASS_LOW + (GLASS_TOP - GLASS_LOW) * mirror

    def _window(self, middle: float, sill: float, wide: float, tall: float) -> None:
        x0, x1, y0, y1 = middle - wide / 2, middle + wide / 2, sill, sill + tall
        trim, frame = np.array(self.style.trim, np.float32), np.array(self.style.frame, np.float32)
        self._box(x0 - 0.13, y0, x1 + 0.13, y1 + 0.22, trim * 0.97)
        self._glass(x0, y0, x1, y1)
        kind = self.rng.random()
        if kind < 0.4:
            for side in (x0, x1 - 0.24):
                self._box(side, y0, side + 0.24, y1, (176, 170, 158), keep=0.4)
        elif kind < 0.6:
            self._box(x0, y1 - tall * self.rng.uniform(0.2, 0.6), x1, y1, (190, 184, 170), keep=0.35)
        bar = 0.055
        for x in (x0, middle - bar / 2, x1 - bar):
            self._box(x, y0, x + bar, y1, frame)
        for y in (y0, y0 + tall * 0.52, y1 - bar):
            self._box(x0, y, x1, y + bar, frame)
        self._box(x0, y1 - 0.12, x1, y1, 0, keep=0.45)  # the lintel and one jamb shade the pane
        self._box(x0, y0, x0 + 0.09, y1, 0, keep=0.5)
        self._box(x0 - 0.2, y0 - 0.12, x1 + 0.2, y0, trim * 1.05)
        self._box(x0 - 0.18, y0 - 0.22, x1 + 0.18, y0 - 0.12, 0, keep=0.6)

    def _door(self, middle: float) -> None:
        colour = np.array([(44, 52, 66), (66, 30, 28), (34, 54, 44)][int(self.rng.integers(3))], np.float32)
        x0, x1 = middle - 0.55, middle + 0.55
        self._box(x0 - 0.2, 0, x1 + 0.2, 2.9, np.array(self.style.trim, np.float32))
        self._box(x0, 0.15, x1, 2.25, colour)
        self._glass(x0, 2.3, x1, 2.7)
        for y in (0.35, 1.25):
            for x in (x0 + 0.12, middle + 0.06):
                self._box(x, y, x + 0.37, y + 0.75, colour * 0.7)
        self._box(x0, 2.1, x1, 2.25, 0, keep=0.5)
        self._box(x0, 0.15, x0 + 0.08, 2.25, 0, keep=0.5)

    def _shop(self, colour: FloatArray) -> None:
        """Stall riser, panes with goods and lamps behind them, a door, and a board with a name."""
        self._box(0.3, 0, self.length - 0.3, self.ground_floor, colour)
        x = 0.55
        while x < self.length - 1.2:
            wide = float(self.rng.uniform(1.3, 2.1))
            end = min(x + wide, self.length - 0.55)
            low = 0.08 if self.rng.random() < 0.25 else 0.55
            self._glass(x, low, end, 2.65, 0.8)
            for _ in range(12):
                gx, gy = self.rng.uniform(x, end - 0.2), low + abs(self.rng.normal(0, 0.4))
                goods = self.rng.uniform(50, 150) + self.rng.normal(0, 16, 3)
                self._box(gx, gy, min(gx + self.rng.uniform(0.06, 0.25), end), min(gy + 0.3, 2.0), goods, keep=0.6)
            lamp = self.rng.uniform(x, max(end - 0.2, x + 0.05))
            self._box(lamp, 2.3, lamp + 0.14, 2.38, (250, 230, 190), keep=0.2)
            self._box(x, 2.5, end, 2.65, 0, keep=0.5)
            x = end + 0.14
        self._box(0.3, 2.72, self.length - 0.3, 3.4, colour * 1.25 + 12)
        self._box(0.3, 2.66, self.length - 0.3, 2.72, 0, keep=0.4)
        cursor, stop = self.length * 0.22, self.length * 0.78
        letters = np.array([226, 220, 196], np.float32)
        while cursor < stop:
            wide = float(self.rng.uniform(0.1, 0.24))
            if self.rng.random() < 0.85:
                self._box(cursor, 2.9, cursor + 0.05, 3.2, letters)
                for bar in self.rng.choice([2.9, 3.03, 3.15], 2, replace=False):
                    self._box(cursor, bar, cursor + wide, bar + 0.05, letters)
            cursor += wide + 0.08

    def _wear(self) -> None:
        scale = self.scale
        blot = smooth_noise(self.shape, 2.2 * scale, self.rng, 4)
        streak = smooth_noise(self.shape, (3.0 * scale, 0.18 * scale), self.rng, 2)
        above = (self.height - np.arange(self.shape[0], dtype=np.float32) / scale)[:, None]
        foot = 0.22 * np.exp(-above / 0.5)
        self.texture *= np.clip(1 + 0.05 * blot + 0.03 * streak - foot, 0.4, 1.3)[..., None]


def end_wall(size: tuple[float, float], scale: float, light: FloatArray, rng: np.random.Generator) -> FloatArray:
    """(rows, columns, 3) of a bare brick wall, `size` (height, length) in metres."""
    shape = (round(size[0] * scale), round(size[1] * scale))
    value, joint = blocks(shape, (0.15 * scale, 0.23 * scale), 0.012 * scale, rng)
    tone = 1 + 0.08 * value + 0.1 * smooth_noise(shape, 2 * scale, rng) + 0.12 * joint
    return np.asarray(np.array([138, 104, 84], np.float32) * tone[..., None] * light, np.float32)


def house_row(
    x: float,
    z_range: tuple[float, float],
    first: int,
    scale: float,
    light: FloatArray,
    rng: np.random.Generator,
) -> tuple[list[Plane], list[tuple[float, float, float]]]:
    """Houses side by side along the street at `x`, and where they stand.

    Args:
        z_range: start and end of the row.
        first: which of `STYLES` comes first.
        light: factor (3,) of the row's light.
    Returns:
        planes in drawing order (end walls far to near, then the fronts), and (z0, z1, height) of each house.
    """
    columns = round((z_range[1] - z_range[0]) * scale)
    texture = np.zeros((round(MAX_HEIGHT * scale), columns, 3), np.float32)
    labels: UInt8Array = np.full(texture.shape[:2], 255, np.uint8)
    houses: list[tuple[float, float, float]] = []
    z, number = z_range[0], first
    while z < z_range[1] - 1:
        length = float(rng.uniform(9.0, 13.5))
        length = z_range[1] - z if z_range[1] - z - length < 6 else length
        facade = Facade(length, STYLES[number % len(STYLES)], scale, light, rng)
        front = facade.paint()[::-1]
        c0 = round((z - z_range[0]) * scale)
        front = front[:, : columns - c0]
        c1 = c0 + front.shape[1]
        texture[: front.shape[0], c0:c1] = front
        texture[front.shape[0] :, c0:c1] = front[-1]
        labels[: front.shape[0], c0:c1] = BUILDING
        for chimney in rng.uniform(1, max(length - 2, 1.1), 2):
            k0, k1 = c0 + round(chimney * scale), min(c0 + round((chimney + 1.1) * scale), columns)
            top = min(front.shape[0] + round(rng.uniform(0.5, 0.9) * scale), texture.shape[0])
            texture[front.shape[0] : top, k0:k1] = np.array([120, 84, 68], np.float32) * light
            labels[front.shape[0] : top, k0:k1] = BUILDING
        houses.append((z, min(z + length, z_range[1]), facade.height))
        z, number = z + length, number + 1
    outward = float(np.sign(x))
    ends = []
    for z0, _, height in reversed(houses):
        wall = end_wall((height, 9.0), scale, np.array([0.92, 0.88, 0.82], np.float32), rng)[::-1]
        ends.append(Plane((x, 0, z0), (outward, 0, 0), (0, 1, 0), wall, scale, BUILDING))
    row = Plane((x, 0, z_range[0]), (0, 0, 1), (0, 1, 0), texture, scale, labels)
    return [*ends, row], houses
