"""Changes the source itself, class by class, before anything is drawn on it."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from vidseg.frames import Box, UInt8Array
from vidseg.labels import LabelSet
from vidseg.render.background import blurred, covering, grey, pasted
from vidseg.render.options import RenderOptions
from vidseg.render.privacy import default_margin, grown, hide


class SourceEffects:
    """Hides regions, then replaces the background, as `RenderOptions` say. Pure apart from caches.

    Hiding fails closed: where nothing is said (`NO_LABEL`), or a class is unknown, the picture is hidden too. A
    background is for looks: what is not said to be foreground belongs to it.
    """

    def __init__(self, options: RenderOptions, labels: LabelSet) -> None:
        self._options = options
        self._hidden = _table((*options.blur_classes, *range(len(labels), 256)))
        self._kept = _table(options.foreground)
        self._backdrop: UInt8Array | None = None

    def apply(self, image: UInt8Array, label_map: UInt8Array, as_is: Iterable[Box] = ()) -> UInt8Array:
        """(H, W, 3) uint8: a new picture, or `image` itself where there is nothing to do.

        Args:
            image: (H, W, 3) uint8 RGB, left as it was.
            label_map: (H, W) uint8 class ids or `NO_LABEL`.
            as_is: where there is nothing to hide though nothing is said; what is hidden around may reach into it.
        """
        options = self._options
        if options.blur_classes:
            margin = default_margin(label_map.shape) if options.blur_margin is None else options.blur_margin
            mask = np.asarray(cv2.LUT(label_map, self._hidden), dtype=np.uint8)
            for top, left, bottom, right in as_is:
                mask[top:bottom, left:right] = 0
            image = hide(image, grown(mask, margin), options.blur_style)
        if options.background is not None:
            image = self._on_background(image, np.asarray(cv2.LUT(label_map, self._kept), dtype=np.uint8))
        return image

    def _on_background(self, image: UInt8Array, keep: UInt8Array) -> UInt8Array:
        background = self._options.background
        assert background is not None
        if background.name == "blur":
            return pasted(image, blurred(image, keep), keep)
        if background.name == "grey":
            return pasted(image, grey(image), keep)
        if self._backdrop is None or self._backdrop.shape != image.shape:
            if background.picture is not None:
                self._backdrop = covering(background.picture, keep.shape)
            else:
                self._backdrop = np.full(image.shape, background.colour, dtype=np.uint8)
        return pasted(image, self._backdrop, keep)


def _table(class_ids: Iterable[int]) -> UInt8Array:
    """(256,) 255 for these ids, else 0."""
    table = np.zeros(256, dtype=np.uint8)
    table[list(class_ids)] = 255
    return table
