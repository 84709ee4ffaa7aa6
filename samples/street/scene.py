"""The street itself: what stands where, who moves how, and one frame of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from street import cars, furniture, people, trees
from street.facades import house_row
from street.ground import CROSSING, END, KERB, PARK, PARK_DEPTH, START, WALL_X, ground_planes
from street.mesh import Mesh
from street.sky import Sky
from street.view import (
    CAR,
    FENCE,
    PERSON,
    POLE,
    SIGN,
    TREE,
    Camera,
    Canvas,
    FloatArray,
    UInt8Array,
)

SECONDS = 7.0
EYE_HEIGHT = 1.42
LANE_X = 1.5
FENCE_START = 58.0
"""The lawn is open up to here and railed off behind."""
SHADED_LIGHT = np.array([0.60, 0.63, 0.69], np.float32)
SUNNY_LIGHT = np.array([1.0, 0.97, 0.91], np.float32)


def camera_way(seconds: float) -> float:
    """Metres driven: 4.6 m/s at first, slower towards the crossing."""
    slow = np.clip((seconds - 3.0) / (SECONDS - 3.0), 0, 1)
    return float(4.6 * seconds - 0.5 * 3.0 * slow**2 * (SECONDS - 3.0))


def camera_at(seconds: float, size_wh: tuple[int, int]) -> Camera:
    """The camera of a car that rolls over an uneven road."""
    way = camera_way(seconds)
    pitch = 0.0035 * np.sin(1.9 * way) + 0.0025 * np.sin(0.83 * way + 1)
    roll = 0.003 * np.sin(1.1 * way + 0.5)
    yaw = -0.02 + 0.008 * np.sin(0.19 * way)
    height = EYE_HEIGHT + 0.012 * np.sin(2.3 * way)
    return Camera.looking((LANE_X + 0.08 * np.sin(0.12 * way), height, way), yaw, pitch, roll, size_wh)


Place = Callable[[float], tuple[float, float, float]]
"""Seconds to where something stands (x, y, z)."""


def oncoming_cars() -> tuple[Place, Place]:
    """Where the two oncoming cars are."""
    return (lambda t: (-1.55, 0.0, 58.0 - 8.5 * t)), (lambda t: (-1.5, 0.0, 104.0 - 8.0 * t))


@dataclass(frozen=True)
class Thing:
    """Something that stands on the ground: where it is at a time, and how it is drawn and shaded."""

    place: Place
    draw: Callable[[Canvas, Camera, float], None]
    shadow: Callable[[Canvas, Camera, float], None] | None = None


class Street:
    """Builds all surfaces once and draws any moment of the clip. The same seed and size give the same pictures."""

    def __init__(self, size_wh: tuple[int, int], seed: int = 2024) -> None:
        self.size_wh = size_wh
        rng = np.random.default_rng(seed)
        scale = float(np.clip(40 * size_wh[0] / 640, 8, 48))
        """Texture pixels per metre."""
        left, left_houses = house_row(-WALL_X, (START, END), 0, scale, SHADED_LIGHT, rng)
        near, _ = house_row(WALL_X, (START, PARK[0]), 4, scale, SUNNY_LIGHT, rng)
        far, _ = house_row(WALL_X, (PARK[1], END), 2, scale * 0.6, SUNNY_LIGHT, rng)
        behind, _ = house_row(WALL_X + PARK_DEPTH, (PARK[0] - 12, END), 5, scale * 0.5, SUNNY_LIGHT, rng)
        across, _ = house_row(0.0, (0.0, 90.0), 1, scale * 0.4, SUNNY_LIGHT * 0.9, rng)
        end = across[-1].moved((-45.0, 0.0, END), (1.0, 0.0, 0.0))
        self.planes = [end, *behind, *ground_planes(scale, left_houses, rng), *far, *near, *left]
        self.sky = Sky(rng)
        crown_scale = float(np.clip(56 * size_wh[0] / 640, 10, 64))
        greens = ((74, 98, 36), (62, 88, 34), (88, 104, 44), (66, 84, 40))
        self.crowns = [
            trees.paint_crown(size, green, crown_scale, seed + k)
            for k, (size, green) in enumerate(
                zip(((4.6, 5.2), (5.4, 5.6), (6.6, 7.4), (8.0, 8.4)), greens, strict=True)
            )
        ]
        self.things = [*self._trees(rng), *self._cars(), *self._people(), *self._furniture()]

    def frame(self, seconds: float, camera: Camera | None = None) -> tuple[FloatArray, UInt8Array]:
        """The picture (h, w, 3) float32 0..255, before the camera's own blur and grain, and its classes (h, w).

        Seen by the clip's camera, or by another one of the same size.
        """
        camera = camera_at(seconds, self.size_wh) if camera is None else camera
        canvas = Canvas(camera.size_wh)
        self.sky.draw(canvas, camera)
        for plane in self.planes:
            plane.draw(canvas, camera)
        placed = [(thing.place(seconds)[2], thing) for thing in self.things]
        placed = [(z, thing) for z, thing in placed if z > camera.position[2] - 3]
        for _, thing in placed:
            if thing.shadow is not None:
                thing.shadow(canvas, camera, seconds)
        for _, thing in sorted(placed, key=lambda pair: -pair[0]):
            thing.draw(canvas, camera, seconds)
        return canvas.reduced()

    def _trees(self, rng: np.random.Generator) -> list[Thing]:
        rows: list[tuple[float, float, float, int]] = []
        rows += [(6.0, KERB, z, 0) for z in (17.0, 28.0)]
        rows += [(6.1, KERB, z, 1) for z in (48.0, 58.0, 69.0, 80.0, 92.0, 104.0, 118.0, 134.0, 150.0)]
        rows += [(-6.2, KERB, z, 0) for z in (29.0, 52.0, 66.0, 84.0, 100.0, 122.0, 145.0)]
        rows += [(x, KERB, z, 2) for x, z in ((12.5, 50.0), (16.0, 62.0), (12.0, 73.0), (18.0, 84.0), (24.0, 68.0))]
        rows += [(x, KERB, z, 3) for x, z in ((22.0, 54.0), (30.0, 60.0), (28.0, 78.0), (14.0, 90.0), (24.0, 90.0))]
        rows += [(x, 0.0, END - 3, 2) for x in (-9.0, -3.5, 9.5)]
        return [self._tree(*row, number, rng) for number, row in enumerate(rows)]

    def _tree(self, x: float, y: float, z: float, kind: int, number: int, rng: np.random.Generator) -> Thing:
        far_half, near_half = self.crowns[kind]
        bole = (2.5, 2.7, 2.6, 2.8)[kind]
        stem = trees.trunk(bole + 0.6, (0.13, 0.15, 0.22, 0.26)[kind], rng).placed((x, y, z), 0.0)
        middle = y + bole + 0.40 * near_half.size[1] * 0.95 + float(rng.uniform(-0.15, 0.3))
        mirrored = number % 2 == 1
        apart = near_half.size[0] * 0.12

        def draw(canvas: Canvas, camera: Camera, seconds: float) -> None:
            far_half.draw(canvas, camera, (x, middle, z + apart), TREE, mirrored)
            stem.draw(canvas, camera, TREE, 0.6)
            near_half.draw(canvas, camera, (x, middle, z - apart), TREE, mirrored)

        return Thing(lambda seconds: (x, y, z), draw)

    def _cars(self) -> list[Thing]:
        shapes = (cars.HATCHBACK, cars.SALOON, cars.ESTATE)
        colours = (
            (176, 180, 184), (32, 44, 74), (122, 18, 22), (214, 214, 210), (104, 122, 138), (44, 46, 50), (30, 62, 58),
        )  # fmt: skip
        away, towards = 0.0, np.pi
        parked = [(4.02, z, away) for z in (12.2, 24.0, 47.0, 53.2, 65.4, 77.5, 83.8, 101.5, 120.0)]
        parked += [(-4.02, z, towards) for z in (10.5, 16.6, 29.0, 47.6, 60.0, 66.2, 84.8, 97.0, 115.0, 133.0)]
        things = []
        for k, (x, z, heading) in enumerate(parked):
            shape, colour = shapes[(k * 2 + k // 3) % 3], colours[(k * 3 + 1) % 7]
            things.append(self._car(shape, colour, heading, _staying(x, z)))
        first, second = oncoming_cars()
        moving = (
            (cars.SALOON, (150, 156, 164), towards, first),
            (cars.HATCHBACK, (120, 26, 28), towards, second),
            (cars.HATCHBACK, (206, 208, 210), away, lambda t: (1.55, 0.0, 46.0 + 5.5 * t)),
        )
        return things + [self._car(*car) for car in moving]

    def _car(
        self,
        shape: cars.Shape,
        colour: tuple[int, int, int],
        heading: float,
        place: Place,
    ) -> Thing:
        fine, coarse = cars.car(shape, colour), cars.car(shape, colour, 28)

        def draw(canvas: Canvas, camera: Camera, seconds: float) -> None:
            at = place(seconds)
            mesh = fine if at[2] - camera.position[2] < 30 else coarse
            mesh.placed(at, heading).draw(canvas, camera, CAR, 0.35 if at[0] < 0 else 1.0)

        def shadow(canvas: Canvas, camera: Camera, seconds: float) -> None:
            x, _, z = place(seconds)
            half, long = shape.width / 2, shape.length / 2
            under = [(x - half, 0, z - long), (x + half, 0, z - long), (x + half, 0, z + long), (x - half, 0, z + long)]
            canvas.shade(camera, under, 0.16, 0.82)
            if x > 0:
                cast = [(x - half, 0, z - long), (x + half + 0.8, 0, z - long + 0.6)]
                cast += [(x + half + 0.8, 0, z + long + 0.8), (x - half, 0, z + long + 0.8)]
                canvas.shade(camera, cast, 0.08, 0.35)

        return Thing(place, draw, shadow)

    def _people(self) -> list[Thing]:
        looks = people.Looks
        dark, navy, beige = (42, 42, 46), (40, 50, 78), (176, 156, 124)
        walkers = (
            (looks(navy, (62, 68, 84), bag=(120, 40, 36)), -6.7, 15.0, 1.25),
            (looks((150, 44, 44), (38, 40, 48), hair=(90, 64, 40), height=1.67), -7.3, 24.0, -1.3),
            (looks(beige, (50, 48, 46), coat=0.62, height=1.7), -6.9, 35.0, 1.15),
            (looks(dark, (70, 74, 88), height=1.82), -7.4, 36.0, 1.15),
            (looks((86, 100, 84), (54, 58, 74), bag=(40, 44, 40)), -7.0, 58.0, -1.35),
            (looks((196, 192, 184), (52, 56, 72), height=1.72), 7.2, 19.0, 1.3),
            (looks((52, 72, 104), (44, 44, 48), bag=(52, 50, 46), height=1.8), 7.3, 33.0, -1.2),
            (looks((128, 60, 84), (36, 36, 42), coat=0.6, height=1.66), 6.9, 42.5, -1.1),
            (looks(dark, (84, 78, 68)), 7.0, 66.0, -1.3),
            (looks((170, 120, 60), (58, 62, 80), height=1.7), 7.4, 78.0, 1.2),
        )
        things = [self._walker(look, _walking(x, z, v), 0.0 if v > 0 else np.pi, abs(v)) for look, x, z, v in walkers]
        middle = (CROSSING[0] + CROSSING[1]) / 2
        crossing = (
            (looks((58, 88, 120), (44, 46, 56), bag=(150, 60, 40), height=1.78), 7.6, middle - 0.4, 1.35),
            (looks((186, 170, 150), (60, 66, 86), hair=(110, 80, 48), height=1.66), 8.7, middle + 0.5, 1.3),
        )
        for look, start, z, speed in crossing:
            things.append(self._walker(look, _crossing(start, z, speed), -np.pi / 2, speed))
        return things

    def _walker(
        self,
        look: people.Looks,
        place: Place,
        heading: float,
        speed: float,
    ) -> Thing:
        def draw(canvas: Canvas, camera: Camera, seconds: float) -> None:
            at = place(seconds)
            sun = 0.35 if at[0] < -1 else 1.0
            people.person(look, speed * seconds + at[2] % 1.0).placed(at, heading).draw(canvas, camera, PERSON, sun)

        def shadow(canvas: Canvas, camera: Camera, seconds: float) -> None:
            x, y, z = place(seconds)
            feet = [(x - 0.3, y, z - 0.3), (x + 0.3, y, z - 0.3), (x + 0.3, y, z + 0.3), (x - 0.3, y, z + 0.3)]
            canvas.shade(camera, feet, 0.12, 0.5)
            if x > -1:
                far = (x + 1.15, y, z + 1.45)
                cast = [
                    (x - 0.12, y, z),
                    (x + 0.14, y, z - 0.1),
                    (far[0] + 0.15, y, far[2]),
                    (far[0] - 0.1, y, far[2] + 0.1),
                ]
                canvas.shade(camera, cast, 0.06, 0.42)

        return Thing(place, draw, shadow)

    def _furniture(self) -> list[Thing]:
        things = [
            _still(furniture.lamp_post(-np.sign(x)), (x, KERB, z), POLE)
            for x, z in (
                (5.45, 18.5),
                (5.45, 42.0),
                (5.45, 74.0),
                (5.45, 108.0),
                (-5.45, 26.0),
                (-5.45, 58.0),
                (-5.45, 94.0),
            )
        ]
        for x, z, heading in ((5.35, 32.3, 0.0), (-5.35, 37.0, np.pi)):
            things.append(_still(furniture.post(2.9, 0.04), (x, KERB, z), POLE))
            things.append(_still(furniture.sign_plate().placed((0, 0, 0), heading), (x, KERB, z - 0.01), SIGN))
        for z in np.arange(FENCE_START, PARK[1] - 1):
            things.append(_still(furniture.railing(), (WALL_X - 0.12, KERB, float(z)), FENCE))
        return things


def _staying(x: float, z: float) -> Place:
    return lambda seconds: (x, 0.0, z)


def _walking(x: float, z: float, speed: float) -> Place:
    return lambda seconds: (x, KERB, z + speed * seconds)


def _crossing(start: float, z: float, speed: float) -> Place:
    """Across the street from right to left: down the kerb and up again."""

    def place(seconds: float) -> tuple[float, float, float]:
        x = start - speed * seconds
        return x, KERB * float(np.clip((abs(x) - 4.85) / 0.3, 0, 1)), z

    return place


def _still(mesh: Mesh, at: tuple[float, float, float], label: int) -> Thing:
    placed = mesh.placed(at, 0.0)
    sun = 0.35 if at[0] < 0 else 1.0
    return Thing(
        lambda seconds: at,
        lambda canvas, camera, seconds: placed.draw(canvas, camera, label, sun),
    )
