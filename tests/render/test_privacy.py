from __future__ import annotations

import numpy as np
import pytest

from tests.render.scenes import CAR, PERSON, SKY, noise, segmentation, street
from vidseg.frames import NO_LABEL, UInt8Array
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import OverlayRenderer
from vidseg.render.privacy import BLOCKS_ACROSS, BLUR_STYLES, default_margin, fill, grown, hide, pixelate


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
    assert hide(image, np.zeros((48, 64), dtype=np.uint8), "pixelate") is image
    options = RenderOptions(opacity=0.0, blur_classes=(PERSON,))
    picture = OverlayRenderer(options).render(image, segmentation(np.full((48, 64), SKY, dtype=np.uint8)))
    assert np.array_equal(picture, image) and picture is not image


@pytest.mark.parametrize("opacity", [0.0, 0.5])
@pytest.mark.parametrize("view", ["overlay", "side"])
def test_the_source_is_unrecognisable_under_the_overlay_and_beside_it(view: str, opacity: float) -> None:
    image, label_map = noise(160, 240), street(160, 240)
    label_map[label_map == NO_LABEL] = SKY
    options = RenderOptions(opacity=opacity, view=view, blur_classes=(CAR,), ignore_classes=(SKY,), edges=False)
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


def labels_with_a_car(height: int, width: int) -> UInt8Array:
    label_map = np.full((height, width), SKY, dtype=np.uint8)
    label_map[height // 4 : height // 2, width // 4 : width // 2] = CAR
    return label_map


@pytest.mark.parametrize("size", [(160, 240), (97, 64), (16, 16), (1, 1)])
@pytest.mark.parametrize("style", BLUR_STYLES)
def test_all_hidden_and_none_hidden(style: str, size: tuple[int, int]) -> None:
    image = noise(*size)
    before = image.copy()
    assert hide(image, np.zeros(size, dtype=np.uint8), style) is image
    picture = hide(image, np.full(size, 255, dtype=np.uint8), style)
    blocks = (min(size) // max(2, min(size) // BLOCKS_ACROSS) + 2) ** 2 * (max(size) // min(size) + 1)
    if style != "blur":
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) <= blocks
    assert picture.shape == image.shape and np.array_equal(image, before)
    if min(size) > 1:
        assert np.abs(np.diff(picture.astype(int), axis=1)).mean() < 0.8 * np.abs(np.diff(image.astype(int))).mean()


def test_what_is_filled_leaves_no_trace() -> None:
    mask = np.where(labels_with_a_car(80, 120) == CAR, 255, 0).astype(np.uint8)
    one = noise(80, 120)
    other = np.where(mask[..., None] > 0, noise(80, 120, seed=7), one)
    assert np.array_equal(fill(one, mask), fill(other, mask))
    assert (fill(one, mask) != one).any(axis=2)[mask > 0].mean() > 0.99
    assert np.array_equal(fill(one, mask)[mask == 0], one[mask == 0])


@pytest.mark.parametrize("style", ["pixelate", "blur"])
def test_pictures_with_the_same_block_means_cannot_be_told_apart(style: str) -> None:
    # a checkerboard of single pixels, and its negative: only their fine structure differs
    fine = np.indices((160, 240)).sum(axis=0) % 2
    one = np.repeat(fine[..., None] * 200, 3, axis=2).astype(np.uint8)
    everything = np.full((160, 240), 255, dtype=np.uint8)
    assert np.array_equal(hide(one, everything, style), hide(200 - one, everything, style))


@pytest.mark.parametrize("style", ["pixelate", "blur"])
def test_a_face_that_fills_half_of_the_picture_keeps_eight_by_eight_values(style: str) -> None:
    # with K degrees of freedom, the pictures of K + 1 independent faces are linearly dependent
    mask = np.zeros((160, 240), dtype=np.uint8)
    mask[40:120, 80:160] = 255
    inside = (slice(40, 120), slice(80, 160), 0)
    faces = [hide(noise(160, 240, seed=seed), mask, style)[inside].ravel().astype(float) for seed in range(130)]
    strength = np.linalg.svd(np.array(faces) - np.mean(faces, axis=0), compute_uv=False)
    assert (strength > 0.05 * strength[0]).sum() <= 8 * 8


def test_nothing_of_the_region_shows_beside_it_when_blurred_or_filled() -> None:
    mask = np.where(labels_with_a_car(80, 120) == CAR, 255, 0).astype(np.uint8)
    image = noise(80, 120)
    for style in ("blur", "fill"):
        assert np.array_equal(hide(image, mask, style)[mask == 0], image[mask == 0])


@pytest.mark.parametrize(("margin", "expected"), [(0, 0), (3, 3), (None, 2)])
def test_regions_grow_by_the_margin(margin: int | None, expected: int) -> None:
    image, label_map = noise(100, 120), np.full((100, 120), SKY, dtype=np.uint8)
    label_map[50, 60] = CAR
    options = RenderOptions(opacity=0.0, blur_classes=(CAR,), blur_style="fill", blur_margin=margin)
    rows, columns = np.nonzero(~OverlayRenderer(options).render(image, segmentation(label_map)).any(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (
        50 - expected, 50 + expected, 60 - expected, 60 + expected,
    )  # fmt: skip


def test_the_margin_grows_with_the_picture_and_never_leaves_it() -> None:
    assert [default_margin(size) for size in [(16, 16), (360, 640), (720, 1280), (1920, 1080)]] == [2, 6, 12, 18]
    corner = np.zeros((16, 16), dtype=np.uint8)
    corner[0, 15] = 255
    assert grown(corner, 3).sum() == 16 * 255 and grown(corner, 1000).min() == 255 and grown(corner, 0) is corner


@pytest.mark.parametrize("style", BLUR_STYLES)
@pytest.mark.parametrize("unsaid", [NO_LABEL, 200])
def test_where_nothing_is_said_the_picture_is_hidden_too(style: str, unsaid: int) -> None:
    image, label_map = noise(96, 128), np.full((96, 128), SKY, dtype=np.uint8)
    label_map[30:60, 40:90] = unsaid
    options = RenderOptions(opacity=0.0, blur_classes=(PERSON,), blur_style=style)
    picture = OverlayRenderer(options).render(image, segmentation(label_map))
    assert (picture != image).any(axis=2)[label_map == unsaid].mean() > 0.95
    assert np.array_equal(picture[:20], image[:20])
    assert np.array_equal(OverlayRenderer(RenderOptions(opacity=0.0)).render(image, segmentation(label_map)), image)
