"""A panel with the classes in the picture: colour, name, share. Of confidence: its colours, from 0 to 100 %."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from vidseg.frames import UInt8Array
from vidseg.labels import LabelSet
from vidseg.render.text import MIN_SIZE_PX, Rgb, draw_panel, draw_text, line_height, text_size_px, text_width

MIN_SHARE = 0.005
"""Classes that cover less of the picture are left out."""
_MAX_WIDTH, _MAX_HEIGHT = 0.5, 0.9
"""Share of the picture that the panel may take."""
_STRIP_PIXELS = 1 << 16
"""Coloured at once: so many stay in the processor's cache between two steps."""
_GREY: Rgb = (190, 194, 200)
_LEAST, _MOST = "0 %", "100 %"

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""


def draw_confidence(picture: UInt8Array, levels: UInt8Array | None) -> None:
    """Fill `picture` with what stands for the levels (H, W); black where nothing is known of them."""
    if levels is None:
        picture[:] = 0
        return
    rows = max(1, _STRIP_PIXELS // levels.shape[1])
    for start in range(0, len(levels), rows):
        some = slice(start, start + rows)
        packed = cv2.LUT(levels[some], _viridis())
        cv2.cvtColor(packed.view(np.uint8).reshape(*packed.shape, 4), cv2.COLOR_RGBA2RGB, dst=picture[some])


@cache
def _viridis() -> npt.NDArray[np.int32]:
    """(256,) red, green, blue and nothing, read as one number: a quarter of the time of `cv2.applyColorMap`."""
    colours = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_VIRIDIS)
    return cv2.cvtColor(colours, cv2.COLOR_BGR2RGBA).view(np.int32).ravel()


def class_shares(shown: UInt8Array) -> dict[int, float]:
    """Share of an (H, W) label map, 0..1, of each class that covers at least `MIN_SHARE` of it, by class id.

    Counts a grid of pixels only, at most some 260 along the shorter side.
    """
    step = max(1, min(shown.shape) // 180)
    sample = shown[::step, ::step]
    counts = np.bincount(sample.ravel(), minlength=256)[:255]
    found = np.flatnonzero(counts >= MIN_SHARE * sample.size)
    return {int(class_id): float(counts[class_id]) / sample.size for class_id in found if counts[class_id]}


class Legend:
    """Draws the panel. The largest class comes first; the width is that of the longest name, so that it stays.

    Args:
        class_ids: classes that may ever be listed.
        place: corner of the picture, such as "top-right".
        text_size: factor for the size that the picture's own size gives.
    """

    def __init__(
        self, labels: LabelSet, class_ids: Iterable[int], *, place: str = "top-right", text_size: float = 1.0
    ) -> None:
        self._labels = labels
        self._place, self._text_size = place, text_size
        self._names = {class_id: labels.names[class_id] for class_id in class_ids}

    def draw(self, picture: UInt8Array, shown: UInt8Array) -> Box | None:
        """Draw the panel into a corner of `picture`; its box, None where nothing is shown or it does not fit.

        Where there are more classes than rows, the largest are listed and the last row counts the others.

        Args:
            picture: (H, W, 3) uint8 RGB, drawn on.
            shown: (H, W) uint8 class ids, 255 where nothing is shown.
        """
        shares = class_shares(shown)
        if not shares:
            return None
        height, width = picture.shape[:2]
        for size_px in range(text_size_px(height, width, share=self._text_size / 36), MIN_SIZE_PX - 1, -1):
            panel_width = self._panel_width(size_px)
            rows = min(len(shares), (int(height * _MAX_HEIGHT) - size_px) // line_height(size_px))
            if panel_width <= width * _MAX_WIDTH and (rows == len(shares) or (size_px == MIN_SIZE_PX and rows >= 2)):
                break
        else:
            return None
        box = self._draw_panel(picture, panel_width, rows, size_px)
        self._draw_rows(picture, box, size_px, shares, rows)
        return box

    def draw_scale(self, picture: UInt8Array) -> Box | None:
        """The same with the colours of `draw_confidence` in place of classes."""
        height, width = picture.shape[:2]
        size_px = text_size_px(height, width, share=self._text_size / 36)
        while (panel_width := text_width(_LEAST + _MOST, size_px) + 9 * size_px) > width * _MAX_WIDTH:
            size_px -= 1
        step = line_height(size_px)
        if size_px < MIN_SIZE_PX or 2 * step + size_px > height * _MAX_HEIGHT:
            return None
        x, y, *_ = box = self._draw_panel(picture, panel_width, 2, size_px)
        x, y = x + size_px // 2, y + size_px // 2
        draw_text(picture, "confidence", x, y, size_px)
        draw_text(picture, _LEAST, x, y + step, size_px, rgb=_GREY)
        x, top = x + text_width(_LEAST, size_px) + size_px // 2, y + step + (step - size_px) // 2
        levels = np.linspace(0, 255, 7 * size_px).round().astype(np.uint8)
        draw_confidence(picture[top : top + size_px, x : x + len(levels)], np.tile(levels, (size_px, 1)))
        draw_text(picture, _MOST, x + len(levels) + size_px // 2, y + step, size_px, rgb=_GREY)
        return box

    def _draw_panel(self, picture: UInt8Array, panel_width: int, rows: int, size_px: int) -> Box:
        height, width = picture.shape[:2]
        margin, panel_height = size_px // 2, rows * line_height(size_px) + size_px
        x = margin if self._place.endswith("left") else width - margin - panel_width
        y = margin if self._place.startswith("top") else height - margin - panel_height
        draw_panel(picture, x, y, panel_width, panel_height)
        return x, y, panel_width, panel_height

    def _panel_width(self, size_px: int) -> int:
        names = max(text_width(name, size_px) for name in self._names.values())
        return round(size_px * 2.7) + names + text_width("100 %", size_px)

    def _draw_rows(self, picture: UInt8Array, box: Box, size_px: int, shares: dict[int, float], rows: int) -> None:
        x, y, width, _ = box
        pad, step = size_px // 2, line_height(size_px)
        # by the percentage that is read, so that rows do not change places over what cannot be seen
        listed = sorted(shares, key=lambda class_id: (-round(shares[class_id], 2), class_id))
        if rows < len(shares):
            listed = listed[: rows - 1]
        y += pad
        for class_id in listed:
            top, side = y + (step - size_px) // 2, size_px
            picture[top : top + side, x + pad : x + pad + side] = self._labels.palette[class_id]
            draw_text(picture, self._names[class_id], x + pad + round(size_px * 1.5), y, size_px)
            percent = f"{shares[class_id]:.0%}".replace("%", " %") if shares[class_id] >= 0.01 else "<1 %"
            draw_text(picture, percent, x + width - pad - text_width(percent, size_px), y, size_px, rgb=_GREY)
            y += step
        if len(listed) < len(shares):
            more = f"+ {len(shares) - len(listed)} more"
            draw_text(picture, more, x + pad + round(size_px * 1.5), y, size_px, rgb=_GREY)
