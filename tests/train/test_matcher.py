"""The assignment of queries to regions: costs against loops, the choice against all permutations."""

import itertools
import math

import numpy as np
import pytest
import torch

from vidseg.train.matcher import assign, matching_cost

pytestmark = pytest.mark.usefixtures("float64")


def slow_cost(class_probs, mask_logits, masks, known):
    """The three costs of Mask2Former for every pair, number by number, at the points that count."""
    table = []
    for said, mask in zip(class_probs.tolist(), mask_logits.tolist(), strict=True):
        row = []
        for prob, truth, counts in zip(said, masks.tolist(), known.tolist(), strict=True):
            points = [(1 / (1 + math.exp(-v)), t) for v, t, counted in zip(mask, truth, counts, strict=True) if counted]
            bce = -sum(t * math.log(p) + (1 - t) * math.log(1 - p) for p, t in points) / len(points)
            overlap = sum(p * t for p, t in points)
            dice = 1 - (2 * overlap + 1) / (sum(p for p, _ in points) + sum(t for _, t in points) + 1)
            row.append(-2 * prob + 5 * bce + 5 * dice)
        table.append(row)
    return np.array(table)


def case(seed, queries=6, regions=4, points=15):
    generator = torch.Generator().manual_seed(seed)
    masks = torch.rand(regions, points, generator=generator).round()
    known = (torch.rand(regions, points, generator=generator) > 0.2).double()
    return (
        torch.rand(queries, regions, generator=generator),
        3 * torch.randn(queries, points, generator=generator),
        masks * known,
        known,
    )


@pytest.mark.parametrize("seed", range(4))
def test_costs_are_those_of_a_loop_over_all_pairs(seed):
    arguments = case(seed)
    np.testing.assert_allclose(matching_cost(*arguments), slow_cost(*arguments), rtol=1e-12, atol=1e-12)


def test_costs_of_very_sure_masks_stay_finite():
    class_probs, mask_logits, masks, known = case(0)
    assert torch.isfinite(matching_cost(class_probs, 1e4 * mask_logits, masks, known)).all()


def test_costs_of_a_region_of_which_nothing_is_known_stay_finite():
    class_probs, mask_logits, masks, known = case(0)
    known[1] = masks[1] = 0
    assert torch.isfinite(matching_cost(class_probs, mask_logits, masks, known)).all()


@pytest.mark.parametrize(("queries", "regions"), [(6, 4), (5, 5), (3, 5), (4, 1)])
@pytest.mark.parametrize("seed", range(5))
def test_no_permutation_is_cheaper_than_the_assignment(queries, regions, seed):
    cost = matching_cost(*case(seed, queries, regions)).float().double()  # as exact as the assignment takes it
    rows, columns = assign(cost)
    count = min(queries, regions)
    assert len(rows) == len(columns) == len(set(rows.tolist())) == len(set(columns.tolist())) == count
    table = cost.tolist()
    if queries >= regions:
        best = min(
            sum(table[row][column] for column, row in enumerate(chosen))
            for chosen in itertools.permutations(range(queries), regions)
        )
    else:
        best = min(
            sum(table[row][column] for row, column in enumerate(chosen))
            for chosen in itertools.permutations(range(regions), queries)
        )
    assert cost[rows, columns].sum().item() == pytest.approx(best, abs=1e-12)


def test_an_image_without_regions_gets_no_pairs():
    rows, columns = assign(torch.zeros(6, 0))
    assert len(rows) == len(columns) == 0


def test_costs_that_are_no_numbers_are_assigned_last():
    cost = torch.tensor([[float("nan"), float("nan")], [1.0, 5.0], [2.0, 1.0]])
    rows, columns = assign(cost)
    assert dict(zip(rows.tolist(), columns.tolist(), strict=True)) == {1: 0, 2: 1}
