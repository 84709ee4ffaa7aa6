"""Weights in the file that is exported."""

import pytest
import torch

from vidseg import zoo
from vidseg.errors import CheckpointError


@pytest.mark.parametrize("value", [1e5, -1e5, float("nan"), float("inf")])
def test_what_half_precision_cannot_hold_is_not_written(tmp_path, value):
    path = tmp_path / "weights.safetensors"
    with pytest.raises(CheckpointError, match=r"'b' contains values that half precision cannot represent"):
        zoo.export_weights(path, {"a": torch.ones(2), "b": torch.tensor([0.5, value])})
    assert not path.exists()


def test_the_largest_half_is_written(tmp_path):
    path = tmp_path / "weights.safetensors"
    zoo.export_weights(path, {"a": torch.tensor([65504.0]), "num_batches_tracked": torch.tensor(10**6)})
    (tensor,) = zoo.read_checkpoint(path).values()
    assert tensor.dtype == torch.float16 and tensor.item() == 65504
