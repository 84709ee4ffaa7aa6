"""A picture and its labels, changed together: cut, scaled, mirrored; then the picture alone: colours and camera faults.

Every draw comes from the generator that is passed in, so a sample is repeated by repeating its seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vidseg.data.folder import SOFT_CLASSES, SOFT_STRIDE, Item, SoftLabels
from vidseg.frames import NO_LABEL, FloatArray, UInt8Array

FILL_PROBABILITY = 0.35
"""From here on a teacher's best class stands in for a missing label."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One crop, ready for a batch.

    `image` (H, W, 3) uint8 RGB; `labels` (H, W) uint8; `target_ids` uint8 and `target_probs` float32 (3, h, w): up to
    three classes per cell of the network's mask grid with their probabilities, all 0 where nothing is known.
    """

    image: UInt8Array
    labels: UInt8Array
    target_ids: UInt8Array
    target_probs: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentOptions:
    """How much a picture is changed. Probabilities in 0..1; ranges are drawn from evenly."""

    crop_hw: tuple[int, int]
    """Size of a crop in pixels, whatever it covers of the picture."""
    cell: int = 4
    """Pixels per cell of the network's mask grid."""
    cover: tuple[float, float] = (0.45, 1.0)
    """Side of what is cut out, relative to the largest cut of that aspect; small values enlarge."""
    stretch: float = 0.1
    """A cut is made wider or narrower by up to this share."""
    flip: float = 0.5
    brightness: float = 0.25
    contrast: float = 0.25
    saturation: float = 0.35
    hue_degrees: float = 8.0
    blur: float = 0.15
    blur_sigma: tuple[float, float] = (0.4, 1.6)
    noise: float = 0.15
    noise_sigma: tuple[float, float] = (2.0, 12.0)
    jpeg: float = 0.25
    jpeg_quality: tuple[int, int] = (25, 85)


