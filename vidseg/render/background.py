"""Replaces everything but the foreground: by a blur, grey, a colour, or another picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from vidseg.errors import ConfigError, SourceError, short_reason
from vidseg.frames import UInt8Array
from vidseg.names import expand_user
from vidseg.render.colours import parse_colour

ACCEPTED = "blur, grey, a colour (#RRGGBB, 0xRRGGBB, or a name such as green), or an image file"

BLUR_SHORT_SIDE = 90
"""Of the small picture in which the background is blurred: 720p then costs what 160x90 does."""
BLUR_SIGMA = 2.5
"""In pixels of that small picture: 20 pixels at 720p, as the portrait modes of video calls look."""
SMALLEST_SIGMA = 1.5
FEATHER_SHARE = 1 / 240
"""Of the shorter side: how far the edge of the foreground fades, inwards and outwards."""


@dataclass(frozen=True, slots=True)
class Background:
    """One way to replace the background. Made by `parse_background`; equal if it was given by the same name."""

    name: str
    """"blur", "grey", or the text that was given."""
    colour: tuple[int, int, int] | None = None
    """RGB, for a plain background."""
    picture: UInt8Array | None = field(default=None, compare=False, repr=False)
    """(h, w, 3) uint8 RGB, of any size, for another picture."""


def parse_background(text: str, read: Callable[[Path], UInt8Array | None]) -> Background:
    """The background that a text stands for: `ACCEPTED`.

    Args:
        read: gives the picture of a file, (h, w, 3) uint8 RGB, or None where there is none.
    Raises:
        ConfigError: it is none of these, or the picture cannot be read.
    """
    effect = text.strip().casefold()
    if effect in ("blur", "grey", "gray"):
        return Background("grey" if effect == "gray" else effect)
    if (colour := parse_colour(text)) is not None:
        return Background(text, colour=colour)
    path = Path(expand_user(text))
    try:
        path.open("rb").close()
    except (OSError, ValueError) as error:
        reason = short_reason(error, "not a file name")
        raise ConfigError(f"--background {text}: cannot be read ({reason}); accepted: {ACCEPTED}") from None
    try:
        picture = read(path)
    except SourceError as error:  # too large
        raise ConfigError(f"--background {error}") from None
    if picture is None:
        raise ConfigError(f"--background {text}: is not a readable image; accepted: {ACCEPTED}")
    return Background(text, picture=picture)


def blurred(image: UInt8Array, keep: UInt8Array) -> UInt8Array:
    """(H, W, 3): `image` out of focus, without the colours of what is kept.

    Args:
        keep: (H, W), 255 where the foreground is. It is left out of the averages, else it would glow around its edge.
    """
    height, width = keep.shape
    scale = max(1.0, min(height, width) / BLUR_SHORT_SIDE)
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    weight = cv2.resize(255 - keep, size, interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    sigma = max(SMALLEST_SIGMA, BLUR_SIGMA * min(1.0, min(size) / BLUR_SHORT_SIDE))
    together = cv2.GaussianBlur(np.concatenate([small * weight, weight], axis=2), (0, 0), sigma)
    # far inside the foreground there is nothing to average; nobody will see it
    soft = together[..., :3] / np.maximum(together[..., 3:], 1e-3)
    soft = np.clip(np.round(soft), 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def grey(image: UInt8Array) -> UInt8Array:
    """(H, W, 3): `image` without its colours."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def covering(picture: UInt8Array, size_hw: tuple[int, int]) -> UInt8Array:
    """The middle of `picture` (h, w, 3), scaled so that it covers (height, width) without being stretched."""
    height, width = size_hw
    scale = max(height / picture.shape[0], width / picture.shape[1])
    size = (max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale)))
    scaled = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width], dtype=np.uint8)


def pasted(image: UInt8Array, background: UInt8Array, keep: UInt8Array) -> UInt8Array:
    """A new (H, W, 3): `image` where `keep` (H, W) is 255, `background` where it is 0, fading at the edge between."""
    reach = max(1, round(min(keep.shape) * FEATHER_SHARE))
    share = np.asarray(cv2.blur(keep, (2 * reach + 1, 2 * reach + 1)), dtype=np.uint8)
    picture = np.array(background, order="C")
    cv2.copyTo(image, (share == 255).view(np.uint8), picture)
    # only the edge is mixed: some thousand pixels of a million
    edge = np.flatnonzero((share > 0) & (share < 255))
    part = share.ravel()[edge, None].astype(np.float32) / 255
    mixed = image.reshape(-1, 3)[edge] * part + background.reshape(-1, 3)[edge] * (1 - part)
    picture.reshape(-1, 3)[edge] = np.round(mixed).astype(np.uint8)
    return picture
