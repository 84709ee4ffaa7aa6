"""Networks that score every class: labels at the frame's size, against torch's own enlarging."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vidseg.frames import NO_LABEL, Frame
from vidseg.segmentation.dense_segmenter import DenseSegmenter
from vidseg.segmentation.label_votes import LabelVotes
from vidseg.segmentation.temporal import ScoreSmoother
from vidseg.timing import StageTimers


class FakeScores:
    """Gives stored scores, whatever it sees; remembers the sizes."""

    gives_labels = False
    gives_logits = True
    align_corners = False

    def __init__(self, scores, class_of_channel=None):
        self.scores = scores
        self.class_of_channel = (
            np.arange(scores.shape[1], dtype=np.uint8) if class_of_channel is None else class_of_channel
        )
        self.seen = []

    def run(self, images):
        self.seen.append(tuple(images.shape))
        return self.scores[: len(images)]

    def weights(self, scores):
        return scores.softmax(dim=0)


class StillTracker:
    """Says that nothing moves, 0.04 s from frame to frame."""

    seconds = 0.04

    def __init__(self):
        self.first = True

    def follow(self, frame):
        first, self.first = self.first, False
        return None if first else self

    def on_grid(self, size_hw):
        return np.zeros((*size_hw, 2), np.float32), np.zeros(size_hw, np.float32)

    def reset(self):
        self.first = True


def frames(count=1, size_hw=(40, 60)):
    image = np.zeros((*size_hw, 3), dtype=np.uint8)
    return [Frame(image, number, number, Fraction(1, 25)) for number in range(count)]


def segmenter(runtime, *, seen_hw=(20, 30), **options):
    return DenseSegmenter(runtime, imgsz=30, network_size=lambda height, width, imgsz: seen_hw, **options)


def random_scores(count=1, channels=7, size_hw=(5, 8), seed=0):
    return torch.randn(count, channels, *size_hw, generator=torch.Generator().manual_seed(seed))


def test_labels_are_the_argmax_of_enlarged_scores():
    scores = random_scores(2)
    found = segmenter(FakeScores(scores)).segment(frames(2))
    expected = F.interpolate(scores, size=(40, 60), mode="bilinear").argmax(dim=1).numpy()
    assert [each.frame_index for each in found] == [0, 1]
    assert all((ours.label_map == theirs).mean() > 0.998 for ours, theirs in zip(found, expected, strict=True))
    assert found[0].label_map.dtype == np.uint8


def test_corner_aligned_scores_are_enlarged_that_way():
    runtime = FakeScores(random_scores())
    runtime.align_corners = True
    (found,) = segmenter(runtime, seen_hw=(40, 60)).segment(frames())
    expected = F.interpolate(runtime.scores, size=(40, 60), mode="bilinear", align_corners=True)[0].argmax(dim=0)
    assert (found.label_map == expected.numpy()).mean() > 0.998
    plain = F.interpolate(runtime.scores, size=(40, 60), mode="bilinear")[0].argmax(dim=0)
    assert (found.label_map == plain.numpy()).mean() < 0.95


def test_corner_aligned_scores_of_a_network_that_saw_another_size():
    scores = random_scores(size_hw=(3, 4))
    runtime = FakeScores(scores)
    runtime.align_corners = True
    (found,) = segmenter(runtime, seen_hw=(10, 14)).segment(frames())
    expected = np.empty((40, 60), dtype=np.uint8)
    grid = scores[0].numpy().astype(np.float64)
    for y, x in np.ndindex(40, 60):  # frame pixel -> place on the network's input -> place on the grid
        place = []
        for pixel, fine, seen, coarse in ((y, 40, 10, 3), (x, 60, 14, 4)):
            on_input = min(max((pixel + 0.5) * seen / fine - 0.5, 0), seen - 1)
            place.append(on_input * (coarse - 1) / (seen - 1))
        (top, left), (down, right) = map(int, place), (place[0] % 1, place[1] % 1)
        rows = [top, min(top + 1, 2)], [1 - down, down]
        columns = [left, min(left + 1, 3)], [1 - right, right]
        value = sum(grid[:, r, c] * a * b for r, a in zip(*rows, strict=True) for c, b in zip(*columns, strict=True))
        expected[y, x] = value.argmax()
    assert (found.label_map == expected).mean() > 0.998


def test_channels_become_classes():
    scores = torch.zeros(1, 3, 4, 4)
    scores[0, 0, :, :2] = 1
    scores[0, 2, :, 2:] = 1
    (found,) = segmenter(FakeScores(scores, np.array([NO_LABEL, 0, 1], np.uint8))).segment(frames())
    assert np.unique(found.label_map[:, :20]) == [NO_LABEL] and np.unique(found.label_map[:, -20:]) == [1]


def test_labels_are_enlarged_without_mixing():
    runtime = FakeScores(torch.tensor([[[3, 3, 9], [3, 200, 9]]], dtype=torch.uint8))
    runtime.gives_labels = True
    (found,) = segmenter(runtime).segment(frames())
    assert np.array_equal(found.label_map, np.kron([[3, 3, 9], [3, 200, 9]], np.ones((20, 20))))
    with pytest.raises(ValueError, match="by LabelVotes"):
        segmenter(runtime, smoother=ScoreSmoother(StillTracker()))


def test_labels_are_smoothed_by_votes():
    runtime = FakeScores(torch.full((1, 4, 6), 3, dtype=torch.uint8))
    runtime.gives_labels = True
    calm = segmenter(runtime, smoother=LabelVotes(StillTracker()))
    shown = []
    for one, label in zip(frames(12), (3, 3, 9, 3, 3, 9, 9, 9, 9, 9, 9, 9), strict=True):
        runtime.scores = torch.full((1, 4, 6), label, dtype=torch.uint8)
        (found,) = calm.segment([one])
        shown += np.unique(found.label_map).tolist()
    assert shown == sorted(shown) and shown[0] == 3 and shown[-1] == 9  # one frame is overruled, many are not


def test_smoothing_keeps_a_label_through_a_weak_change():
    before, after = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    before[:, 1], after[:, 2] = 2.0, 0.1
    runtime = FakeScores(before, np.array([NO_LABEL, 0, 1], np.uint8))
    calm, plain = segmenter(runtime, smoother=ScoreSmoother(StillTracker())), segmenter(runtime)
    first, second = frames(2)
    assert np.unique(calm.segment([first])[0].label_map) == [0]
    runtime.scores = after
    assert np.unique(calm.segment([second])[0].label_map) == [0]
    assert np.unique(plain.segment([second])[0].label_map) == [1]


def test_the_network_sees_the_size_it_wants_and_stages_are_timed():
    timers = StageTimers()
    runtime = FakeScores(random_scores(2))
    assert segmenter(runtime, timers=timers).segment([]) == []
    segmenter(runtime, timers=timers).segment(frames(2))
    assert runtime.seen == [(2, 3, 20, 30)]
    assert {name: stage.frames for name, stage in timers.totals().items()} == {
        "preprocess": 2,
        "model": 2,
        "postprocess": 2,
    }
