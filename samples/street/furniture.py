"""What stands along a street: lamp posts, a crossing sign, railings. All stand on y = 0 around the origin."""

from __future__ import annotations

import numpy as np

from street.mesh import Mesh, box, tube

IRON = (46, 50, 48)


def post(height: float, radius: float, colour: tuple[int, int, int] = (118, 120, 122)) -> Mesh:
    """A round upright post."""
    levels = np.linspace(0, height, 6)
    line = np.stack([0 * levels, levels, 0 * levels], -1)
    return tube(line, np.full((6, 2), radius), colour, gloss=0.15)


def lamp_post(side: float) -> Mesh:
    """A tall post whose arm points to +x or -x, as the sign of `side`."""
    reach = np.linspace(0, 1, 6)
    arm = np.stack([side * 1.5 * reach, 6.8 + 0.5 * np.sin(reach * np.pi / 2), 0 * reach], -1)
    head = np.array([(side * 1.4, 7.3, 0), (side * 1.75, 7.32, 0), (side * 2.1, 7.28, 0)])
    grey = (96, 100, 102)
    return Mesh.joined(
        [
            post(1.2, 0.1, grey),
            post(6.8, 0.06, grey),
            tube(arm, np.full((6, 2), 0.035), grey, sides=6),
            tube(head, [(0.06, 0.06), (0.08, 0.14), (0.04, 0.06)], (170, 172, 172), sides=8),
        ]
    )


def sign_plate() -> Mesh:
    """A blue plate with a white field, 2.1 to 2.7 m up, that faces -z."""
    return Mesh.joined(
        [
            box((-0.31, 2.1, -0.06), (0.31, 2.72, -0.04), (26, 62, 140), gloss=0.2),
            box((-0.15, 2.2, -0.075), (0.15, 2.55, -0.065), (232, 232, 230)),
        ]
    )


def railing() -> Mesh:
    """One metre of iron railing along +z."""
    bars = [box((-0.03, 0, at), (0.03, 0.95, at + 0.06), IRON) for at in (0.0, 0.5)]
    return Mesh.joined([box((-0.02, low, 0), (0.02, low + 0.06, 1), IRON) for low in (0.12, 0.86)] + bars)
