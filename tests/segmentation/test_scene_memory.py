"""A region does not change class for a moment, and what really changes is seen at once."""

import numpy as np
import pytest
import torch

from tests.fakes import frame
from tests.segmentation.test_temporal import FakeTracker, KnownMotion
from vidseg.segmentation.temporal import ScoreSmoother

H, W = 8, 12


def scores(left, right, *, surely=0.6):
    """(5, H, W): one class on the left half, one on the right; the rest is shared by the others."""
    maps = torch.full((5, H, W), (1 - surely) / 4)
    maps[left, :, : W // 2] = surely
    maps[right, :, W // 2 :] = surely
    return maps


def winners(smoother, sequence):
    found = []
    for number, maps in enumerate(sequence):
        raised, classes = smoother.smooth(frame(number), maps)
        found.append(classes[raised.argmax(dim=0).numpy()])
    return np.stack(found)


def still(**options):
    return ScoreSmoother(FakeTracker(still=(H, W)), **options)


ROAD, SEA, SKY = 0, 1, 2
CALM, WRONG = scores(ROAD, SKY), scores(SEA, SKY)


def test_a_region_that_was_one_thing_for_seconds_does_not_become_another_for_a_moment():
    sequence = [CALM] * 90 + [WRONG] * 8 + [CALM] * 17  # a quarter of a second
    assert (winners(still(), sequence) == winners(still(), [CALM] * 115)).all()
    assert (winners(still(scene_share=0.0), sequence)[97] == SEA).any()


@pytest.mark.parametrize("place", [np.s_[:2, :2], np.s_[-2:, -2:], np.s_[3:5, 2:4]])
def test_two_by_two_cells_are_a_region_and_less_is_a_thing_that_is_seen_as_without_memory(place):
    def labelled(*where):
        maps = CALM.clone()
        for part in where:
            maps[:, *part] = scores(SEA, SEA)[:, *part]
        return winners(still(), [CALM] * 90 + [maps] * 8), winners(still(scene_share=0.0), [CALM] * 90 + [maps] * 8)

    held, free = labelled(place)
    assert (free[-1][place] == SEA).all() and (held[-1] == held[0]).all()
    seen, free = labelled(np.s_[:, 3:4], np.s_[6:7, 8:11])  # a line down and one across
    assert (seen == free).all() and (seen[-1] == SEA).sum() > 9


def test_a_region_that_goes_on_being_something_else_becomes_it_and_the_rest_stays():
    found = winners(still(), [CALM] * 90 + [WRONG] * 90)
    assert (found[-1][:, : W // 2] == SEA).all() and (found[:, :, W // 2 :] == SKY).all()


@pytest.mark.parametrize("cut", [None, KnownMotion(np.zeros((H, W, 2), np.float32), np.full((H, W), 90, np.float32))])
def test_after_a_cut_labels_are_right_in_the_same_frame(cut):
    calm = KnownMotion(np.zeros((H, W, 2), np.float32), np.zeros((H, W), np.float32))
    smoother = ScoreSmoother(FakeTracker([None, *[calm] * 89, cut]))
    found = winners(smoother, [CALM] * 90 + [scores(SEA, 3)])
    assert (found[-1][:, : W // 2] == SEA).all() and (found[-1][:, W // 2 :] == 3).all()


def test_where_nothing_changes_nothing_is_added_to_thin_things_and_edges():
    maps = torch.rand(5, H, W, generator=torch.Generator().manual_seed(1))
    with_scene, without = still(margin=0.0), still(margin=0.0, scene_share=0.0)
    for number in range(5):
        one, _ = with_scene.smooth(frame(number), maps)
        other, _ = without.smooth(frame(number), maps)
    assert torch.allclose(one, other, atol=1e-6)


def test_what_is_remembered_moves_with_the_picture():
    flow = np.zeros((H, W, 2), np.float32)
    flow[..., 0] = -1  # everything moves to the right by a cell a frame
    step = KnownMotion(flow, np.zeros((H, W), np.float32))
    smoother = ScoreSmoother(FakeTracker([None, *[step] * 9]))
    edge = torch.arange(W)

    def at(x, left):
        maps = torch.full((5, H, W), 0.1)
        maps[left, :, edge < x], maps[SKY, :, edge >= x] = 0.6, 0.6
        return maps

    # the region on the left is taken for the sea in the last frames; the sky right of the edge came along
    found = winners(smoother, [at(1 + n, ROAD if n < 7 else SEA) for n in range(10)])
    assert (found[-1][:, 3:8] == ROAD).all() and (found[-1][:, 11:] == SKY).all()


def test_a_scene_that_is_kept_goes_on_as_before():
    def made():
        smoother = still()
        smoother._tracker.state, smoother._tracker.restore = dict, lambda state: None
        smoother._tracker._fresh = False
        return smoother

    first, second = made(), made()
    first._tracker._fresh = True
    winners(first, [CALM] * 20)
    second.restore(first.state())
    one, other = (smoother.smooth(frame(20), WRONG)[0] for smoother in (first, second))
    assert torch.equal(one, other)
