"""A picture and its labels, changed together: cut, scaled, turned, mirrored, put into another; then the picture alone.

Every draw comes from the generator that is passed in, so a sample is repeated by repeating its seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from vidseg.data.camera import CameraOptions, photographed
from vidseg.data.folder import SOFT_CLASSES, SOFT_STRIDE, Item
from vidseg.frames import NO_LABEL, BoolArray, FloatArray, UInt8Array

FILL_PROBABILITY = 0.35
"""From here on a teacher's best class stands in for a missing label, where a data set asks for it."""
CUT_OUT_SHARE = 0.5
"""A picture of which less is known is a cut-out."""
TARGETS = SOFT_CLASSES + 1
"""A teacher's classes, and the label for what they leave."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One crop, ready for a batch.

    `image` (H, W, 3) uint8 RGB; `labels` (H, W) uint8; `target_ids` uint8 and `target_probs` float32 (4, h, w): up to
    four label values per cell of the network's mask grid with their probabilities, all 0 where nothing is known.
    """

    image: UInt8Array
    labels: UInt8Array
    target_ids: UInt8Array
    target_probs: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentOptions:
    """How much a picture is changed. Probabilities in 0..1; ranges are drawn from evenly unless it says otherwise."""

    crop_hw: tuple[int, int]
    """Size of a crop in pixels, whatever it covers of the picture."""
    cell: int = 4
    """Pixels per cell of the network's mask grid."""
    cover: tuple[float, float] = (0.4, 1.5)
    """Side of what is cut out, relative to the largest cut of that aspect, its logarithm drawn evenly. Small values
    enlarge; above 1 the picture is continued by its mirror image."""
    stretch: float = 0.1
    """A cut is made wider or narrower by up to this share."""
    turn_degrees: float = 7.0
    """A cut is turned by up to this angle, in half of the samples."""
    tilt: float = 0.25
    """How much narrower the far edge of a cut may be than the near one, as if seen from above; in a quarter."""
    flip: float = 0.5
    paste: float = 0.25
    """How often a part of another picture is put in, small, so that things are seen far away too."""
    paste_side: tuple[float, float] = (0.3, 0.7)
    """Sides of what is put in, relative to the crop."""
    paste_cut_out: float = 0.6
    """How often what is known of a picture that is mostly unknown (a cut-out) is put into another one."""
    camera: CameraOptions = field(default_factory=CameraOptions)


