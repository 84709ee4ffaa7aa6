"""How sure segmenters are: the same with and without smoothing, for queries and for scores."""

import numpy as np
import pytest
import torch

from tests.fakes import frame
from tests.segmentation.test_dense_segmenter import FakeScores, frames, random_scores, segmenter
from tests.segmentation.test_temporal import FakeTracker
from vidseg.confidence import Calibration
from vidseg.frames import NO_LABEL
from vidseg.segmentation.doubt import Doubt
from vidseg.segmentation.segmenter import QuerySegmenter
from vidseg.segmentation.temporal import ScoreSmoother

CURVE = Calibration(((0.0, 0.0), (0.3, 0.1), (0.6, 0.9), (1.0, 1.0)))
SIZE = (40, 64)


class FixedRuntime:
    """The same soft queries for every picture."""

    name = "fixed"
    device = torch.device("cpu")

    def run(self, images):
        rng = torch.Generator().manual_seed(3)
        class_logits = torch.full((1, 5, 151), -9.0)
        for query in range(5):
            class_logits[0, query, query] = 3 + torch.rand(1, generator=rng)
        masks = torch.nn.functional.interpolate(5 * torch.randn(1, 5, 3, 4, generator=rng), size=(10, 16))
        return class_logits.expand(len(images), -1, -1), masks.expand(len(images), -1, -1, -1)


def queries(doubt, *, smooth=False, rule="semantic", count=4):
    smoother = ScoreSmoother(FakeTracker(still=(10, 16))) if smooth else None
    found = QuerySegmenter(FixedRuntime(), imgsz=64, rule=rule, smoother=smoother, doubt=doubt)
    return found.segment([frame(i, size_hw=SIZE) for i in range(count)])[-1]


def scores(doubt, *, smooth=False):
    smoother = ScoreSmoother(FakeTracker(still=(5, 8))) if smooth else None
    return segmenter(FakeScores(random_scores(4) * 2), smoother=smoother, doubt=doubt).segment(frames(4))


@pytest.mark.parametrize("rule", ["semantic", "winner-query"])
def test_a_still_picture_is_as_sure_smoothed_as_not(rule):
    plain, calm = (queries(Doubt(CURVE, keep=True), smooth=smooth, rule=rule) for smooth in (False, True))
    assert plain.levels.std() > 40 and (plain.levels[0] != plain.levels).any()
    same = plain.label_map == calm.label_map  # the margin holds some labels at the edges
    difference = np.abs(plain.levels.astype(int) - calm.levels)[same]
    assert same.mean() > 0.9 and difference.mean() < 1.5 and (difference > 12).mean() < 0.01


def test_scores_are_as_sure_smoothed_as_not():
    one = random_scores(1) * 2
    found = {}
    for smooth in (False, True):
        smoother = ScoreSmoother(FakeTracker(still=(5, 8)), margin=0.0) if smooth else None
        runtime = FakeScores(one.expand(4, -1, -1, -1))
        found[smooth] = segmenter(runtime, smoother=smoother, doubt=Doubt(CURVE, keep=True)).segment(frames(4))[-1]
    same = found[False].label_map == found[True].label_map  # logits and probabilities are not enlarged alike
    difference = np.abs(found[False].levels.astype(int) - found[True].levels)[same]
    assert same.mean() > 0.75 and difference.max() <= 1


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("minimum", [0.3, 0.7])
@pytest.mark.parametrize("of", [queries, lambda doubt, smooth: scores(doubt, smooth=smooth)[-1]])
def test_what_is_not_sure_has_no_label_and_the_rest_is_left_as_it_is(of, minimum, smooth):
    plain = of(None, smooth=smooth).label_map
    kept = of(Doubt(CURVE, minimum=minimum, keep=True), smooth=smooth)
    alone = of(Doubt(CURVE, minimum=minimum), smooth=smooth)
    unsure = kept.confidence < minimum
    assert 0.02 < unsure.mean() < 0.98 and alone.levels is None
    assert (kept.label_map == np.where(unsure, NO_LABEL, plain)).all()
    assert (alone.label_map == kept.label_map).all()


def test_labels_alone_are_not_sure_of_anything():
    class Labels(FakeScores):
        gives_labels = True

    with pytest.raises(ValueError, match="labels carry no confidence"):
        segmenter(Labels(random_scores()), doubt=Doubt(minimum=0.5))


def test_a_memory_that_was_kept_goes_on_as_sure():
    def memory():
        return ScoreSmoother(FakeTracker(still=(10, 16)))

    made = [QuerySegmenter(FixedRuntime(), imgsz=64, smoother=memory(), doubt=Doubt(keep=True)) for _ in range(2)]
    for tracked in made:
        tracked._smoother._tracker.state, tracked._smoother._tracker.restore = dict, lambda state: None
    first = made[0].segment([frame(i, size_hw=SIZE) for i in range(3)])[-1]
    made[1]._smoother._tracker._fresh = False
    made[1].restore(made[0].state())
    again, on = (one.segment([frame(3, size_hw=SIZE)])[0] for one in made)
    assert (again.levels == on.levels).all() and first.levels.any()
