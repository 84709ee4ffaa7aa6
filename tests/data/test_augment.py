"""Augmentation: picture and labels stay together, everything is repeated by its seed."""

import numpy as np
import pytest

from tests.data.folders import COLOURS
from vidseg.data.augment import AugmentOptions, augment
from vidseg.data.camera import CameraOptions, photographed
from vidseg.data.folder import Item, SoftLabels
from vidseg.data.label_sets import membership

COLOUR_FAULTS = ("brightness", "contrast", "saturation", "hue_degrees", "white_balance", "gamma")
UNCHANGED = dict.fromkeys((*COLOUR_FAULTS, "night", "fog", "blur", "motion", "noise", "jpeg"), 0.0)
STILL = dict(flip=0, turn_degrees=0, tilt=0, paste=0, paste_cut_out=0, camera=CameraOptions(**UNCHANGED))
WHOLE = dict(cover=(1.0, 1.0), stretch=0.0)


def item(size_hw=(48, 64), soft=None):
    """Blocks of four classes in their colours."""
    labels = np.full(size_hw, 2, dtype=np.uint8)
    labels[:, size_hw[1] // 3 :] = 6
    labels[size_hw[0] // 2 :] = 4
    labels[size_hw[0] // 2 :, 2 * size_hw[1] // 3 :] = 20
    image = np.zeros((*size_hw, 3), dtype=np.uint8)
    for class_id, colour in COLOURS.items():
        image[labels == class_id] = colour
    return Item("x", image, labels, soft)


def soft_of(labels, probs=(160, 48, 16)):
    coarse = labels[2::4, 2::4]
    return SoftLabels(
        np.stack([coarse, coarse + 1, coarse + 2]).astype(np.uint8),
        np.broadcast_to(np.array(probs, np.uint8)[:, None, None], (3, *coarse.shape)).copy(),
    )


def test_without_any_change_the_picture_comes_back():
    source = item(soft=soft_of(item().labels))
    sample = augment(source, AugmentOptions(crop_hw=(48, 64), **WHOLE, **STILL), np.random.default_rng(0))
    assert np.array_equal(sample.image, source.image) and np.array_equal(sample.labels, source.labels)
    assert np.array_equal(sample.target_ids[:3], source.soft.ids)
    assert np.allclose(sample.target_probs[:, 0, 0] * 255, (160, 48, 16, 0))


@pytest.mark.parametrize("size_hw", [(48, 64), (200, 120), (31, 333)])
def test_labels_and_targets_follow_the_picture_through_cut_scale_and_flip(size_hw):
    source = item(size_hw)
    source = Item("x", source.image, source.labels, soft_of(np.pad(source.labels, ((0, 3), (0, 3)), mode="edge")))
    soft = SoftLabels(
        *(a[:, : -(-size_hw[0] // 4), : -(-size_hw[1] // 4)] for a in (source.soft.ids, source.soft.probs))
    )
    source = Item("x", source.image, source.labels, soft)
    options = AugmentOptions(crop_hw=(64, 96), **{**STILL, "flip": 0.5, "turn_degrees": 7, "tilt": 0.25})
    for seed in range(12):
        sample = augment(source, options, np.random.default_rng(seed))
        assert sample.image.shape == (64, 96, 3) and sample.labels.shape == (64, 96)
        assert sample.target_ids.shape == sample.target_probs.shape == (4, 16, 24)
        nearest = np.stack([np.abs(sample.image.astype(int) - c).sum(axis=2) for c in COLOURS.values()]).argmin(axis=0)
        seen = np.array(list(COLOURS), dtype=np.uint8)[nearest]
        assert (seen == sample.labels).mean() > 0.93, seed  # but for blends along the edges
        best = np.take_along_axis(sample.target_ids, sample.target_probs.argmax(axis=0)[None], axis=0)[0]
        assert (best == sample.labels[2::4, 2::4]).mean() > 0.85, seed


def test_cuts_cover_what_is_asked_and_differ():
    rows = np.repeat(np.arange(100, dtype=np.uint8)[:, None], 100, axis=1)
    source = Item("x", np.zeros((100, 100, 3), np.uint8), rows, None)
    options = AugmentOptions(crop_hw=(100, 100), cover=(0.5, 0.9), stretch=0.0, **STILL)
    samples = [augment(source, options, np.random.default_rng(seed)).labels for seed in range(40)]
    heights = [int(s.max()) - int(s.min()) + 1 for s in samples]
    assert min(heights) >= 49 and max(heights) <= 91 and max(heights) - min(heights) > 20
    assert len({int(s.min()) for s in samples}) > 10


def test_flip_mirrors_everything():
    source = item(soft=soft_of(item().labels))
    sample = augment(
        source, AugmentOptions(crop_hw=(48, 64), **WHOLE, **{**STILL, "flip": 1.0}), np.random.default_rng(0)
    )
    assert np.array_equal(sample.image, source.image[:, ::-1])
    assert np.array_equal(sample.labels, source.labels[:, ::-1])
    assert (sample.target_ids[:3] == source.soft.ids[..., ::-1]).mean() > 0.95  # but for cells on an edge


@pytest.mark.parametrize(
    "change",
    [
        {"brightness": 0.5},
        {"contrast": 0.5},
        {"saturation": 0.8},
        {"hue_degrees": 30.0},
        {"white_balance": 1.0},
        {"gamma": 1.0},
        {"night": 1.0},
        {"fog": 1.0},
        {"blur": 1.0},
        {"motion": 1.0},
        {"noise": 1.0},
        {"jpeg": 1.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_fault_changes_the_picture_within_bounds_and_the_labels_not_at_all(change):
    source = item()
    most = 130 if "night" in change or "fog" in change else 60
    options = AugmentOptions(crop_hw=(48, 64), **WHOLE, **{**STILL, "camera": CameraOptions(**{**UNCHANGED, **change})})
    for seed in range(8):
        sample = augment(source, options, np.random.default_rng(seed))
        difference = np.abs(sample.image.astype(int) - source.image).mean()
        assert 0.02 < difference < most
        assert np.array_equal(sample.labels, source.labels)


def test_a_turn_of_the_hue_keeps_grey_and_brightness():
    grey = np.full((48, 64, 3), 130, np.uint8)
    options = CameraOptions(**{**UNCHANGED, "hue_degrees": 60.0, "saturation": 0.9})
    assert (photographed(grey, options, np.random.default_rng(0)) == 130).all()


def test_night_is_dark_and_fog_is_grey():
    bright = np.full((64, 64, 3), (250, 180, 120), np.uint8)
    for seed in range(10):
        night = photographed(bright, CameraOptions(**{**UNCHANGED, "night": 1.0}), np.random.default_rng(seed))
        assert night.mean() < 0.6 * bright.mean()
        fog = photographed(bright, CameraOptions(**{**UNCHANGED, "fog": 1.0}), np.random.default_rng(seed))
        assert np.ptp(fog[0].mean(axis=0)) < 0.85 * np.ptp(bright[0].mean(axis=0))


def test_beyond_its_edges_a_picture_goes_on_as_its_mirror_image():
    source = item()
    options = AugmentOptions(crop_hw=(48, 64), cover=(1.6, 1.6), stretch=0.0, **STILL)
    for seed in range(6):
        sample = augment(source, options, np.random.default_rng(seed))
        nearest = np.stack([np.abs(sample.image.astype(int) - c).sum(axis=2) for c in COLOURS.values()]).argmin(axis=0)
        assert (np.array(list(COLOURS), dtype=np.uint8)[nearest] == sample.labels).mean() > 0.88
        assert set(np.unique(sample.labels)) == {2, 4, 6, 20}


def test_a_part_of_another_picture_is_put_in_with_its_labels_and_targets():
    ground = Item("g", np.full((48, 64, 3), 10, np.uint8), np.full((48, 64), 1, np.uint8), None)
    other = Item("o", np.full((48, 64, 3), 200, np.uint8), np.full((48, 64), 7, np.uint8), None)
    options = AugmentOptions(crop_hw=(48, 64), **WHOLE, **{**STILL, "paste": 1.0})
    for seed in range(6):
        sample = augment(ground, options, np.random.default_rng(seed), another=lambda: other)
        inside = sample.labels == 7
        assert 0.05 < inside.mean() < 0.6
        assert (sample.image[inside] == 200).all() and (sample.image[~inside] == 10).all()
        assert np.array_equal(sample.target_ids[-1], sample.labels[2::4, 2::4])


def test_what_is_known_of_a_cut_out_is_put_into_another_picture():
    labels = np.full((48, 64), 255, np.uint8)
    labels[10:30, 20:30] = 12
    cut_out = Item("c", np.full((48, 64, 3), 200, np.uint8), labels, None)
    ground = Item("g", np.full((48, 64, 3), 10, np.uint8), np.full((48, 64), 1, np.uint8), None)
    options = AugmentOptions(crop_hw=(48, 64), **WHOLE, **{**STILL, "paste_cut_out": 1.0})
    sample = augment(cut_out, options, np.random.default_rng(0), another=lambda: ground)
    assert np.array_equal(sample.labels, np.where(labels == 12, 12, 1))
    assert (sample.image[13:27, 23:27] == 200).all() and (sample.image[:, :16] == 10).all()


def test_the_same_seed_gives_the_same_sample_and_another_another():
    options = AugmentOptions(crop_hw=(64, 64))
    first, again, other = (augment(item(), options, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(first.image, again.image) and np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.image, other.image)


def teacher_case(fill):
    labels = np.full((8, 8), 255, np.uint8)
    labels[:4, :4] = 6
    soft = SoftLabels(np.full((3, 2, 2), 9, np.uint8), np.zeros((3, 2, 2), np.uint8))
    soft.ids[1], soft.ids[2] = 10, 200  # an id without probability may be anything
    soft.probs[0], soft.probs[1] = [[160, 160], [160, 64]], 48
    source = Item("x", np.zeros((8, 8, 3), np.uint8), labels, soft, fill)
    return augment(source, AugmentOptions(crop_hw=(8, 8), **WHOLE, **STILL), np.random.default_rng(0))


def test_where_a_data_set_asks_for_it_a_sure_teacher_fills_missing_labels():
    sample = teacher_case(fill=True)
    assert (
        (sample.labels[:4, :4] == 6).all()
        and (sample.labels[:4, 4:] == 9).all()
        and (sample.labels[4:, 4:] == 255).all()
    )
    assert sample.target_ids[:, 1, 1].tolist() == [9, 10, 0, 0]
    assert np.allclose(sample.target_probs[:, 1, 1], np.array([64, 48, 0, 0]) / 255)


def test_unknown_stays_unknown_however_sure_the_teacher_and_a_label_outvotes_it():
    sample = teacher_case(fill=False)
    assert (sample.labels[:4, :4] == 6).all() and (sample.labels == 255).sum() == 48
    assert sample.target_ids[:, 0, 0].tolist() == [0, 0, 0, 6]
    assert sample.target_probs[:, 0, 0].tolist() == [0, 0, 0, 1]
    assert sample.target_probs.sum() == 1


def test_of_a_set_the_teacher_tells_its_classes_and_the_rest_is_left_to_the_set():
    labels = np.full((4, 8), 21, np.uint8)
    soft = SoftLabels(np.zeros((3, 1, 2), np.uint8), np.zeros((3, 1, 2), np.uint8))
    soft.ids[:, 0, 0], soft.probs[:, 0, 0] = (9, 3, 4), (102, 51, 51)  # 9 is not of the set
    soft.ids[:, 0, 1], soft.probs[:, 0, 1] = (9, 8, 0), (204, 51, 0)
    source = Item("x", np.zeros((4, 8, 3), np.uint8), labels, soft)
    member = membership(20, [(0, 1), (3, 4, 5)])
    sample = augment(source, AugmentOptions(crop_hw=(4, 8), **WHOLE, **STILL), np.random.default_rng(0), member=member)
    assert sample.target_ids[:, 0, 0].tolist() == [0, 3, 4, 21] and sample.target_ids[:, 0, 1].tolist() == [0, 0, 0, 21]
    assert np.allclose(sample.target_probs[:, 0].T, [[0, 0.2, 0.2, 0.6], [0, 0, 0, 1]], atol=1e-6)


def test_without_a_teacher_the_labels_are_the_targets_and_unlabelled_cells_have_none():
    labels = np.full((8, 8), 255, np.uint8)
    labels[:4] = 6
    source = Item("x", np.zeros((8, 8, 3), np.uint8), labels, None)
    sample = augment(source, AugmentOptions(crop_hw=(8, 8), cell=8, **WHOLE, **STILL), np.random.default_rng(0))
    assert sample.target_probs.shape == (4, 1, 1)
    sample = augment(source, AugmentOptions(crop_hw=(8, 8), **WHOLE, **STILL), np.random.default_rng(0))
    assert sample.target_ids[-1].tolist() == [[6, 6], [0, 0]]
    assert sample.target_probs.sum(axis=0).tolist() == [[1, 1], [0, 0]]
