import numpy as np
import pytest

from tests.data.folders import make_dataset
from vidseg.data.augment import AugmentOptions
from vidseg.data.folder import FolderDataset
from vidseg.data.mixture import Mixture, draw_order


def test_every_picture_comes_once_per_round():
    order = draw_order([5], [1], 15, seed=3)
    rounds = [sorted(order[start : start + 5, 1].tolist()) for start in (0, 5, 10)]
    assert rounds == [[0, 1, 2, 3, 4]] * 3
    assert order[:5, 1].tolist() != order[5:10, 1].tolist() or order[:5, 1].tolist() != order[10:, 1].tolist()


def test_shares_decide_how_often_a_dataset_is_drawn():
    order = draw_order([100, 3, 50], [0.25, 0.75, 0], 4000, seed=0)
    counts = np.bincount(order[:, 0], minlength=3)
    assert counts[0] == pytest.approx(1000, abs=120) and counts[2] == 0
    assert np.bincount(order[order[:, 0] == 1, 1]).std() < 1  # each of the three equally often


def test_a_longer_row_starts_with_the_shorter_one():
    assert np.array_equal(draw_order([7, 4], [1, 2], 200, seed=5)[:30], draw_order([7, 4], [1, 2], 30, seed=5))
    assert not np.array_equal(draw_order([7, 4], [1, 2], 30, seed=6), draw_order([7, 4], [1, 2], 30, seed=5))


def test_the_same_number_gives_the_same_crop(tmp_path):
    datasets = [FolderDataset(make_dataset(tmp_path / "a")), FolderDataset(make_dataset(tmp_path / "b", soft=True))]
    options = AugmentOptions(crop_hw=(64, 64))
    first, second = (Mixture(datasets, options, count=10, seed=1) for _ in range(2))
    assert len(first) == 10
    assert np.array_equal(first[7].image, second[7].image)
    assert not np.array_equal(first[7].image, first[8].image)
