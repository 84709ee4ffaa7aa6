from __future__ import annotations

import numpy as np
import pytest

from tests.render.scenes import CAR, PERSON, SKY, noise, segmentation, street
from vidseg.frames import UInt8Array
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import OverlayRenderer
from vidseg.render.privacy import BLOCKS_ACROSS, pixelate


def source_half(image: UInt8Array, label_map: UInt8Array, options: RenderOptions) -> UInt8Array:
    return OverlayRenderer(options).render(image, segmentation(label_map))[:, : image.shape[1]]


@pytest.mark.parametrize(("height", "width"), [(160, 320), (161, 203), (97, 64), (16, 16)])
def test_a_block_that_is_touched_becomes_its_mean_and_the_others_stay(height: int, width: int) -> None:
    image, mask = noise(height, width), np.zeros((height, width), dtype=np.uint8)
    mask[height // 2, width // 2] = 255
    picture = pixelate(image, mask)
    changed = (picture != image).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    block = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    assert rows[0] <= height // 2 <= rows[-1] and columns[0] <= width // 2 <= columns[-1]
    side = max(2, min(height, width) // BLOCKS_ACROSS)
    assert side - 1 <= len(rows) <= side + 2 and side - 1 <= len(columns) <= side + 2
    assert np.ptp(picture[block].reshape(-1, 3), axis=0).max() == 0
    assert np.abs(picture[block][0, 0] - image[block].reshape(-1, 3).mean(axis=0)).max() <= 0.5


def test_every_pixel_of_the_mask_lies_in_a_flat_block() -> None:
    # stripes one pixel wide: wherever a pixel were left, its neighbour would differ by 255
    image = np.zeros((180, 320, 3), dtype=np.uint8)
    image[:, ::2] = 255
    mask = np.where(np.random.default_rng(3).random((180, 320)) < 0.02, 255, 0).astype(np.uint8)
    picture = pixelate(image, mask)
    assert ((picture[mask > 0] > 100) & (picture[mask > 0] < 155)).all()


def test_without_the_class_in_the_picture_nothing_changes() -> None:
    image = noise(48, 64)
    assert pixelate(image, np.zeros((48, 64), dtype=np.uint8)) is image
    options = RenderOptions(opacity=0.0, blur_classes=(PERSON,))
    picture = OverlayRenderer(options).render(image, segmentation(street(48, 64)))
    assert np.array_equal(picture, image) and picture is not image


@pytest.mark.parametrize("opacity", [0.0, 0.5])
@pytest.mark.parametrize("view", ["overlay", "side"])
def test_the_source_is_unrecognisable_under_the_overlay_and_beside_it(view: str, opacity: float) -> None:
    image, label_map = noise(160, 240), street(160, 240)
    options = RenderOptions(opacity=opacity, view=view, blur_classes=(CAR,))
    picture = OverlayRenderer(options).render(image, segmentation(label_map))
    for left in range(0, picture.shape[1], 240):
        part = picture[:, left : left + 240][label_map == CAR]
        assert len(np.unique(part, axis=0)) < part.shape[0] // 50
        assert np.array_equal(picture[:10, left : left + 30], image[:10, :30])


def test_a_class_that_is_not_shown_is_blurred_all_the_same() -> None:
    image, label_map = noise(160, 240), street(160, 240)
    hidden = source_half(image, label_map, RenderOptions(view="side", classes=(SKY,), blur_classes=(CAR,)))
    shown = source_half(image, label_map, RenderOptions(view="side", blur_classes=(CAR,)))
    assert np.array_equal(hidden, shown)
    assert (hidden[label_map == CAR] != image[label_map == CAR]).any(axis=1).mean() > 0.99
