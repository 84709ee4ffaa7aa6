import cv2
import numpy as np
import pytest

from vidseg.errors import ConfigError
from vidseg.frames import Segmentation
from vidseg.interfaces import Renderer
from vidseg.labels import ade20k
from vidseg.render.effects import SourceEffects
from vidseg.render.matte import MARGIN, MatteRenderer
from vidseg.render.options import RenderOptions

PERSON, CAR, SKY = 12, 20, 2


@pytest.fixture
def scene():
    """A noisy picture of 80x120: a person left, a car right, sky and unlabelled ground."""
    image = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    labels = np.full((80, 120), 255, np.uint8)
    labels[:20] = SKY
    labels[30:60, 10:30] = PERSON
    labels[30:60, 80:110] = CAR
    return image, Segmentation(labels, 0)


def test_is_a_renderer(scene):
    assert isinstance(MatteRenderer([PERSON]), Renderer)


def test_hard_edges_are_exactly_the_classes_and_colours_are_the_source(scene):
    image, seen = scene
    before = image.copy()
    picture = MatteRenderer([PERSON, CAR]).render(image, seen)
    opaque = np.isin(seen.label_map, [PERSON, CAR])
    assert picture.shape == (80, 120, 4) and picture.dtype == np.uint8
    assert np.array_equal(picture[..., 3], np.where(opaque, 255, 0))
    assert np.array_equal(picture[opaque][:, :3], image[opaque])
    assert np.array_equal(image, before)


def test_colour_goes_on_near_the_edge_and_nothing_is_left_farther_away(scene):
    image, seen = scene
    picture = MatteRenderer([PERSON]).render(image, seen)
    near = cv2.dilate((seen.label_map == PERSON).astype(np.uint8), np.ones((2 * MARGIN + 1,) * 2, np.uint8)) > 0
    assert np.array_equal(picture[near][:, :3], image[near])
    assert not picture[~near].any() and (~near).any()


def test_feathering_softens_the_edge_only(scene):
    image, seen = scene
    hard = MatteRenderer([PERSON]).render(image, seen)[..., 3]
    soft = MatteRenderer([PERSON], feather=1.5).render(image, seen)[..., 3]
    assert 100 < soft[45, 10] < 200 and 50 < soft[45, 9] < 130 and soft[45, 9] < soft[45, 10]
    assert soft[45, 20] == 255 and soft[45, 50] == 0
    assert abs(int(soft.sum()) - int(hard.sum())) < 0.01 * hard.sum()


def test_unlabelled_pixels_and_other_classes_are_transparent(scene):
    image, seen = scene
    everything = MatteRenderer(range(150)).render(image, seen)
    assert not everything[seen.label_map == 255][:, 3].any()
    none = MatteRenderer([77]).render(image, seen)
    assert not none.any()


@pytest.mark.parametrize("style", ["pixelate", "blur", "fill"])
@pytest.mark.parametrize("margin", [0, 6])
def test_what_is_hidden_is_hidden_in_the_matte_as_in_the_overlay(scene, style, margin):
    image, seen = scene
    options = RenderOptions(blur_classes=(PERSON,), blur_style=style, blur_margin=margin)
    picture = MatteRenderer([PERSON, CAR], options=options).render(image, seen)
    effects = SourceEffects(options, ade20k())
    near = cv2.dilate(picture[..., 3], np.ones((2 * MARGIN + 1,) * 2, np.uint8)) > 0
    assert np.array_equal(picture[near][:, :3], effects.apply(image, seen.label_map)[near])
    assert picture[32:58, 12:28, :3].std() < 0.5 * image[32:58, 12:28].std()


def test_what_has_no_label_is_hidden_around_a_cut_out_where_classes_are_hidden(scene):
    image, seen = scene
    options = RenderOptions(blur_classes=(CAR,), blur_style="fill", blur_margin=0)
    picture = MatteRenderer([PERSON], options=options).render(image, seen)
    assert not picture[seen.label_map == 255][:, :3].any()
    assert np.array_equal(picture[30:60, 10:30, :3], image[30:60, 10:30])


def test_wrong_settings_and_sizes_are_refused(scene):
    image, seen = scene
    with pytest.raises(ConfigError, match="at least one class"):
        MatteRenderer([])
    with pytest.raises(ConfigError, match="class id 255"):
        MatteRenderer([255])
    with pytest.raises(ConfigError, match="feather is -1"):
        MatteRenderer([1], feather=-1)
    with pytest.raises(ValueError, match="label map must be 40x120"):
        MatteRenderer([1]).render(image[:40], seen)
