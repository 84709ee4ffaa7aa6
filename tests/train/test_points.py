"""Sampling of masks at points, against loops in plain Python."""

import math

import numpy as np
import pytest
import torch

from vidseg.train.points import random_points, sample_points, uncertain_points

pytestmark = pytest.mark.usefixtures("float64")


def bilinear(grid, x, y):
    """Value of a (h, w) grid at (x, y) in 0..1; cell centres carry the values, outside is 0."""
    h, w = len(grid), len(grid[0])
    column, row = x * w - 0.5, y * h - 0.5
    left, top = math.floor(column), math.floor(row)
    total = 0.0
    for r, share_r in ((top, 1 - (row - top)), (top + 1, row - top)):
        for c, share_c in ((left, 1 - (column - left)), (left + 1, column - left)):
            if 0 <= r < h and 0 <= c < w:
                total += share_r * share_c * grid[r][c]
    return total


def test_values_between_cells_are_those_of_a_bilinear_loop():
    generator = torch.Generator().manual_seed(1)
    maps = torch.randn(3, 4, 6, generator=generator)
    places = random_points(3, 20, generator)
    found = sample_points(maps, places)
    for n in range(3):
        expected = [bilinear(maps[n].tolist(), x, y) for x, y in places[n].tolist()]
        np.testing.assert_allclose(found[n], expected, rtol=1e-12, atol=1e-12)


def test_three_quarters_of_the_points_are_the_least_certain_candidates():
    mask = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(3))
    chosen = uncertain_points(mask, 40, torch.Generator().manual_seed(7), oversample=3.0, importance=0.75)
    assert chosen.shape == (2, 40, 2)

    generator = torch.Generator().manual_seed(7)  # the same draws again
    candidates, rest = random_points(2, 120, generator), random_points(2, 10, generator)
    for n in range(2):
        by_doubt = sorted(candidates[n].tolist(), key=lambda p: abs(bilinear(mask[n].tolist(), *p)))
        assert sorted(chosen[n, :30].tolist()) == sorted(by_doubt[:30])
    assert torch.equal(chosen[:, 30:], rest)


def test_points_are_repeated_by_their_seed_and_lie_in_the_picture():
    first, again, other = (random_points(2, 50, torch.Generator().manual_seed(s)) for s in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.min() >= 0 and first.max() < 1


def test_no_masks_give_no_points():
    empty = torch.zeros(0, 4, 4)
    places = uncertain_points(empty, 8, torch.Generator().manual_seed(0), oversample=3.0, importance=0.75)
    assert places.shape == (0, 8, 2)
    assert sample_points(empty, places).shape == (0, 8)


@pytest.mark.parametrize("importance", [0.0, 1.0])
def test_all_or_none_of_the_points_may_be_important(importance):
    mask = torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(2))
    places = uncertain_points(mask, 9, torch.Generator().manual_seed(0), oversample=2.0, importance=importance)
    generator = torch.Generator().manual_seed(0)  # the same draws again
    candidates = random_points(1, 18, generator)
    if importance:
        by_doubt = sorted(candidates[0].tolist(), key=lambda p: abs(bilinear(mask[0].tolist(), *p)))
        assert sorted(places[0].tolist()) == sorted(by_doubt[:9])
    else:
        assert torch.equal(places, random_points(1, 9, generator))
