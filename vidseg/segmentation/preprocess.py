"""From a frame to what the network sees: resized, padded where its makers did, channels first."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidseg.frames import UInt8Array
from vidseg.runtimes.geometry import Placement
from vidseg.runtimes.model_format import InputFormat

SIZE_MULTIPLE = 8
"""Sides are rounded to this; 8 keeps the aspect within 2 % and the feature maps of strides 4 and 8 aligned."""
MIN_SIDE = 32


def network_size(height: int, width: int, imgsz: int) -> tuple[int, int]:
    """(height, width) that the network sees: the long side is `imgsz`, the aspect is kept.

    Both are rounded to a multiple of `SIZE_MULTIPLE` and are at least `MIN_SIDE`, so only very long pictures are
    stretched. Small frames are enlarged: the network needs objects of the size it was trained on.
    """
    scale = imgsz / max(height, width)

    def side(length: int) -> int:
        return max(MIN_SIDE, round(length * scale / SIZE_MULTIPLE) * SIZE_MULTIPLE)

    return side(height), side(width)


def to_network(
    image: UInt8Array, size_hw: tuple[int, int], *, resample: str = "bilinear", antialias: bool = True
) -> Tensor:
    """(1, 3, h, w) uint8 tensor of an (H, W, 3) uint8 RGB image, resized to `size_hw`.

    Args:
        resample: "bilinear", "bicubic" or "nearest".
        antialias: as Pillow does it: plain bilinear, which is OpenCV's, skips pixels when it shrinks a lot.
    """
    if not image.flags.writeable:  # torch warns about read-only memory, though it is only read here
        image = np.array(image)
    pixels = torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0)
    if pixels.shape[-2:] == size_hw:
        return pixels
    if resample == "nearest":
        return F.interpolate(pixels, size=size_hw, mode="nearest-exact")
    return F.interpolate(pixels, size=size_hw, mode=resample, align_corners=False, antialias=antialias)


def on_canvas(image: UInt8Array, placement: Placement, given: InputFormat) -> Tensor:
    """(1, 3, h, w) uint8: what a network sees of an (H, W, 3) uint8 RGB image, padding included."""
    content = to_network(image, placement.content_hw, resample=given.resample, antialias=given.antialias)
    if not placement.padded:
        return content
    (height, width), (top, left) = placement.content_hw, placement.corner_hw
    canvas = torch.tensor(given.padding, dtype=torch.uint8)[None, :, None, None].repeat(1, 1, *placement.canvas_hw)
    canvas[..., top : top + height, left : left + width] = content
    return canvas
