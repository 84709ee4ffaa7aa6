"""Training curves as a picture: the loss, pale, and its running mean on a logarithmic left scale, mIoU on the right."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from vidseg.frames import UInt8Array

Points = Sequence[tuple[float, float]]
"""(step, value), in order of steps."""

WIDTH, HEIGHT = 960, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 70, 40, 50
_INK, _GRID = (60, 60, 60), (228, 228, 228)
_LOSS, _LOSS_EACH, _MIOU = (31, 119, 180), (190, 214, 232), (214, 90, 20)


def curves_png(loss: Points, miou: Points) -> bytes:
    """A PNG of both curves; either may be empty."""
    _, code = cv2.imencode(".png", cv2.cvtColor(draw_curves(loss, miou), cv2.COLOR_RGB2BGR))
    return code.tobytes()


def draw_curves(loss: Points, miou: Points) -> UInt8Array:
    """(480, 960, 3) RGB."""
    picture = np.full((HEIGHT, WIDTH, 3), 255, dtype=np.uint8)
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
            _text(picture, f"{value:.3g}", (_LEFT - 8, _y(part / 4)), _LOSS, align=1.0)
        shares = [(step / last, (math.log10(value) - low) / (high - low)) for step, value in loss]
        _line(picture, shares, _LOSS_EACH)
        _line(picture, _smoothed(shares), _LOSS)
        _text(picture, f"loss {values[-1]:.3g}", (_LEFT, _TOP // 2), _LOSS)
    if miou:
        high = max(0.1, math.ceil(max(value for _, value in miou) * 10) / 10)
        for part in range(5):
            _text(picture, f"{high * part / 4:.3g}", (WIDTH - _RIGHT + 8, _y(part / 4)), _MIOU)
        curve = [(step / last, value / high) for step, value in miou]
        _line(picture, curve, _MIOU)
        for x, y in curve:
            cv2.circle(picture, (_x(x), _y(y)), 3, _MIOU, -1, cv2.LINE_AA)
        _text(picture, f"mIoU {miou[-1][1]:.3f}", (WIDTH - _RIGHT, _TOP // 2), _MIOU, align=1.0)
    return picture


def _draw_steps(picture: UInt8Array, last: float) -> None:
    """Grid, frame, and the scale of steps below."""
    for part in range(5):
        cv2.line(picture, (_LEFT, _y(part / 4)), (WIDTH - _RIGHT, _y(part / 4)), _GRID, 1)
        cv2.line(picture, (_x(part / 4), _TOP), (_x(part / 4), HEIGHT - _BOTTOM), _GRID, 1)
        _text(picture, f"{last * part / 4:.0f}", (_x(part / 4), HEIGHT - _BOTTOM + 18), _INK, align=0.5)
    cv2.rectangle(picture, (_LEFT, _TOP), (WIDTH - _RIGHT, HEIGHT - _BOTTOM), _INK, 1)
    _text(picture, "step", (WIDTH // 2, HEIGHT - 12), _INK, align=0.5)


def _smoothed(points: Points) -> list[tuple[float, float]]:
    """Each value averaged with the twentieth of all points before it: crops differ more than steps improve."""
    reach = max(1, len(points) // 20)
    means = []
    for end in range(1, len(points) + 1):
        part = points[max(0, end - reach) : end]
        means.append((points[end - 1][0], sum(value for _, value in part) / len(part)))
    return means


def _x(share: float) -> int:
    return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT))


def _y(share: float) -> int:
    return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM))


def _line(picture: UInt8Array, points: Points, colour: tuple[int, int, int]) -> None:
    """A line through points given as shares of the plot."""
    pixels = np.array([[_x(x), _y(y)] for x, y in points], dtype=np.int32)
    cv2.polylines(picture, [pixels[:, None]], isClosed=False, color=colour, thickness=2, lineType=cv2.LINE_AA)


def _text(
    picture: UInt8Array, text: str, place: tuple[int, int], colour: tuple[int, int, int], align: float = 0.0
) -> None:
    """Text centred on the height of `place`; `align` 0 starts there, 0.5 is centred, 1 ends there."""
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    corner = (round(place[0] - align * width), place[1] + height // 2)
    cv2.putText(picture, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
