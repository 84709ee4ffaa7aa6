from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.render.scenes import BUILDING, CAR, PERSON, ROAD, SKY, noise, segmentation, slow_overlay, street
from vidseg.frames import NO_LABEL, UInt8Array
from vidseg.interfaces import Renderer
from vidseg.labels import ade20k
from vidseg.render.options import VIEWS, RenderOptions
from vidseg.render.overlay import OverlayRenderer

ALL = set(range(150))
EVERYTHING = {"contours": True, "legend": True, "labels": True}


def drawn(image: UInt8Array, label_map: UInt8Array, options: RenderOptions) -> UInt8Array:
    return OverlayRenderer(options).render(image, segmentation(label_map))


def test_overlay_renderer_is_a_renderer() -> None:
    assert isinstance(OverlayRenderer(), Renderer)


@pytest.mark.parametrize("opacity", [0.0, 0.1, 0.25, 0.5, 0.73, 0.9, 1.0])
def test_overlay_equals_the_slow_blend_within_one_level(opacity: float) -> None:
    image = noise(23, 31)
    label_map = np.random.default_rng(1).integers(0, 256, (23, 31), dtype=np.uint8)  # ids beyond 149 too
    picture = drawn(image, label_map, RenderOptions(opacity=opacity, edges=False))
    expected = slow_overlay(image, label_map, opacity, ALL)
    assert np.abs(picture.astype(int) - expected.astype(int)).max() <= 1


def test_opacity_zero_is_the_source_and_one_is_the_palette() -> None:
    image, label_map = noise(17, 19), np.full((17, 19), CAR, dtype=np.uint8)
    assert np.array_equal(drawn(image, label_map, RenderOptions(opacity=0.0)), image)
    assert np.array_equal(
        drawn(image, label_map, RenderOptions(opacity=1.0)), np.broadcast_to(ade20k().palette[CAR], image.shape)
    )


@pytest.mark.parametrize("opacity", [0.3, 0.5, 1.0])
def test_pixels_without_a_known_label_stay_exactly(opacity: float) -> None:
    image, label_map = noise(16, 16), np.full((16, 16), CAR, dtype=np.uint8)
    label_map[3, 4], label_map[5, 6] = NO_LABEL, 200
    picture = drawn(image, label_map, RenderOptions(opacity=opacity))
    untouched = (picture == image).all(axis=2)
    assert untouched[3, 4] and untouched[5, 6]
    assert untouched.sum() == 2


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (RenderOptions(classes=(CAR,)), {CAR}),
        (RenderOptions(ignore_classes=(CAR, SKY)), ALL - {CAR, SKY}),
        (RenderOptions(classes=(CAR, SKY), ignore_classes=(SKY,)), {CAR}),
    ],
)
def test_class_filter_tints_the_selected_classes_only(options: RenderOptions, shown: set[int]) -> None:
    image, label_map = noise(20, 40), street(20, 40)
    picture = drawn(image, label_map, options)
    selected = np.isin(label_map, list(shown))
    assert np.array_equal(picture[~selected], image[~selected])
    picture = drawn(image, label_map, replace(options, edges=False))
    assert np.array_equal(picture, slow_overlay(image, label_map, 0.5, shown))


def test_mask_view_is_the_palette_and_black_elsewhere() -> None:
    image, label_map = noise(20, 40), street(20, 40)
    picture = drawn(image, label_map, RenderOptions(view="mask", opacity=0.2, ignore_classes=(SKY,)))
    assert np.array_equal(picture[label_map == CAR][0], ade20k().palette[CAR])
    assert np.array_equal(picture[label_map == ROAD][-1], ade20k().palette[ROAD])
    assert not picture[(label_map == SKY) | (label_map == NO_LABEL)].any()


def test_mask_pictures_of_one_renderer_do_not_share_memory() -> None:
    renderer = OverlayRenderer(RenderOptions(view="mask"))
    first = renderer.render(noise(8, 8), segmentation(np.full((8, 8), CAR, dtype=np.uint8)))
    before = first.copy()
    renderer.render(noise(8, 8), segmentation(np.full((8, 8), SKY, dtype=np.uint8)))
    assert np.array_equal(first, before)


def test_side_view_is_the_source_and_the_overlay() -> None:
    image, label_map = noise(21, 33), street(21, 33)
    picture = drawn(image, label_map, RenderOptions(view="side", contours=True))
    assert picture.shape == (21, 66, 3)
    assert np.array_equal(picture[:, :33], image)
    assert np.array_equal(picture[:, 33:], drawn(image, label_map, RenderOptions(contours=True)))


