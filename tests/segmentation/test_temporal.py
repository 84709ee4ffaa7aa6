"""The smoothing against a plain loop in float64, and what it promises."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import frame
from tests.rounding import assert_rounds_alike
from vidseg.segmentation.doubt import Doubt
from vidseg.segmentation.postprocess import QueryOutput, labels_of
from vidseg.segmentation.segmenter import QuerySegmenter
from vidseg.segmentation.temporal import (
    RESIDUAL_SCALE,
    ScoreSmoother,
    alive,
    favoured,
    moved_maps,
    neighbours,
    places,
    trust,
)
from vidseg.segmentation.upsampled_argmax import argmax_upsampled


@dataclass
class KnownMotion:
    flow: np.ndarray
    residual: np.ndarray
    seconds: float = 1 / 30

    def on_grid(self, size_hw):
        assert self.residual.shape == size_hw
        return self.flow, self.residual


class FakeTracker:
    """Gives the motions it was told; None at first, after `reset`, and where told so."""

    def __init__(self, motions=(), *, still=None):
        self._motions = iter(motions)
        self._still = still
        self._fresh = True

    def follow(self, frame):
        if self._still is not None:
            found = None if self._fresh else KnownMotion(np.zeros((*self._still, 2), np.float32), np.zeros(self._still))
            if found is not None:
                found.residual = found.residual.astype(np.float32)
            self._fresh = False
            return found
        return next(self._motions)

    def reset(self):
        self._fresh = True


def maps(seed, k=5, h=6, w=7):
    return torch.rand(k, h, w, generator=torch.Generator().manual_seed(seed))


def raised(maps, last, bonus):
    """Every choice counts 4, 2 or 1 sixteenths for the cell, its neighbours and those across the corner."""
    _, h, w = maps.shape
    out = maps.copy()
    for y in range(h):
        for x in range(w):
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    c = last[min(max(y + dy, 0), h - 1), min(max(x + dx, 0), w - 1)]
                    out[c, y, x] += maps[c, y, x] * bonus[y, x] * (2 - abs(dy)) * (2 - abs(dx)) / 16
    return out


def cubic_weights(part):
    """Of the four cells around a place, which lies `part` after the second: cubic convolution with a = -0.75."""
    a = -0.75
    far = [a * (d**3 - 5 * d**2 + 8 * d - 4) for d in (1 + part, 2 - part)]
    near = [(a + 2) * d**3 - (a + 3) * d**2 + 1 for d in (part, 1 - part)]
    return [far[0], *near, far[1]]


def looked_up(map_, x, y, largest):
    """The value of a map (h, w) at a place in cells; edges repeat; not below 0, not above the largest of all maps."""
    h, w = map_.shape
    x0, y0 = math.floor(x), math.floor(y)
    total = 0.0
    for j, down in enumerate(cubic_weights(y - y0), start=y0 - 1):
        for i, right in enumerate(cubic_weights(x - x0), start=x0 - 1):
            total += down * right * map_[min(max(j, 0), h - 1), min(max(i, 0), w - 1)]
    return min(max(total, 0.0), largest)


def oracle(sequence, motions, seconds, margin, dtype=np.float64):
    """Maps of all classes for every frame, cell by cell; nothing is forgotten."""
    memory, winner, out = None, None, []
    for scores, motion in zip(sequence, motions, strict=True):
        k, h, w = scores.shape
        smoothed = scores.astype(dtype)
        boosted = smoothed.copy()
        bonus, last = np.zeros((h, w)), np.zeros((h, w), int)
        if motion is not None and memory is not None:
            for y in range(h):
                for x in range(w):
                    px, py = x + float(motion.flow[y, x, 0]), y + float(motion.flow[y, x, 1])
                    inside = -0.5 < px < w - 0.5 and -0.5 < py < h - 0.5
                    weight = math.exp(-((motion.residual[y, x] / RESIDUAL_SCALE) ** 2)) * inside
                    weight *= math.exp(-motion.seconds / seconds)
                    for c in range(k):
                        smoothed[c, y, x] = (
                            weight * looked_up(memory[c], px, py, memory.max()) + (1 - weight) * scores[c, y, x]
                        )
                    bonus[y, x] = margin * weight
                    last[y, x] = winner[min(max(round(py), 0), h - 1), min(max(round(px), 0), w - 1)]
            boosted = raised(smoothed, last, bonus)
        memory, winner = smoothed, boosted.argmax(axis=0)
        out.append(boosted)
    return out


@pytest.mark.parametrize("margin", [0, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_smoothing_is_the_plain_loop(seed, margin):
    rng = np.random.default_rng(seed)
    h, w = (6, 7) if seed < 3 else (1, 5)
    motions = [
        KnownMotion(rng.uniform(-2, 2, (h, w, 2)).astype(np.float32), rng.uniform(0, 30, (h, w)).astype(np.float32))
        for _ in range(6)
    ]
    motions[0] = motions[4] = None  # the first frame, and a cut
    # no score is near 0, so that every class stays alive and the oracle, which forgets nothing, is comparable
    sequence = [maps(10 * seed + i, 5, h, w) + 0.5 for i in range(6)]
    smoother = ScoreSmoother(FakeTracker(motions), seconds=0.1, margin=margin, scene_share=0.0)
    exact = oracle([s.numpy() for s in sequence], motions, 0.1, margin)
    plain = oracle([s.numpy() for s in sequence], motions, 0.1, margin, np.float32)
    for i in range(6):
        found, classes = smoother.smooth(frame(i), sequence[i])
        assert classes.tolist() == [0, 1, 2, 3, 4]
        assert_rounds_alike(found, *(torch.from_numpy(each[i]) for each in (plain, exact)))


@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(0.2, 4))
@settings(max_examples=60, deadline=None)
def test_a_map_that_is_not_alive_wins_at_no_pixel(seed, count, sharpness):
    scores = maps(seed, count, 5, 6) ** (4 * sharpness)
    kept = alive(scores)
    everywhere = argmax_upsampled(scores.numpy(), (37, 41))
    assert set(np.unique(everywhere)) <= set(kept.tolist())
    assert (kept.numpy()[argmax_upsampled(scores[kept].numpy(), (37, 41))] == everywhere).all()


def test_few_of_many_classes_are_alive_where_a_few_are_sure():
    scores = torch.full((150, 8, 8), 0.01)
    scores[2, :4], scores[6, 4:] = 1, 0.8
    assert alive(scores).tolist() == [2, 6]
    assert len(alive(torch.zeros(150, 8, 8))) == 150


def test_a_map_is_judged_by_the_winners_around_it():
    scores = torch.zeros(3, 8, 8)
    scores[0, :, :4], scores[1, :, 4:] = 1, 0.1
    scores[2, 4, 1] = 0.2  # more than the winners elsewhere, but never the largest here
    assert alive(scores).tolist() == [0, 1]
    scores[2, 4, 4] = 0.2
    assert alive(scores).tolist() == [0, 1, 2]


def test_trust_falls_with_the_residual_and_is_none_outside():
    where = places(torch.zeros(2, 3, 2))
    where[0, 0, 0], where[1, 2, 1] = -0.6, 1.6
    believed = trust(where, torch.tensor([[0, 0, RESIDUAL_SCALE], [0, 1000, 0]]))
    assert torch.allclose(believed, torch.tensor([[0, 1, math.exp(-1)], [1, 0, 0]]))


@pytest.mark.parametrize("size", [(1, 1), (1, 8), (9, 7), (30, 40)])
def test_maps_are_looked_up_as_torch_does_it_cubically_also_far_outside(size):
    rng = torch.Generator().manual_seed(1)
    h, w = size
    maps = torch.rand(5, h, w, generator=rng)
    where = places(4 * torch.randn(h, w, 2, generator=rng))
    span = torch.tensor([max(w - 1, 1), max(h - 1, 1)])
    grid = where * 2 / span - 1
    expected = torch.nn.functional.grid_sample(
        maps[None], grid[None], mode="bicubic", padding_mode="border", align_corners=True
    )[0]
    found = moved_maps(maps, neighbours(where))
    assert torch.allclose(found, expected.clamp(torch.tensor(0.0), maps.amax()), atol=1e-4)
    assert found.is_contiguous()


def test_maps_moved_by_whole_cells_are_those_cells():
    scores = maps(1)
    where = places(torch.full((6, 7, 2), 2.0))
    assert torch.allclose(moved_maps(scores, neighbours(where))[:, :-2, :-2], scores[:, 2:, 2:], atol=1e-6)


def test_a_thin_line_that_drifts_for_a_second_is_still_thin():
    line = torch.stack([torch.zeros(5, 40), torch.ones(5, 40)])  # and a surface
    line[0, :, 3] = 1
    where = places(torch.tensor([-0.5, 0.0]).expand(5, 40, 2))
    for _ in range(30):
        line = moved_maps(line, neighbours(where))
    assert line[0].argmax(dim=1).eq(18).all()
    assert line[0, 2, 18] > 0.5  # looked up linearly 0.14 would be left


def test_scores_that_are_looked_up_again_and_again_do_not_grow():
    found = maps(3)
    largest = found.amax()
    where = places(torch.full((6, 7, 2), 0.5))
    for _ in range(200):
        found = moved_maps(found, neighbours(where))
        assert found.min() >= 0 and found.max() <= largest


def test_a_class_is_raised_where_it_was_chosen_all_around_and_less_at_its_edge():
    last = torch.tensor([[0, 0, 0, 2, 2, 2]]).repeat(4, 1)
    found = favoured(torch.ones(3, 4, 6), last, torch.full((4, 6), 0.4))
    assert torch.allclose(found[0, 1], torch.tensor([1.4, 1.4, 1.3, 1.1, 1, 1]))
    assert torch.allclose(found[2, 1], found[0, 1].flip(0)) and (found[1] == 1).all()


def test_a_line_one_cell_wide_gains_nothing_over_its_surroundings():
    last = torch.zeros(5, 5, dtype=torch.int64)
    last[:, 2] = 1
    found = favoured(torch.ones(2, 5, 5), last, torch.ones(5, 5))
    assert torch.equal(found[0, :, 2], found[1, :, 2])


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_a_constant_input_keeps_every_label_that_wins_by_the_margin(seed):
    scores = maps(seed, 12, 6, 7)
    smoother = ScoreSmoother(FakeTracker(still=(6, 7)), margin=0.2)
    first = labels_of(*smoother.smooth(frame(0), scores), (6, 7))
    assert (first == scores.argmax(dim=0).numpy()).all(), "the first frame is as without smoothing"
    best, second = scores.topk(2, dim=0).values.numpy()
    clear = best > 1.2 * second
    for i in range(1, 8):
        assert (labels_of(*smoother.smooth(frame(i), scores), (6, 7)) == first)[clear].all()


def test_a_constant_picture_of_regions_keeps_all_its_labels():
    rows, columns = torch.meshgrid(torch.arange(18.0), torch.arange(24.0), indexing="ij")
    scores = torch.full((150, 18, 24), 0.02)
    scores[2], scores[6] = torch.sigmoid(8 - rows), torch.sigmoid(rows - 8)
    scores[20] = 2 * torch.sigmoid(5 - ((rows - 11) ** 2 + (columns - 9) ** 2).sqrt())
    smoother = ScoreSmoother(FakeTracker(still=(18, 24)))
    found = [labels_of(*smoother.smooth(frame(i), scores), (72, 96)) for i in range(8)]
    assert set(np.unique(found[0])) == {2, 6, 20}
    assert all((labels == found[1]).all() for labels in found[1:])
    assert (found[0] != found[1]).mean() < 0.005, "a raised winner may move an edge by a pixel, once"


def two_classes(first, second, h=4, w=4):
    scores = torch.full((150, h, w), 0.001)
    scores[2], scores[6] = first, second
    return scores


def winners(smoother, scores, index):
    return set(np.unique(labels_of(*smoother.smooth(frame(index), scores), (16, 16))).tolist())


def test_a_label_has_to_win_clearly_to_replace_another_and_then_does():
    smoother = ScoreSmoother(FakeTracker(still=(4, 4)), seconds=0.05, margin=0.2)
    assert winners(smoother, two_classes(1.0, 0.9), 0) == {2}
    narrow = [winners(smoother, two_classes(0.95, 1.0), i) for i in range(1, 30)]
    assert narrow == [{2}] * 29
    clear = [winners(smoother, two_classes(0.5, 1.0), i) for i in range(30, 40)]
    assert clear[-1] == {6} and clear.index({6}) <= 3, "seconds=0.05 at 30 frames per second"
    assert winners(ScoreSmoother(FakeTracker(still=(4, 4))), two_classes(0.95, 1.0), 0) == {6}


def test_one_frame_that_errs_changes_nothing():
    smoother = ScoreSmoother(FakeTracker(still=(4, 4)))
    found = [winners(smoother, two_classes(0.6, 1.0) if i == 5 else two_classes(1.0, 0.4), i) for i in range(10)]
    assert found == [{2}] * 10


@pytest.mark.parametrize("how", ["reset", "cut", "size"])
def test_nothing_is_remembered_past_a_reset_a_cut_or_another_size(how):
    still = KnownMotion(np.zeros((4, 4, 2), np.float32), np.zeros((4, 4), np.float32))
    tracker = FakeTracker([None, still, None if how == "cut" else still])
    smoother = ScoreSmoother(tracker)
    for i in range(2):
        smoother.smooth(frame(i), two_classes(1.0, 0.2))
    if how == "reset":
        smoother.reset()
    fresh = two_classes(0.28, 0.3, *((4, 5) if how == "size" else (4, 4)))
    found, classes = smoother.smooth(frame(2), fresh)
    assert classes.tolist() == [2, 6] and torch.equal(found, fresh[[2, 6]])


def test_where_the_picture_is_new_the_new_scores_count_at_once():
    residual = np.zeros((4, 4), np.float32)
    residual[:, 2:] = 200
    tracker = FakeTracker([None, KnownMotion(np.zeros((4, 4, 2), np.float32), residual)])
    smoother = ScoreSmoother(tracker)
    smoother.smooth(frame(0), two_classes(1.0, 0.2))
    labels = labels_of(*smoother.smooth(frame(1), two_classes(0.4, 0.5)), (4, 4))
    assert (labels[:, :2] == 2).all() and (labels[:, 2:] == 6).all()


def test_longer_gaps_count_less():
    def share(seconds):
        motion = KnownMotion(np.zeros((4, 4, 2), np.float32), np.zeros((4, 4), np.float32), seconds)
        smoother = ScoreSmoother(FakeTracker([None, motion]), seconds=0.2, margin=0, scene_share=0.0)
        smoother.smooth(frame(0), two_classes(1.0, 0.5))
        return float(smoother.smooth(frame(1), two_classes(0.5, 0.5))[0][0, 0, 0])

    assert share(0.2) == pytest.approx(0.5 + 0.5 * math.exp(-1)) and share(100) == pytest.approx(0.5)


def test_a_frame_of_not_a_numbers_does_not_stay():
    smoother = ScoreSmoother(FakeTracker(still=(4, 4)))
    assert winners(smoother, two_classes(1.0, 0.5), 0) == {2}
    smoother.smooth(frame(1), two_classes(math.nan, 0.5))
    assert winners(smoother, two_classes(1.0, 0.5), 2) == {2}


def test_by_winner_query_a_class_has_the_score_of_its_best_query():
    generator = torch.Generator().manual_seed(0)
    output = QueryOutput(torch.rand(12, 5, generator=generator), torch.rand(12, 6, 7, generator=generator), (6, 7))
    scores, classes = output.best_class()
    expected = np.zeros((5, 6, 7), np.float32)
    for query in range(12):
        c = int(classes[query])
        expected[c] = np.maximum(expected[c], float(scores[query]) * output.mask_probs[query].numpy())
    assert np.allclose(output.class_scores("winner-query").of(torch.arange(5)), expected)
    assert (expected.argmax(axis=0) == output.labels("winner-query")).all()


class NoisyRuntime:
    """Sky above and road below, less sure or even wrong from time to time, by the brightness of the picture."""

    name = "noisy"
    device = torch.device("cpu")

    def run(self, images):
        b, _, h, w = images.shape
        class_logits = torch.full((b, 2, 151), -4.0)
        masks = torch.full((b, 2, h // 4, w // 4), -3.0)
        for i, image in enumerate(images):
            value = float(image.float().mean())
            swap = value % 5 == 4
            class_logits[i, 0, 6 if swap else 2] = 2 + value % 3
            class_logits[i, 1, 2 if swap else 6] = 2 + value % 2
            edge = h // 8 + int(value) % 3
            masks[i, 0, :edge], masks[i, 1, edge:] = 3, 3
        return class_logits, masks


def label_maps(batch, *, rule="semantic", smooth=True, stride=1):
    smoother = ScoreSmoother(FakeTracker(still=(10, 16))) if smooth else None
    segmenter = QuerySegmenter(NoisyRuntime(), imgsz=64, rule=rule, smoother=smoother)
    frames = [frame(i, size_hw=(40, 64)) for i in range(0, 24, stride)]
    found = []
    for start in range(0, len(frames), batch):
        found += segmenter.segment(frames[start : start + batch])
    return np.stack([seg.label_map for seg in found])


@pytest.mark.parametrize("rule", ["semantic", "winner-query"])
@pytest.mark.parametrize("stride", [1, 3])
def test_labels_are_the_same_whatever_the_batch_size(rule, stride):
    one = label_maps(1, rule=rule, stride=stride)
    for batch in (2, 5, 24):
        assert (label_maps(batch, rule=rule, stride=stride) == one).all()


def test_smoothed_labels_change_less_often():
    plain, calm = label_maps(1, smooth=False), label_maps(1)
    assert (calm[1:] != calm[:-1]).mean() < 0.5 * (plain[1:] != plain[:-1]).mean()
    assert (calm[:, :12] == 2).all() and (calm[:, -12:] == 6).all(), "wrong for one frame in five"


def test_confidence_is_there_with_smoothing_and_stays_a_share():
    smoother = ScoreSmoother(FakeTracker(still=(10, 16)))
    segmenter = QuerySegmenter(NoisyRuntime(), imgsz=64, smoother=smoother, doubt=Doubt(keep=True))
    for seg in segmenter.segment([frame(i, size_hw=(40, 64)) for i in range(6)]):
        assert seg.confidence.shape == (40, 64) and seg.confidence.min() > 0.3 and seg.confidence.max() <= 1
