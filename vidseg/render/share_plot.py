"""Class shares over time as a picture: areas on top of each other, in the classes' colours."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vidseg.frames import UInt8Array
from vidseg.labels import LabelSet
from vidseg.render.plot import INK, Plot, png_of, put_text
from vidseg.shares_over_time import ClassShares, count_ticks, edges_of, time_ticks

_PLOT = Plot(1280, 560, left=60, right=260, top=44, bottom=56)
_REST = (205, 205, 205)
_ROW_PX = 26


def share_plot_png(shares: ClassShares, labels: LabelSet, *, title: str, end: float, counted: bool = False) -> bytes:
    """A PNG of `draw_shares`."""
    return png_of(draw_shares(shares, labels, title=title, end=end, counted=counted))


def draw_shares(shares: ClassShares, labels: LabelSet, *, title: str, end: float, counted: bool = False) -> UInt8Array:
    """(560, 1280, 3) RGB, with scales, and a legend that is sorted as `shares` are.

    Args:
        title: what it is of.
        end: seconds at which the last stretch ends.
        counted: the stretches are counted in pictures, not seconds.
    """
    picture = _PLOT.blank()
    put_text(picture, title, (_PLOT.x(0), _PLOT.top // 2), INK)
    rows = list(shares.shares.values())
    colours = [labels.palette[key].tolist() for key in shares.shares]
    ticks: Sequence[tuple[float, str]] = []
    if shares.seconds:
        edges = edges_of(shares.seconds, end)
        _fill(picture, edges, rows, colours)
        first, last = shares.seconds[0], max(end, shares.seconds[-1])
        ticks = count_ticks(first, last - 1) if counted else time_ticks(first, last)
        ticks = [((tick - first) / max(last - first, 1e-9), words) for tick, words in ticks]
    quarters = [part / 4 for part in range(5)]
    _rule_over(picture, [place for place, _ in ticks], quarters)
    for place, words in ticks:
        put_text(picture, words, (_PLOT.x(place), _PLOT.y(0) + 18), INK, align=0.5)
    for quarter in quarters:
        put_text(picture, f"{quarter:.0%}", (_PLOT.x(0) - 8, _PLOT.y(quarter)), INK, align=1.0)
    put_text(picture, "picture" if counted else "time", (_PLOT.x(0.5), _PLOT.height - 14), INK, align=0.5)
    means = [sum(row) / len(row) for row in rows]
    named = [(labels.names[key], mean, rgb) for key, mean, rgb in zip(shares.shares, means, colours, strict=True)]
    rest = 1 - sum(means)
    _list(picture, [*named, *([("other, unlabelled", rest, _REST)] if rows and rest > 0.0005 else [])])
    return picture


def _fill(
    picture: UInt8Array, edges: Sequence[float], rows: Sequence[Sequence[float]], colours: Sequence[Sequence[int]]
) -> None:
    """The areas, column by column, the first class at the bottom."""
    left, right, top, bottom = _PLOT.x(0), _PLOT.x(1), _PLOT.y(1), _PLOT.y(0)
    across = (np.arange(right - left) + 0.5) / (right - left)
    stretch = np.clip(np.searchsorted(edges, across, side="right") - 1, 0, len(edges) - 2)
    tops = np.cumsum(np.array(rows, dtype=np.float64).reshape(len(rows), -1), axis=0)[:, stretch] if rows else ()
    height = 1 - (np.arange(bottom - top) + 0.5) / (bottom - top)
    which = np.zeros((bottom - top, right - left), dtype=np.intp)
    for edge in tops:
        which += height[:, None] > edge[None, :]
    picture[top:bottom, left:right] = np.array([*colours, _REST], dtype=np.uint8)[which]


def _rule_over(picture: UInt8Array, across: Sequence[float], upwards: Sequence[float]) -> None:
    """Grid lines that let the areas through."""
    ruled = picture.copy()
    _PLOT.rule(ruled, across, upwards)
    cv2.addWeighted(ruled, 0.45, picture, 0.55, 0, dst=picture)


def _list(picture: UInt8Array, entries: Sequence[tuple[str, float, Sequence[int]]]) -> None:
    """The legend at the right: colour, name, mean share."""
    x = _PLOT.x(1) + 20
    for number, (name, share, rgb) in enumerate(entries):
        y = _PLOT.y(1) + 10 + number * _ROW_PX
        cv2.rectangle(picture, (x, y - 7), (x + 14, y + 7), tuple(map(int, rgb)), cv2.FILLED)
        cv2.rectangle(picture, (x, y - 7), (x + 14, y + 7), INK, 1)
        put_text(picture, name, (x + 24, y), INK)
        percent = f"{share:.0%}" if share >= 0.005 else "<1%"
        put_text(picture, percent, (_PLOT.width - 16, y), INK, align=1.0)
