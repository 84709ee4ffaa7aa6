"""Votes of past frames against a plain count, and what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.fakes import frame
from tests.segmentation.test_temporal import FakeTracker, KnownMotion
from vidseg.motion.tracker import FlowTracker
from vidseg.segmentation.label_votes import LabelVotes
from vidseg.segmentation.temporal import MARGIN

H, W = 6, 9


def motions(flow: np.ndarray, count: int, residual: float = 0.0):
    step = KnownMotion(flow.astype(np.float32), np.full((H, W), residual, np.float32))
    return [None, *[step] * (count - 1)]


def smoothed(sequence: np.ndarray, tracker) -> np.ndarray:
    votes = LabelVotes(tracker)
    return np.stack([votes.smooth(frame(i), torch.from_numpy(each)).numpy() for i, each in enumerate(sequence)])


def test_two_labels_have_the_votes_that_a_plain_count_gives_them():
    sequence = np.random.default_rng(0).integers(0, 2, (40, H, W)).astype(np.uint8)
    found = smoothed(sequence, FakeTracker(motions(np.zeros((H, W, 2)), 40)))
    weight = math.exp(-1 / 30 / 0.15)
    for y, x in np.ndindex(H, W):
        shown, votes = sequence[0, y, x], {0: 0.0, 1: 0.0}
        votes[shown] = 1.0
        for number in range(1, 40):
            votes = {label: weight * count for label, count in votes.items()}
            votes[sequence[number, y, x]] += 1 - weight
            if votes[1 - shown] > votes[shown] * (1 + MARGIN * weight):
                shown = 1 - shown
            assert found[number, y, x] == shown, (number, y, x)
    assert (np.diff(found.astype(int), axis=0) != 0).mean() < 0.5 * (np.diff(sequence.astype(int), axis=0) != 0).mean()


def test_votes_go_with_the_picture_and_none_are_believed_where_it_is_another():
    thing = np.zeros((H, 40), dtype=np.uint8)
    thing[2:5, 20:24] = 7
    still = np.zeros((H, W, 2))
    views = np.stack([thing[:, 16 - i : 16 - i + W] for i in range(8)])  # the picture moves to the right
    flow = still - [1, 0]
    missing = views.copy()
    missing[6] = 0  # for one frame the network loses it
    assert np.array_equal(smoothed(missing, FakeTracker(motions(flow, 8)))[6], views[6])
    assert np.array_equal(smoothed(missing, FakeTracker(motions(flow, 8, residual=200.0))), missing)
    assert not np.array_equal(smoothed(missing, FakeTracker(motions(still, 8)))[6], views[6])


def test_slow_motion_does_not_leave_votes_behind():
    edge = torch.zeros(H, W, dtype=torch.uint8)
    edge[:, 4:] = 5
    votes = LabelVotes(FakeTracker(motions(np.zeros((H, W, 2)) - [0.4, 0], 11)), seconds=1e6)
    votes.smooth(frame(0), edge)
    for number in range(1, 11):  # the memory alone, whose edge goes 4 of the cells on
        found = votes.smooth(frame(number), torch.zeros(H, W, dtype=torch.uint8))
        moved = int((found[0] == 0).sum())
    assert abs(moved - 8) <= 1


@pytest.mark.parametrize("cut", [0, 1, 5, 7])
def test_votes_go_on_exactly_from_their_state(cut):
    from tests.segmentation.test_resume import moving

    random = torch.Generator().manual_seed(2)
    labels = [torch.randint(0, 4, (16, 24), generator=random, dtype=torch.uint8) for _ in range(10)]
    whole, first, second = (LabelVotes(FlowTracker()) for _ in range(3))
    expected = [whole.smooth(moving(i), labels[i]) for i in range(10)]
    for i in range(cut):
        first.smooth(moving(i), labels[i])
    second.restore(first.state())
    assert all(torch.equal(second.smooth(moving(i), labels[i]), expected[i]) for i in range(cut, 10))
    assert any(not torch.equal(expected[i], labels[i]) for i in range(cut, 10))