def augment(item: Item, options: AugmentOptions, rng: np.random.Generator) -> Sample:
    """A random crop of the item, of the size the options say."""
    height, width = options.crop_hw
    top, left, cut_height, cut_width = _random_cut(item.labels.shape, options, rng)
    rows, columns = _sampled(top, cut_height, height), _sampled(left, cut_width, width)
    shrinks = cut_height > height
    image: UInt8Array = cv2.resize(  # type: ignore[assignment]
        item.image[top : top + cut_height, left : left + cut_width],
        (width, height),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    labels = item.labels[rows[:, None], columns[None, :]]
    soft = item.soft
    if soft is not None:
        y, x = rows[:, None] // SOFT_STRIDE, columns[None, :] // SOFT_STRIDE
        sure = soft.probs[0, y, x] >= 255 * FILL_PROBABILITY
        labels = np.where((labels == NO_LABEL) & sure, soft.ids[0, y, x], labels)
        cells = [
            _sampled(start, length, -(-size // options.cell)) // SOFT_STRIDE
            for start, length, size in ((top, cut_height, height), (left, cut_width, width))
        ]
        soft = SoftLabels(*(part[:, cells[0][:, None], cells[1][None, :]] for part in (soft.ids, soft.probs)))
    ids, probs = _targets(labels, soft, options.cell)
    if rng.random() < options.flip:
        image, labels, ids, probs = image[:, ::-1], labels[:, ::-1], ids[..., ::-1], probs[..., ::-1]
    image = _camera_faults(_recolour(np.ascontiguousarray(image), options, rng), options, rng)
    return Sample(image, np.ascontiguousarray(labels), np.ascontiguousarray(ids), np.ascontiguousarray(probs))


def _random_cut(
    size_hw: tuple[int, ...], options: AugmentOptions, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """(top, left, height, width) in pixels of the picture, with about the aspect of the crop."""
    height, width = options.crop_hw
    width_to_height = width / height * np.exp(rng.uniform(-1, 1) * np.log1p(options.stretch))
    largest_height = min(size_hw[0], size_hw[1] / width_to_height)
    cut_height = largest_height * rng.uniform(*options.cover)
    sides = [
        min(size, max(1, round(side)))
        for size, side in zip(size_hw, (cut_height, cut_height * width_to_height), strict=True)
    ]
    top, left = (int(rng.integers(0, size - side + 1)) for size, side in zip(size_hw, sides, strict=True))
    return top, left, sides[0], sides[1]


def _sampled(start: int, length: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Positions in the picture of the centres of `count` equal parts of a stretch."""
    return start + ((np.arange(count) + 0.5) * (length / count)).astype(np.int64)


def _targets(labels: UInt8Array, soft: SoftLabels | None, cell: int) -> tuple[UInt8Array, FloatArray]:
    """Class ids and probabilities per cell, both (3, h, w).

    The teacher's opinion, except where it contradicts the label: there, and without a teacher, the label is certain.
    """
    hard = labels[cell // 2 :: cell, cell // 2 :: cell]
    shape = tuple(-(-side // cell) for side in labels.shape)
    hard = np.pad(hard, [(0, want - have) for want, have in zip(shape, hard.shape, strict=True)], mode="edge")
    if soft is None:
        ids = np.zeros((SOFT_CLASSES, *shape), dtype=np.uint8)
        probs = np.zeros((SOFT_CLASSES, *shape), dtype=np.float32)
        contradicted = hard != NO_LABEL
    else:
        ids, probs = soft.ids.copy(), soft.probs.astype(np.float32) / 255
        contradicted = (hard != NO_LABEL) & (hard != ids[0])
    ids[:, contradicted] = np.where(np.arange(SOFT_CLASSES)[:, None] == 0, hard[contradicted], 0)
    probs[:, contradicted] = np.where(np.arange(SOFT_CLASSES)[:, None] == 0, np.float32(1), np.float32(0))
    ids[probs == 0] = 0  # an id without a probability means nothing and may be out of range
    return ids, probs


def _recolour(image: UInt8Array, options: AugmentOptions, rng: np.random.Generator) -> UInt8Array:
    """Brightness, contrast, saturation and hue."""
    gain = 1 + options.brightness * rng.uniform(-1, 1)
    contrast = 1 + options.contrast * rng.uniform(-1, 1)
    saturation = 1 + options.saturation * rng.uniform(-1, 1)
    turn = np.radians(options.hue_degrees * rng.uniform(-1, 1))
    pixels = image.astype(np.float32) * np.float32(gain)
    grey = pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    pixels = (pixels - grey[..., None]) @ _hue_rotation(turn) * np.float32(saturation) + grey[..., None]
    mean = grey.mean()
    pixels = (pixels - mean) * np.float32(contrast) + mean
    changed: UInt8Array = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return changed


def _hue_rotation(angle: float) -> FloatArray:
    """(3, 3), for row vectors of RGB: a turn about the grey axis."""
    cos, third, side = np.cos(angle), (1 - np.cos(angle)) / 3, np.sin(angle) / np.sqrt(3)
    matrix = np.array(
        [
            [cos + third, third + side, third - side],
            [third - side, cos + third, third + side],
            [third + side, third - side, cos + third],
        ]
    )
    return matrix.astype(np.float32)


def _camera_faults(image: UInt8Array, options: AugmentOptions, rng: np.random.Generator) -> UInt8Array:
    """Blur, noise and compression, in the order in which a camera adds them."""
    if rng.random() < options.blur:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(*options.blur_sigma)), dtype=np.uint8)
    if rng.random() < options.noise:
        noise = rng.normal(0, rng.uniform(*options.noise_sigma), image.shape).astype(np.float32)
        image = np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
    if rng.random() < options.jpeg:
        low, high = options.jpeg_quality
        # the codec calls its channels BGR; called so, chroma is handled as in a photo
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(low, high + 1))])
        decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
        assert decoded is not None
        image = np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    return image
