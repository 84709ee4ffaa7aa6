"""Text over the picture in the live window: messages, metrics, key help."""

from __future__ import annotations

from collections.abc import Sequence

from vidseg.frames import UInt8Array
from vidseg.render.text import MIN_SIZE_PX, draw_panel, draw_text, line_height, text_size_px, text_width
from vidseg.render.window_state import WindowStatus

Row = tuple[str, ...]


def status_rows(status: WindowStatus, view: str) -> list[Row]:
    """The known metrics, each as name and value."""
    rows: list[Row] = []
    if status.fps is not None:
        rows.append(("rate", f"{status.fps:.1f} fps"))
    if status.latency_ms is not None:
        rows.append(("latency", f"{status.latency_ms:.0f} ms"))
    if status.dropped is not None:
        rows.append(("dropped", f"{status.dropped} frames"))
    if status.frame_index is not None:
        rows.append(("frame", f"{status.frame_index}"))
    if status.seconds is not None:
        minutes, seconds = divmod(max(0.0, status.seconds), 60)
        rows.append(("time", f"{int(minutes // 60)}:{int(minutes % 60):02}:{seconds:05.2f}"))
    if status.speed != 1:
        rows.append(("speed", f"{status.speed:g}x"))
    rows.append(("view", view))
    rows += [(name, f"{cost:.1f} ms a frame") for name, cost in status.costs_ms.items()]
    return rows


def draw_rows(picture: UInt8Array, rows: Sequence[Row], *, top: int = 0) -> int:
    """Draw a panel with rows of columns into an (H, W, 3) picture, at the left, below `top`; the y of its lower edge.

    The text shrinks to what fits; where the smallest does not fit, nothing is drawn.
    """
    height, width = picture.shape[:2]
    columns = max(len(row) for row in rows)
    for size_px in range(text_size_px(height, width), MIN_SIZE_PX - 1, -1):
        pad = size_px // 2
        widths = [max(text_width(row[i], size_px) for row in rows if i < len(row)) for i in range(columns)]
        box_width = sum(widths) + (columns - 1) * size_px + 2 * pad
        box_height = len(rows) * line_height(size_px) + 2 * pad
        if box_width + 2 * pad <= width and top + box_height + pad <= height:
            break
    else:
        return top
    x, y = pad, top + pad
    draw_panel(picture, x, y, box_width, box_height)
    for number, row in enumerate(rows):
        left = x + pad
        for i, cell in enumerate(row):
            draw_text(picture, cell, left, y + pad + number * line_height(size_px), size_px)
            left += widths[i] + size_px
    return y + box_height
