"""Scores against counting by hand."""

import math

import numpy as np
import pytest

from vidseg.data.label_sets import membership
from vidseg.metrics import confusion_matrix as confusion_of_counts
from vidseg.metrics import group_iou, label_counts, scores


def confusion_matrix(truth, predicted, classes, sets=()):
    return confusion_of_counts(label_counts(truth, predicted, classes), membership(classes, sets))


def maps(seed, classes=5, size=(9, 11)):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, size).astype(np.uint8)
    predicted = np.where(rng.random(size) < 0.6, truth, rng.integers(0, classes + 2, size)).astype(np.uint8)
    truth[rng.random(size) < 0.1] = 255
    return truth, predicted


def slow_scores(truth, predicted, classes):
    """IoU and accuracy per class, and the four means, pixel by pixel."""
    pairs = [(t, p) for t, p in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True) if t != 255]
    iou, accuracy, frequency = {}, {}, {}
    for k in range(classes):
        hits = sum(t == k and p == k for t, p in pairs)
        either = sum(t == k or p == k for t, p in pairs)
        true = sum(t == k for t, _ in pairs)
        if true:
            iou[k], accuracy[k], frequency[k] = hits / either, hits / true, true / len(pairs)
    return (
        iou,
        accuracy,
        sum(iou.values()) / len(iou),
        sum(accuracy.values()) / len(iou),
        sum(t == p for t, p in pairs) / len(pairs),
        sum(frequency[k] * iou[k] for k in iou),
    )


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_counting_pixels(seed):
    truth, predicted = maps(seed)
    truth[truth == 3] = 255  # a class that the truth lacks has no score
    found = scores(confusion_matrix(truth, predicted, 5))
    iou, accuracy, *means = slow_scores(truth, predicted, 5)
    assert math.isnan(found.iou[3]) and math.isnan(found.accuracy[3])
    for k in iou:
        assert (found.iou[k], found.accuracy[k]) == pytest.approx((iou[k], accuracy[k]))
    assert [
        found.mean_iou,
        found.mean_accuracy,
        found.pixel_accuracy,
        found.frequency_weighted_iou,
    ] == pytest.approx(means)
    assert found.pixels == (truth != 255).sum() and found.truth_share.sum() == pytest.approx(1)


def test_counts_of_pictures_add_up():
    a, b = maps(0), maps(1)
    together = confusion_matrix(np.stack([a[0], b[0]]), np.stack([a[1], b[1]]), 5)
    assert np.array_equal(together, confusion_matrix(*a, 5) + confusion_matrix(*b, 5))


def test_a_prediction_outside_the_classes_is_wrong_but_no_class_pays_for_it():
    truth, predicted = np.array([[0, 0, 1, 1]], dtype=np.uint8), np.array([[0, 255, 1, 1]], dtype=np.uint8)
    found = scores(confusion_matrix(truth, predicted, 2))
    assert found.iou.tolist() == [0.5, 1.0] and found.pixel_accuracy == 0.75


def test_a_subset_counts_its_own_truth_and_still_pays_for_false_alarms():
    truth, predicted = np.array([[0, 0, 1, 2]], dtype=np.uint8), np.array([[0, 0, 0, 2]], dtype=np.uint8)
    found = scores(confusion_matrix(truth, predicted, 3), [0, 2])
    assert found.iou[0] == pytest.approx(2 / 3) and math.isnan(found.iou[1]) and found.iou[2] == 1
    assert found.pixel_accuracy == 1 and found.pixels == 3


def test_no_truth_gives_no_scores():
    found = scores(confusion_matrix(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8), 3))
    assert found.pixels == 0 and math.isnan(found.mean_iou) and math.isnan(found.pixel_accuracy)


def test_a_pixel_of_a_set_is_right_for_any_of_its_classes_and_else_nobodys_miss():
    sets = [(0, 1), (1, 2)]  # label values 3 and 4
    truth = np.array([[3, 3, 3, 4, 0, 2, 255]], dtype=np.uint8)
    predicted = np.array([[0, 1, 2, 255, 0, 0, 2]], dtype=np.uint8)
    found = scores(confusion_matrix(truth, predicted, 3, sets))
    # class 0: two hits, one false alarm of class 2's pixel; class 1: one hit; class 2: missed once, one false alarm
    assert found.iou.tolist() == [2 / 3, 1.0, 0.0]
    assert found.pixel_accuracy == 3 / 6 and found.pixels == 6


@pytest.mark.parametrize("seed", range(4))
def test_group_scores_are_those_of_counting_pixels(seed):
    rng = np.random.default_rng(seed)
    sets, group = [(0, 1), (1, 2), (2, 3, 4)], [1, 2]
    truth = rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 255], (12, 12)).astype(np.uint8)
    predicted = rng.integers(0, 5, (12, 12)).astype(np.uint8)
    allowed = {**{k: {k} for k in range(5)}, 5: {0, 1}, 6: {1, 2}, 7: {2, 3, 4}}
    hits = either = true = 0
    for t, p in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True):
        if t != 255 and (allowed[t] <= set(group) or not allowed[t] & set(group)):
            inside = allowed[t] <= set(group)
            true += inside
            hits += inside and p in group
            either += inside or p in group
    assert group_iou(label_counts(truth, predicted, 5), membership(5, sets), group) == (hits / either, true)
