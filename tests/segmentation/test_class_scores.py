"""Which classes can win: with the bounds, never one less than without."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rounding import assert_rounds_alike
from vidseg.segmentation.class_scores import FIRST, GivenScores, LogitScores, QueryScores, alive


def probabilities(seed: int, queries: int, classes: int, sharpness: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Class probabilities (Q, K) without "no object", mask probabilities (Q, 6, 7)."""
    rng = torch.Generator().manual_seed(seed)
    class_logits = sharpness * torch.randn(queries, classes + 1, generator=rng)
    masks = torch.nn.functional.interpolate(torch.randn(1, queries, 2, 3, generator=rng), size=(6, 7))[0]
    return class_logits.softmax(dim=1)[:, :-1], (sharpness * masks).sigmoid()


def all_maps(class_probs: torch.Tensor, mask_probs: torch.Tensor) -> torch.Tensor:
    return torch.einsum("qk,qhw->khw", class_probs.double(), mask_probs.double())


def plain_maps(class_probs: torch.Tensor, mask_probs: torch.Tensor) -> torch.Tensor:
    return torch.einsum("qk,qhw->khw", class_probs, mask_probs)


def test_maps_are_the_sum_over_queries():
    given_probs = probabilities(0, 12, 9, 2.0)
    scores = QueryScores(*given_probs)
    assert (scores.count, scores.grid_hw) == (9, (6, 7))
    classes = torch.tensor([7, 0, 3])
    assert_rounds_alike(scores.of(classes), plain_maps(*given_probs)[classes], all_maps(*given_probs)[classes])
    assert scores.of(classes[:0]).shape == (0, 6, 7)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 150), st.sampled_from([0.1, 1.0, 4.0, 10.0]))
def test_every_class_that_can_win_is_among_the_contenders(seed, queries, classes, sharpness):
    given_probs = probabilities(seed, queries, classes, sharpness)
    full = all_maps(*given_probs)
    found, maps = QueryScores(*given_probs).contenders()
    assert found.tolist() == sorted(set(found.tolist()))
    assert_rounds_alike(maps, plain_maps(*given_probs)[found], full[found])
    fine = torch.nn.functional.interpolate(full[None], size=(31, 44), mode="bilinear")[0]
    top = fine.topk(min(2, classes), dim=0)
    clear = top.values[0] - top.values[-1] > 1e-5
    assert set(top.indices[0][clear].tolist()) <= set(found.tolist())
    floor = full.amax(dim=0).min() / 4
    assert (full[found].amax(dim=(1, 2)) >= floor * (1 - 1e-4)).all(), "classes that cannot win are left out"


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (17, 8), (16, 23)])
def test_what_wins_in_a_part_of_the_picture_is_found_whatever_the_grid(size):
    """Each of 40 classes has a small place of its own, beside one that is everywhere."""
    rng = torch.Generator().manual_seed(3)
    h, w = size
    masks = torch.zeros(41, h, w)
    masks[40] = 0.6
    masks.flatten(1)[torch.arange(40), torch.randint(h * w, (40,), generator=rng)] = 0.9
    class_probs = torch.eye(150)[:41] * 0.9 + 0.0005
    found, _ = QueryScores(class_probs, masks).contenders()
    assert set(all_maps(class_probs, masks).argmax(dim=0).flatten().tolist()) <= set(found.tolist())
    # what has nothing of its own is left out
    assert set(found.tolist()) <= set(range(41))


def test_most_classes_are_never_computed(monkeypatch):
    class_probs, mask_probs = probabilities(1, 100, 150, 8.0)
    computed = []
    plain = QueryScores.of
    monkeypatch.setattr(QueryScores, "of", lambda self, classes: computed.append(len(classes)) or plain(self, classes))
    # one query fills the picture: what says little everywhere has nothing to win
    mask_probs[0], class_probs[0] = 1.0, 0.0
    class_probs[0, 5], class_probs[1:] = 0.9, class_probs[1:] / 500
    found, _ = QueryScores(class_probs, mask_probs).contenders()
    assert computed[0] == FIRST and sum(computed) < 50 and 5 in found


@pytest.mark.parametrize("broken", [0, 1])
def test_what_is_not_a_number_counts_nothing(broken):
    pair = list(probabilities(2, 12, 9, 2.0))
    pair[broken][3] = math.nan
    classes, maps = QueryScores(*pair).contenders()
    assert len(classes) and not maps.isnan().any()
    given_maps = torch.rand(5, 4, 4)
    given_maps[2] = math.nan
    classes, maps = GivenScores(given_maps).contenders()
    assert 2 not in classes and not maps.isnan().any()

    logits = torch.randn(5, 4, 4)
    logits[2, 1, 1], logits[:, 3, 3] = math.nan, -math.inf
    scores = LogitScores(logits)
    assert not scores.contenders()[1].isnan().any() and not scores.of(torch.arange(5)).isnan().any()


@pytest.mark.parametrize("sharpness", [1.0, 4.0, 30.0])
@pytest.mark.parametrize("last", [False, True], ids=["NCHW", "NHWC"])
def test_of_logits_all_classes_that_can_win_are_taken(sharpness, last):
    random = torch.Generator().manual_seed(5)
    coarse = sharpness * torch.randn(1, 60, 3, 4, generator=random)
    logits = torch.nn.functional.interpolate(coarse, size=(24, 32), mode="bilinear")[0]
    if last:
        logits = logits.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    expected = logits.softmax(dim=0)
    scores = LogitScores(logits)
    classes, maps = scores.contenders()
    assert (scores.count, scores.grid_hw) == (60, (24, 32))
    assert torch.equal(classes, alive(expected)) and (sharpness < 30 or len(classes) < 30)
    assert torch.allclose(maps, expected[classes], rtol=0.01, atol=0)  # the others are left out of the sum
    assert torch.allclose(scores.of(torch.tensor([7, 59])), expected[[7, 59]], rtol=0.01, atol=1e-6)


def test_given_maps_are_given_back():
    maps = torch.rand(20, 4, 5) ** 8
    scores = GivenScores(maps)
    classes, found = scores.contenders()
    assert torch.equal(classes, alive(maps)) and torch.equal(found, maps[classes])
    assert (scores.count, scores.grid_hw) == (20, (4, 5))
