"""How to draw a picture."""

from __future__ import annotations

from dataclasses import dataclass

from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL
from vidseg.render.background import Background
from vidseg.render.privacy import BLUR_STYLES

VIEWS = ("overlay", "mask", "side", "stack", "split", "confidence")
LEGEND_PLACES = ("top-right", "top-left", "bottom-right", "bottom-left")
TEXT_SIZES = (0.5, 4.0)
"""Least and most of `text_size`."""


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """What the renderer draws, checked when made.

    Raises:
        ConfigError: a value is unknown or out of range.
    """

    opacity: float = 0.5
    """Share of the class colour in the overlay, 0 (source only) to 1 (colour only)."""
    view: str = "overlay"
    """"overlay": colours over the source; "mask": colours only; "side": source left, overlay right;
    "stack": source above, overlay below; "split": one picture, its left half the source, its right half the overlay.
    "confidence": how sure the network is, from dark (not at all) to yellow, where the segmentation tells."""
    contours: bool = False
    """White outlines between regions; specks have none."""
    edges: bool = True
    """A faint light and dark line between regions of the overlay: half of a grey over a grey wall cannot be seen."""
    legend: bool = False
    """A panel with the classes in the picture and their shares; in the view "confidence", with its scale."""
    labels: bool = False
    """Class names on the large regions."""
    legend_place: str = "top-right"
    """Corner of the panel: one of `LEGEND_PLACES`."""
    text_size: float = 1.0
    """Of the panel and the class names: 2 is twice as large as it is by the picture's size."""
    classes: tuple[int, ...] = ()
    """Class ids to show; empty means all."""
    ignore_classes: tuple[int, ...] = ()
    """Class ids not to show; wins over `classes`."""
    blur_classes: tuple[int, ...] = ()
    """Class ids whose regions are made unrecognisable in the source, in every view, shown or not. With any of them,
    what has no label is made unrecognisable too."""
    blur_style: str = "pixelate"
    """How: "pixelate", "blur", or "fill" (black, nothing is left)."""
    blur_margin: int | None = None
    """Pixels by which those regions grow; None: by the size of the picture."""
    foreground: tuple[int, ...] = ()
    """Class ids that stay when the background is replaced."""
    background: Background | None = None
    """What takes the place of everything else in the source; None leaves it."""

    def __post_init__(self) -> None:
        number = isinstance(self.opacity, int | float) and not isinstance(self.opacity, bool)
        if not number or not 0.0 <= self.opacity <= 1.0:
            raise ConfigError(f"opacity is {self.opacity!r}; give a number from 0 (source only) to 1 (colours only)")
        if self.view not in VIEWS:
            raise ConfigError(f"view is {self.view!r}; known: {', '.join(VIEWS)}")
        if self.legend_place not in LEGEND_PLACES:
            raise ConfigError(f"legend_place is {self.legend_place!r}; known: {', '.join(LEGEND_PLACES)}")
        if not TEXT_SIZES[0] <= self.text_size <= TEXT_SIZES[1]:
            raise ConfigError(f"text_size is {self.text_size!r}; give a number from {TEXT_SIZES[0]} to {TEXT_SIZES[1]}")
        if self.blur_style not in BLUR_STYLES:
            raise ConfigError(f"blur_style is {self.blur_style!r}; known: {', '.join(BLUR_STYLES)}")
        if self.blur_margin is not None and self.blur_margin < 0:
            raise ConfigError(f"blur_margin is {self.blur_margin}; give pixels, 0 or more")
        for field in ("classes", "ignore_classes", "blur_classes", "foreground"):
            for class_id in getattr(self, field):
                if not isinstance(class_id, int) or isinstance(class_id, bool) or not 0 <= class_id < NO_LABEL:
                    raise ConfigError(f"{field} contains {class_id!r}; give class ids from 0 to {NO_LABEL - 1}")
