"""What is shown while a source is offline: a darkened picture with a message."""

from __future__ import annotations

import cv2
import numpy as np

from vidseg.frames import UInt8Array
from vidseg.render.text import draw_text, line_height, text_size_px, text_width

BRIGHTNESS = 0.35
PLAIN_GREY = 24


def offline_card(picture: UInt8Array, text: str, *, plain: bool = False) -> UInt8Array:
    """A new (H, W, 3) uint8 RGB picture: `picture` dark and without colour, `text` in the middle.

    Args:
        plain: leave the picture out, for where it must not be seen without what hides parts of it.
    """
    if plain:
        card = np.full_like(picture, PLAIN_GREY)
    else:
        grey = cv2.convertScaleAbs(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), alpha=BRIGHTNESS)
        card = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    height, width = picture.shape[:2]
    size = text_size_px(height, width, share=1 / 14)
    while size > 4 and text_width(text, size, bold=True) > 0.95 * width:
        size -= 1
    left = (width - text_width(text, size, bold=True)) // 2
    # plain text on a dark picture: haloed text is kept for the next frame, and here every second has its own
    draw_text(card, text, left, (height - line_height(size)) // 2, size, bold=True)
    return card
