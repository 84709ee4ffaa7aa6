"""The sparse computation against the full one: enlarge everything in float64, take the argmax."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from vidseg.frames import NO_LABEL
from vidseg.segmentation import upsampled_argmax
from vidseg.segmentation.upsampled_argmax import (
    Sureness,
    argmax_upsampled,
    argmax_upsampled_dense,
    sure_argmax_upsampled,
)

ROUNDING = 1e-5
"""Where the two best maps are closer than this, float32 may prefer either."""


def full(maps: torch.Tensor, size_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The label by the full computation, and by how much it wins."""
    fine = torch.nn.functional.interpolate(maps[None].double(), size=size_hw, mode="bilinear")[0]
    if len(fine) == 1:
        return np.zeros(size_hw, int), np.full(size_hw, np.inf)
    top = fine.topk(2, dim=0)
    return top.indices[0].numpy(), (top.values[0] - top.values[1]).numpy()


def assert_same_labels(labels: np.ndarray, maps: torch.Tensor, size_hw: tuple[int, int]) -> None:
    expected, margin = full(maps, size_hw)
    wrong = labels != expected
    assert not wrong[margin > ROUNDING].any(), f"{wrong.sum()} labels differ, largest margin {margin[wrong].max()}"
    assert wrong.mean() < 0.01, "ties must be rare in random maps"


def random_maps(n, h, w, seed, smooth):
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, n, max(1, h // smooth), max(1, w // smooth), generator=rng)
    maps = torch.nn.functional.interpolate(coarse, size=(h, w), mode="bicubic")[0]
    return (maps * 3 + 0.3 * torch.randn(n, h, w, generator=rng)).softmax(dim=0)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 40),
    grid=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    seed=st.integers(0, 10**6),
    smooth=st.integers(1, 6),
)
def test_labels_are_those_of_the_full_computation(n, grid, size, seed, smooth):
    maps = random_maps(n, *grid, seed, smooth)
    expected, margin = full(maps, size)
    for labels in (argmax_upsampled(maps.numpy(), size), argmax_upsampled_dense(maps, size)[0].numpy()):
        assert labels.shape == size and labels.dtype == np.uint8
        assert (labels == expected)[margin > ROUNDING].all()


@pytest.mark.parametrize(("grid", "size"), [((40, 64), (160, 256)), ((25, 33), (101, 77)), ((36, 64), (480, 854))])
def test_labels_of_150_classes_at_picture_size(grid, size):
    maps = random_maps(150, *grid, seed=3, smooth=6)
    assert_same_labels(argmax_upsampled(maps.numpy(), size), maps, size)
    assert_same_labels(argmax_upsampled_dense(maps, size)[0].numpy(), maps, size)


def test_a_map_that_wins_between_grid_points_but_at_none_of_them_is_found():
    # given two maps that swap the lead, and a third that is second everywhere
    maps = np.array([[[1.0, 0.0]], [[0.0, 1.0]], [[0.9, 0.9]]], dtype=np.float32)
    assert argmax_upsampled(maps, (1, 8))[0].tolist() == [0, 0, 2, 2, 2, 2, 1, 1]


def test_maps_may_be_negative_and_more_may_compete_than_are_enlarged_at_once(monkeypatch):
    monkeypatch.setattr("vidseg.segmentation.upsampled_argmax.CHUNK_VALUES", 1)
    maps = random_maps(12, 9, 14, seed=5, smooth=3).log()
    assert_same_labels(argmax_upsampled(maps.numpy(), (50, 71)), maps, (50, 71))


def test_only_cells_between_two_regions_are_enlarged(monkeypatch):
    enlarged = []
    largest = upsampled_argmax._largest
    monkeypatch.setattr(
        upsampled_argmax,
        "_largest",
        lambda corners, *rest: enlarged.append(corners.shape[1]) or largest(corners, *rest),
    )
    # the left half is sure, the right one nearly undecided
    maps = np.array([np.repeat([[1.0] * 6 + [0.5] * 6], 9, axis=0), np.repeat([[0.0] * 6 + [0.501] * 6], 9, axis=0)])
    labels = argmax_upsampled(maps.astype(np.float32), (72, 96))
    assert enlarged == [10], "one column of cells, with those above and below the grid"
    assert_same_labels(labels, torch.from_numpy(maps).float(), (72, 96))


def test_the_lower_index_wins_a_tie_everywhere():
    maps = np.zeros((5, 3, 4), dtype=np.float32)
    maps[3:] = 1
    assert (argmax_upsampled(maps, (11, 13)) == 3).all()


def test_maps_may_have_names():
    maps = random_maps(30, 9, 14, seed=7, smooth=2)
    names = np.random.default_rng(7).integers(0, 256, 30).astype(np.uint8)
    plain = argmax_upsampled(maps.numpy(), (50, 71))
    assert len(np.unique(plain)) > 5
    assert (argmax_upsampled(maps.numpy(), (50, 71), names=names) == names[plain]).all()


def test_dense_also_gives_the_winning_value():
    maps = random_maps(40, 6, 7, seed=1, smooth=2)  # more than one chunk
    labels, best = argmax_upsampled_dense(maps, (20, 30))
    fine = torch.nn.functional.interpolate(maps[None], size=(20, 30), mode="bilinear")[0]
    assert torch.allclose(best, fine.max(dim=0).values) and (labels == fine.argmax(dim=0)).all()


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 20),
    grid=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    seed=st.integers(0, 10**6),
    other=st.booleans(),
)
def test_shares_are_those_of_the_full_computation(n, grid, size, seed, other):
    maps = random_maps(n, *grid, seed, 3)
    scores = random_maps(n, *grid, seed + 1, 2) if other else maps
    total = scores.sum(dim=0) * 1.5
    expected, margin = full(maps, size)
    fine, whole = (F.interpolate(part[None].double(), size=size, mode="bilinear")[0] for part in (scores, total[None]))
    share = (fine.numpy() / whole.numpy())[expected, *np.ogrid[: size[0], : size[1]]]
    least = float(np.median(share)) + 1e-4
    sureness = Sureness(total, scores if other else None, least, np.arange(256, dtype=np.uint8))
    labels, levels = sure_argmax_upsampled(maps.numpy(), size, sureness)
    assert levels is not None
    clear = (margin > ROUNDING) & (np.abs(share - least) > ROUNDING)
    assert (labels == np.where(share < least, NO_LABEL, expected))[clear].all()
    assert (np.abs(levels - 255 * share) < 0.51)[margin > ROUNDING].all()
