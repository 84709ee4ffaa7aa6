"""People who walk: limbs, coat and head as round shapes that follow a gait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from street.mesh import Mesh, tube
from street.view import FloatArray

TIP = np.array([0.0, 0.0, 0.025])
STRIDE_METRES = 1.4
"""Way covered in one full cycle of both legs."""


@dataclass(frozen=True)
class Looks:
    """Colours and build of one person."""

    top: tuple[int, int, int]
    legs: tuple[int, int, int]
    hair: tuple[int, int, int] = (44, 32, 24)
    skin: tuple[int, int, int] = (196, 150, 124)
    coat: float = 0.82
    """Height of the hem, for a height of 1.75 m."""
    bag: tuple[int, int, int] | None = None
    height: float = 1.75


def person(looks: Looks, way: float, moving: float = 1.0) -> Mesh:
    """A person on y = 0 who looks along +z, `way` metres into the walk; `moving` 0 stands still.

    The same arguments give the same mesh.
    """
    phase = 2 * np.pi * way / STRIDE_METRES
    rng = np.random.default_rng(7)
    parts: list[Mesh] = []
    bob = 0.02 * moving * np.cos(2 * phase)
    hip, shoulder = 0.92 + bob, 1.44 + bob
    for side in (-1.0, 1.0):
        swing = 0.46 * moving * np.sin(phase + (side > 0) * np.pi)
        lift = moving * max(0.0, float(np.cos(phase + (side > 0) * np.pi)))
        parts += _leg(side, hip, swing, 0.12 + 0.75 * lift, looks, rng)
        parts += _arm(side, shoulder, -0.75 * swing, looks, rng)
    parts += _body(hip, shoulder, looks, rng)
    return Mesh.joined(parts).placed((0, 0, 0), 0.0, looks.height / 1.75)


def _leg(side: float, hip: float, swing: float, bend: float, looks: Looks, rng: np.random.Generator) -> list[Mesh]:
    top = np.array([0.095 * side, hip, 0.0])
    knee = top + 0.45 * np.array([0.0, -np.cos(swing), np.sin(swing)])
    shin = swing - bend * 0.9
    ankle = knee + 0.42 * np.array([0.0, -np.cos(shin), np.sin(shin)])
    ankle[1] = max(ankle[1], 0.05)
    toe = ankle + np.array([0.02 * side, -0.02 - 0.3 * max(0.0, -shin) * 0.3, 0.19])
    heel = ankle + np.array([0.0, -0.02, -0.07])
    line = np.stack([top, (top + knee) / 2, knee, (knee + ankle) / 2, ankle])
    widths = np.array([0.095, 0.082, 0.064, 0.062, 0.05])
    leg = tube(line, np.stack([widths, widths], -1), looks.legs, jitter=0.07, rng=rng)
    shoe = tube(
        np.stack([heel - TIP, heel, (heel + toe) / 2, toe, toe + TIP]),
        [(0.01, 0.01), (0.042, 0.04), (0.05, 0.042), (0.042, 0.03), (0.01, 0.01)],
        (34, 30, 28),
        gloss=0.1,
    )
    return [leg, shoe]


def _arm(side: float, shoulder: float, swing: float, looks: Looks, rng: np.random.Generator) -> list[Mesh]:
    top = np.array([0.2 * side, shoulder - 0.05, 0.0])
    elbow = top + 0.29 * np.array([0.16 * side, -np.cos(swing), np.sin(swing)])
    fore = swing + 0.35
    wrist = elbow + 0.25 * np.array([-0.04 * side, -np.cos(fore), np.sin(fore)])
    hand = wrist + 0.09 * np.array([0.0, -np.cos(fore), np.sin(fore)])
    widths = np.array([0.066, 0.062, 0.052, 0.046, 0.038])
    line = np.stack([top + np.array([0, 0.03, 0]), (top + elbow) / 2, elbow, (elbow + wrist) / 2, wrist])
    near = 0.06
    sleeve = tube(line, np.stack([widths, widths], -1), looks.top, nearer=near, jitter=0.06, rng=rng)
    palm = tube(
        np.stack([wrist, (wrist + hand) / 2, hand]),
        [(0.03, 0.03), (0.04, 0.03), (0.015, 0.015)],
        looks.skin,
        nearer=near,
    )
    return [sleeve, palm]


def _body(hip: float, shoulder: float, looks: Looks, rng: np.random.Generator) -> list[Mesh]:
    hem = min(looks.coat, hip - 0.05)
    levels = np.array([hem, hip, 1.08, 1.22, 1.36, shoulder, shoulder + 0.05, shoulder + 0.09])
    wide = np.array([0.185 if hem > 0.7 else 0.23, 0.175, 0.16, 0.175, 0.2, 0.195, 0.12, 0.06])
    deep = np.array([0.125, 0.125, 0.11, 0.12, 0.125, 0.105, 0.075, 0.055])
    line = np.stack([np.zeros_like(levels), levels, np.zeros_like(levels)], -1)
    torso = tube(line, np.stack([wide, deep], -1), looks.top, sides=16, jitter=0.06, rng=rng)
    neck = shoulder + 0.08
    parts = [torso, tube([(0, neck - 0.03, 0), (0, neck + 0.1, 0.01)], [(0.052, 0.055), (0.05, 0.052)], looks.skin)]
    turn = np.linspace(0.05, np.pi - 0.05, 9)
    centre = neck + 0.16
    line = np.stack([np.zeros(9), centre - 0.125 * np.cos(turn), np.full(9, 0.015)], -1)
    head = tube(line, np.stack([0.078 * np.sin(turn), 0.098 * np.sin(turn)], -1), looks.skin, sides=14)
    middle = head.corners.mean(1)
    hairy: FloatArray = (middle[:, 1] - centre) * 0.8 - (middle[:, 2] - 0.015) > 0.02
    head.colours[hairy] = looks.hair
    parts.append(head)
    if looks.bag is not None:
        line = np.array([(0, 1.0, -0.17), (0, 1.06, -0.19), (0, 1.3, -0.2), (0, 1.42, -0.16)])
        parts.append(
            tube(
                line, [(0.1, 0.05), (0.14, 0.08), (0.14, 0.09), (0.08, 0.04)], looks.bag, sides=12, jitter=0.05, rng=rng
            )
        )
    return parts