def augment(
    item: Item,
    options: AugmentOptions,
    rng: np.random.Generator,
    *,
    member: BoolArray | None = None,
    another: Callable[[], Item] | None = None,
) -> Sample:
    """A random crop of the item, of the size the options say.

    Args:
        member: (256, K) the classes that each label value allows; None: label values are class ids.
        another: draws a picture to put this one into, or to put a part of into this one; None: nothing is put in.
    """
    if another is None:
        sample = _crop(item, options.crop_hw, options, rng, member)
    elif (item.labels != NO_LABEL).mean() < CUT_OUT_SHARE:
        sample = _crop(item, options.crop_hw, options, rng, member)
        if rng.random() < options.paste_cut_out:
            ground = _crop(another(), options.crop_hw, options, rng, member)
            sample = _put_in(ground, sample, options.cell, (0, 0), known_only=True)
    else:
        sample = _crop(item, options.crop_hw, options, rng, member)
        if rng.random() < options.paste:
            grid = [side // options.cell for side in options.crop_hw]
            sides = [
                max(1, round(cells * share))
                for cells, share in zip(grid, rng.uniform(*options.paste_side, 2), strict=True)
            ]
            place = tuple(int(rng.integers(0, cells - side + 1)) for cells, side in zip(grid, sides, strict=True))
            patch = _crop(another(), (sides[0] * options.cell, sides[1] * options.cell), options, rng, member)
            sample = _put_in(sample, patch, options.cell, (place[0], place[1]), known_only=False)
    return replace(sample, image=photographed(sample.image, options.camera, rng))


def _crop(
    item: Item, size_hw: tuple[int, int], options: AugmentOptions, rng: np.random.Generator, member: BoolArray | None
) -> Sample:
    """What a random view of the item shows, in its own colours."""
    view = _random_view(item.labels.shape, size_hw, options, rng)
    labels = _seen(item.labels, *_places(view, size_hw))
    rows, columns = -(-size_hw[0] // options.cell), -(-size_hw[1] // options.cell)
    hard = labels[options.cell // 2 :: options.cell, options.cell // 2 :: options.cell]
    hard = np.pad(hard, ((0, rows - hard.shape[0]), (0, columns - hard.shape[1])), mode="edge")
    soft = None
    if item.soft is not None:
        if item.fill:
            x, y = (places // SOFT_STRIDE for places in _places(view, size_hw))
            best, sure = (_seen(part[0], x, y) for part in (item.soft.ids, item.soft.probs))
            labels = np.where((labels == NO_LABEL) & (sure >= 255 * FILL_PROBABILITY), best, labels)
        x, y = (places // SOFT_STRIDE for places in _places(view, (rows, columns), step=options.cell))
        soft = [np.stack([_seen(layer, x, y) for layer in part]) for part in (item.soft.ids, item.soft.probs)]
    ids, probs = _targets(hard, soft, member, fill=item.fill)
    return Sample(_picture(item.image, view, size_hw), labels, ids, probs)


@dataclass(frozen=True, slots=True)
class _View:
    """Where a crop lies in a picture: `matrix` (3, 3) takes (x, y, 1) of the crop, in pixels, to the picture."""

    matrix: npt.NDArray[np.float64]
    scale: float
    """Pixels of the picture per pixel of the crop, about."""


def _random_view(
    size_hw: tuple[int, ...], crop_hw: tuple[int, int], options: AugmentOptions, rng: np.random.Generator
) -> _View:
    """A view of about the aspect of the crop; all draws are made, so that one option does not move the others."""
    height, width = crop_hw
    stretch = np.exp(rng.uniform(-1, 1) * np.log1p(options.stretch) / 2)
    cover = np.exp(rng.uniform(*np.log(options.cover)))
    angle = np.radians(options.turn_degrees * rng.uniform(-1, 1)) * (rng.random() < 0.5)
    tilt = options.tilt * rng.uniform(-1, 1) * (rng.random() < 0.25)
    mirror = rng.random() < options.flip
    x_scale, y_scale = stretch, 1 / stretch
    fit = min(size_hw[1] / (width * x_scale), size_hw[0] / (height * y_scale))
    x_scale, y_scale = fit * cover * x_scale, fit * cover * y_scale
    spans = (width * x_scale, height * y_scale)
    centre = [
        side / 2 + (side - span) / 2 * rng.uniform(-1, 1)
        for side, span in zip((size_hw[1], size_hw[0]), spans, strict=True)
    ]
    to_middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    tilted = np.array([[-1.0 if mirror else 1.0, 0, 0], [0, 1, 0], [0, tilt / height, 1]])
    scaled = np.diag([x_scale, y_scale, 1])
    turned = np.array(
        [[np.cos(angle), -np.sin(angle), centre[0]], [np.sin(angle), np.cos(angle), centre[1]], [0, 0, 1]]
    )
    return _View(turned @ scaled @ tilted @ to_middle, float(np.sqrt(x_scale * y_scale)))


def _places(view: _View, size_hw: tuple[int, int], step: int = 1) -> tuple[FloatArray, FloatArray]:
    """x and y (H, W) in the picture, continuous, of the centres of the crop's cells of `step` pixels."""
    x = (np.arange(size_hw[1]) + 0.5) * step
    y = ((np.arange(size_hw[0]) + 0.5) * step)[:, None]
    m = view.matrix
    depth = m[2, 0] * x + m[2, 1] * y + m[2, 2]
    return (m[0, 0] * x + m[0, 1] * y + m[0, 2]) / depth, (m[1, 0] * x + m[1, 1] * y + m[1, 2]) / depth


def _seen(values: UInt8Array, x: FloatArray, y: FloatArray) -> UInt8Array:
    """Values (h, w) at the cells where places lie; beyond the edges the mirror image."""
    seen: UInt8Array = values[_mirrored(y, values.shape[0]), _mirrored(x, values.shape[1])]
    return seen


def _mirrored(places: FloatArray, length: int) -> npt.NDArray[np.int64]:
    """Cell numbers of places: 0 1 2 2 1 0 0 1 ... for a length of 3."""
    cells = np.floor(places).astype(np.int64) % (2 * length)
    return np.minimum(cells, 2 * length - 1 - cells)


def _picture(image: UInt8Array, view: _View, size_hw: tuple[int, int]) -> UInt8Array:
    """The pixels of a view (H, W, 3), averaged where it is smaller than the picture."""
    x, y = _places(view, size_hw)
    if view.scale > 1:
        height, width = (max(1, round(side / view.scale)) for side in image.shape[:2])
        x, y = x * (width / image.shape[1]), y * (height / image.shape[0])
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    seen = cv2.remap(
        image,
        (x - 0.5).astype(np.float32),
        (y - 0.5).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.asarray(seen, dtype=np.uint8)


def _targets(
    hard: UInt8Array, soft: list[UInt8Array] | None, member: BoolArray | None, *, fill: bool
) -> tuple[UInt8Array, FloatArray]:
    """Label values and probabilities per cell, both (4, h, w), for labels (h, w) and a teacher's classes (3, h, w).

    - One class: the teacher's opinion where its best class is that one, else the label is certain.
    - Several classes: the teacher's opinion on these, and the label for what that leaves.
    - Unknown: nothing, or with `fill` the teacher's opinion.
    """
    ids = np.zeros((TARGETS, *hard.shape), dtype=np.uint8)
    probs = np.zeros((TARGETS, *hard.shape), dtype=np.float32)
    known = hard != NO_LABEL
    ids[-1], probs[-1] = hard, known
    if soft is not None:
        classes, shares = soft[0], soft[1].astype(np.float32) / 255
        trusted = np.where(known, classes[0] == hard, fill)
        allowed = np.broadcast_to(trusted, classes.shape)
        if member is not None:
            count = member.shape[1]
            allowed = allowed | (member[hard, np.minimum(classes, count - 1)] & (classes < count) & (hard >= count))
        ids[:-1], probs[:-1] = classes, np.where(allowed, shares, 0)
        probs[-1] = np.where(trusted, 0, np.maximum(0, probs[-1] - probs[:-1].sum(axis=0)))
    ids[probs == 0] = 0  # an id without a probability means nothing and may be out of range
    return ids, probs


def _put_in(ground: Sample, patch: Sample, cell: int, place: tuple[int, int], *, known_only: bool) -> Sample:
    """A crop with another one in it, or what is known of that, its upper left corner at a cell (row, column)."""
    height, width = patch.labels.shape
    rows, columns = patch.target_ids.shape[1:]
    cells = (slice(place[0], place[0] + rows), slice(place[1], place[1] + columns))
    pixels = (slice(place[0] * cell, place[0] * cell + height), slice(place[1] * cell, place[1] * cell + width))
    taken = patch.labels != NO_LABEL if known_only else np.ones((height, width), dtype=bool)
    taken_cells = patch.target_probs.sum(axis=0) > 0 if known_only else np.ones((rows, columns), dtype=bool)
    image, labels = ground.image.copy(), ground.labels.copy()
    ids, probs = ground.target_ids.copy(), ground.target_probs.copy()
    edge = cv2.GaussianBlur(taken.astype(np.float32), (0, 0), 0.8)[..., None] if known_only else np.float32(1)
    image[pixels] = np.rint(image[pixels] * (1 - edge) + patch.image * edge).astype(np.uint8)
    labels[pixels] = np.where(taken, patch.labels, labels[pixels])
    ids[(slice(None), *cells)] = np.where(taken_cells, patch.target_ids, ids[(slice(None), *cells)])
    probs[(slice(None), *cells)] = np.where(taken_cells, patch.target_probs, probs[(slice(None), *cells)])
    return Sample(image, labels, ids, probs)
