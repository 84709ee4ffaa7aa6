"""Labels of full-size scores without enlarging maps: the same as enlarging them all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vidseg.segmentation.large_grid import argmax_of_large, is_large, pooled
from vidseg.segmentation.upsampled_argmax import argmax_upsampled_dense

NAMES = np.arange(20, dtype=np.uint8)


def scores(size_hw, classes=20, seed=0):
    coarse = torch.randn(1, classes, 9, 12, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=size_hw, mode="bicubic")[0]


@pytest.mark.parametrize("size_hw", [(48, 64), (96, 128), (100, 131), (37, 50)])
def test_the_same_labels_as_when_all_maps_are_enlarged(size_hw):
    maps = scores((48, 64))
    expected = argmax_upsampled_dense(maps, size_hw)[0].numpy()
    found = argmax_of_large(maps, size_hw, NAMES)
    assert found.shape == size_hw and (found != expected).mean() < 1e-3  # but for ties within rounding
    assert len(np.unique(expected)) > 5


def test_a_class_that_wins_between_cells_only_is_found():
    maps = torch.zeros(3, 1, 2)
    maps[0, 0], maps[1, 0], maps[2, 0] = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor([0.7, 0.7])
    assert argmax_of_large(maps, (1, 8), NAMES[:3]).tolist() == [[0, 0, 0, 2, 2, 1, 1, 1]]


def test_the_lower_of_two_equal_maps_wins_in_either_layout():
    maps = torch.randint(0, 3, (9, 40, 50), generator=torch.Generator().manual_seed(1)).float()
    maps[:, 0] = -torch.inf
    expected = maps.numpy().argmax(axis=0)
    for given in (maps, maps.permute(1, 2, 0).contiguous().permute(2, 0, 1)):
        assert np.array_equal(argmax_of_large(given, (40, 50), NAMES[:9]), expected)


def test_names_replace_indices_and_views_are_taken_as_they_are():
    maps = scores((30, 40)).permute(1, 2, 0).contiguous().permute(2, 0, 1)  # as NHWC comes
    assert np.array_equal(argmax_of_large(maps, (30, 40), NAMES[::-1].copy()), 19 - maps.argmax(dim=0).numpy())


def test_smoothing_gets_a_grid_that_it_can_afford():
    assert pooled(scores((160, 160))).shape == (20, 160, 160)
    maps = scores((360, 640))
    found = pooled(maps)
    assert found.shape[1] * found.shape[2] < 4 * 160 * 160
    assert torch.allclose(found[:, 0, 0], maps[:, :3, :3].mean(dim=(1, 2)), atol=0.05)
    last = pooled(maps.permute(1, 2, 0).contiguous().permute(2, 0, 1))
    assert torch.equal(last, found) and last.stride(0) == 1
    ramp = torch.arange(360 * 640, dtype=torch.float64).reshape(1, 360, 640)
    expected = torch.nn.functional.interpolate(ramp[None], size=(90, 160), mode="bilinear")[0]
    assert torch.equal(pooled(ramp), expected) and torch.equal(pooled(ramp[:, :270, :480])[0, 0, :2], ramp[0, 1, 1:5:3])
    corners = pooled(maps, align_corners=True)
    assert torch.allclose(corners[:, 0, 0], maps[:, 0, 0]) and torch.allclose(corners[:, -1, -1], maps[:, -1, -1])
    assert is_large(maps, (720, 1280)) and not is_large(scores((90, 160)), (720, 1280))
