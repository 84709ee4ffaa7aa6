"""Training curves as a picture: the loss, pale, and its running mean on a logarithmic left scale, mIoU on the right."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from vidseg.frames import UInt8Array
from vidseg.render.plot import INK, Plot, png_of, put_text

Points = Sequence[tuple[float, float]]
"""(step, value), in order of steps."""

_PLOT = Plot(960, 480, left=70, right=70, top=40, bottom=50)
_LOSS, _LOSS_EACH, _MIOU = (31, 119, 180), (190, 214, 232), (214, 90, 20)


def curves_png(loss: Points, miou: Points) -> bytes:
    """A PNG of both curves; either may be empty."""
    return png_of(draw_curves(loss, miou))


def draw_curves(loss: Points, miou: Points) -> UInt8Array:
    """(480, 960, 3) RGB."""
    picture = _PLOT.blank()
    loss = [(step, value) for step, value in loss if math.isfinite(value) and value > 0]
    miou = [(step, value) for step, value in miou if math.isfinite(value)]
    last = max((step for step, _ in (*loss, *miou)), default=1.0)
    _draw_steps(picture, last)
    if loss:
        values = [value for _, value in loss]
        low, high = math.log10(min(values)), math.log10(max(values))
        middle, half = (low + high) / 2, max(0.05, (high - low) / 2 * 1.05)
        low, high = middle - half, middle + half
        for part in range(5):
            value = 10 ** (low + (high - low) * part / 4)
            put_text(picture, f"{value:.3g}", (_PLOT.x(0) - 8, _PLOT.y(part / 4)), _LOSS, align=1.0)
        shares = [(step / last, (math.log10(value) - low) / (high - low)) for step, value in loss]
        _line(picture, shares, _LOSS_EACH)
        _line(picture, _smoothed(shares), _LOSS)
        put_text(picture, f"loss {values[-1]:.3g}", (_PLOT.x(0), _PLOT.top // 2), _LOSS)
    if miou:
        high = max(0.1, math.ceil(max(value for _, value in miou) * 10) / 10)
        for part in range(5):
            put_text(picture, f"{high * part / 4:.3g}", (_PLOT.x(1) + 8, _PLOT.y(part / 4)), _MIOU)
        curve = [(step / last, value / high) for step, value in miou]
        _line(picture, curve, _MIOU)
        for x, y in curve:
            cv2.circle(picture, (_PLOT.x(x), _PLOT.y(y)), 3, _MIOU, -1, cv2.LINE_AA)
        put_text(picture, f"mIoU {miou[-1][1]:.3f}", (_PLOT.x(1), _PLOT.top // 2), _MIOU, align=1.0)
    return picture


def _draw_steps(picture: UInt8Array, last: float) -> None:
    """Grid, frame, and the scale of steps below."""
    parts = [part / 4 for part in range(5)]
    _PLOT.rule(picture, parts, parts)
    for part in parts:
        put_text(picture, f"{last * part:.0f}", (_PLOT.x(part), _PLOT.y(0) + 18), INK, align=0.5)
    put_text(picture, "step", (_PLOT.width // 2, _PLOT.height - 12), INK, align=0.5)


def _smoothed(points: Points) -> list[tuple[float, float]]:
    """Each value averaged with the twentieth of all points before it: crops differ more than steps improve."""
    reach = max(1, len(points) // 20)
    means = []
    for end in range(1, len(points) + 1):
        part = points[max(0, end - reach) : end]
        means.append((points[end - 1][0], sum(value for _, value in part) / len(part)))
    return means


def _line(picture: UInt8Array, points: Points, colour: tuple[int, int, int]) -> None:
    """A line through points given as shares of the plot."""
    pixels = np.array([[_PLOT.x(x), _PLOT.y(y)] for x, y in points], dtype=np.int32)
    cv2.polylines(picture, [pixels[:, None]], isClosed=False, color=colour, thickness=2, lineType=cv2.LINE_AA)
