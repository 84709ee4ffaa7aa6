"""Some classes cut out of the picture, to be laid over another one."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, Segmentation, UInt8Array
from vidseg.labels import LabelSet, ade20k
from vidseg.render.effects import SourceEffects
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import check_fit

MARGIN = 16
"""Pixels around what is opaque that keep their colour: lossy codecs blur colours over up to 16x16 pixels, and players
blend them when they scale. Farther away nothing of the source is left in the file."""


class MatteRenderer:
    """Draws the source with alpha: 255 on some classes, 0 elsewhere. Keeps tables only. Satisfies `Renderer`.

    Colours are not multiplied with alpha (straight alpha), as ProRes, VP9 and PNG have it. Beyond `MARGIN` they are
    black.

    Args:
        classes: ids that stay.
        feather: standard deviation in pixels of the blur that softens the edges; 0 leaves them hard.
        options: what is hidden or replaced in the source before, as in `OverlayRenderer`; nothing else of it counts.
        labels: the names and number of classes, ADE20K's by default.
    Raises:
        ConfigError: no class, or an id out of range.
    """

    def __init__(
        self,
        classes: Iterable[int],
        *,
        feather: float = 0.0,
        options: RenderOptions | None = None,
        labels: LabelSet | None = None,
    ) -> None:
        self._opaque = _table(classes)
        self._effects = SourceEffects(
            RenderOptions() if options is None else options, ade20k() if labels is None else labels
        )
        if not self._opaque.any():
            raise ConfigError("a matte needs at least one class; give class ids")
        if feather < 0:
            raise ConfigError(f"feather is {feather:g}; give pixels, 0 for hard edges")
        self._feather = feather
        self._near = np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)

    def render(self, image: UInt8Array, segmentation: Segmentation) -> UInt8Array:
        """A new (H, W, 4) uint8 RGBA picture.

        Args:
            image: (H, W, 3) uint8 RGB, left as it was.
            segmentation: its label map is (H, W) uint8.
        Raises:
            ValueError: the label map is not of the image's size, or one of them is not uint8.
        """
        label_map = segmentation.label_map
        check_fit(image, label_map)
        image = self._effects.apply(image, label_map, segmentation.as_is)
        alpha = np.asarray(cv2.LUT(label_map, self._opaque), np.uint8)
        if self._feather:
            alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), self._feather), np.uint8)
        picture = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
        cv2.insertChannel(alpha, picture, 3)
        kept = cv2.dilate(alpha, self._near)
        return np.asarray(cv2.bitwise_and(picture, picture, mask=kept), np.uint8)


def _table(class_ids: Iterable[int]) -> UInt8Array:
    """(256,) 255 at the given ids, else 0."""
    table = np.zeros(256, np.uint8)
    for class_id in class_ids:
        if not 0 <= class_id < NO_LABEL:
            raise ConfigError(f"a matte of class id {class_id!r}; give class ids from 0 to {NO_LABEL - 1}")
        table[class_id] = 255
    return table