def test_stack_is_the_source_above_the_overlay() -> None:
    image, label_map = noise(21, 33), street(21, 33)
    picture = drawn(image, label_map, RenderOptions(view="stack", contours=True))
    assert picture.shape == (42, 33, 3)
    assert np.array_equal(picture[:21], image)
    assert np.array_equal(picture[21:], drawn(image, label_map, RenderOptions(contours=True)))


@pytest.mark.parametrize(("height", "line"), [(21, 1), (720, 2)])
def test_split_is_the_source_left_of_a_line_and_the_overlay_right_of_it(height: int, line: int) -> None:
    image, label_map = noise(height, 740), street(height, 740)
    picture = drawn(image, label_map, RenderOptions(view="split"))
    assert picture.shape == image.shape
    assert np.array_equal(picture[:, :370], image[:, :370])
    assert (picture[:, 370 : 370 + line] == 255).all()
    right = slice(370 + line, None)
    assert np.array_equal(picture[:, right], drawn(image, label_map, RenderOptions())[:, right])


@pytest.mark.parametrize("view", VIEWS)
def test_the_same_input_gives_the_same_picture_and_is_left_alone(view: str) -> None:
    image, label_map = noise(240, 320), street(240, 320)
    image_before, label_map_before = image.copy(), label_map.copy()
    renderer = OverlayRenderer(RenderOptions(view=view, blur_classes=(CAR,), **EVERYTHING))
    first = renderer.render(image, segmentation(label_map))
    renderer.render(noise(50, 60), segmentation(street(50, 60)))
    second = renderer.render(image, segmentation(label_map))
    assert np.array_equal(first, second)
    assert not np.shares_memory(first, second) and not np.shares_memory(first, image)
    assert np.array_equal(image, image_before) and np.array_equal(label_map, label_map_before)


def test_inputs_may_be_read_only_and_strided() -> None:
    image, label_map = noise(40, 80)[::2, ::2], street(40, 80)[::2, ::2]
    image.setflags(write=False)
    label_map.setflags(write=False)
    for view in VIEWS:
        options = RenderOptions(view=view, blur_classes=(CAR,), **EVERYTHING)
        expected = drawn(image.copy(), label_map.copy(), options)
        assert np.array_equal(drawn(image, label_map, options), expected)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 64),
    width=st.integers(1, 64),
    opacity=st.floats(0, 1),
    view=st.sampled_from(VIEWS),
    seed=st.integers(0, 1000),
)
def test_every_size_gives_a_whole_picture(height: int, width: int, opacity: float, view: str, seed: int) -> None:
    image = noise(height, width, seed)
    label_map = np.random.default_rng(seed).choice(np.array([SKY, CAR, PERSON, 255], np.uint8), (height, width))
    picture = drawn(image, label_map, RenderOptions(opacity=opacity, view=view, blur_classes=(CAR,), **EVERYTHING))
    assert picture.shape == (height * (2 if view == "stack" else 1), width * (2 if view == "side" else 1), 3)
    assert picture.dtype == np.uint8 and picture.flags.c_contiguous
    plain = drawn(image, label_map, RenderOptions(opacity=opacity, edges=False))
    assert np.abs(plain.astype(int) - slow_overlay(image, label_map, opacity, ALL).astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("image", "label_map", "message"),
    [
        (noise(8, 9), np.zeros((9, 8), np.uint8), r"label map must be 8x9 uint8 as the image, got \(9, 8\)"),
        (noise(8, 9), np.zeros((8, 9), np.int64), "got .* int64"),
        (noise(8, 9)[:, :, :2], np.zeros((8, 9), np.uint8), r"image must be \(H, W, 3\) uint8"),
        (noise(8, 9).astype(np.float32), np.zeros((8, 9), np.uint8), "image must be .* float32"),
        (np.zeros((0, 0, 3), np.uint8), np.zeros((0, 0), np.uint8), "image must be"),
    ],
)
def test_wrong_arrays_are_refused(image: UInt8Array, label_map: UInt8Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OverlayRenderer().render(image, segmentation(label_map))


def test_colours_belong_to_class_ids_whatever_else_is_in_the_picture() -> None:
    alone = drawn(noise(8, 8), np.full((8, 8), BUILDING, dtype=np.uint8), RenderOptions(view="mask"))
    crowd = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert np.array_equal(drawn(noise(8, 8), crowd, RenderOptions(view="mask"))[0, BUILDING], alone[0, 0])
