"""A network of half the width is widened without a change of what it puts out."""

from pathlib import Path

import pytest
import torch

from tests.rounding import assert_rounds_alike, in_float64
from vidseg.models import create_model
from vidseg.train.initial import initial_model
from vidseg.train.widen import is_half_as_wide, widened


@pytest.fixture(scope="module")
def narrow():
    """A nano whose weights, statistics and biases are all its own, as after training."""
    torch.manual_seed(2)
    model = create_model("fai-m2f-n-ade", 9).eval()
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if key.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.ndim == 1 and "criterion" not in key:
                tensor.add_(0.3 * torch.randn(tensor.shape))
    return model


@pytest.fixture(scope="module")
def checkpoint(narrow, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("widen") / "nano.pt"
    torch.save(narrow.state_dict(), path)
    return path


@pytest.mark.parametrize("size", [(96, 128), (70, 101)])
def test_the_wide_network_puts_out_the_same(narrow, checkpoint, size):
    said: list[str] = []
    wide = initial_model("fai-m2f-s-ade", checkpoint, num_classes=9, seed=1, announce=said.append).eval()
    images = torch.randn(2, 3, *size)
    with torch.inference_mode():
        expected, found = narrow.forward_queries(images), wide.forward_queries(images)
        exact = in_float64(narrow).forward_queries(images.double())
    for name in ("class_logits", "mask_logits"):
        assert getattr(expected, name).std() > 1e-3
        assert_rounds_alike(getattr(found, name), getattr(expected, name), getattr(exact, name))
    assert said == [f"{checkpoint} is of a network half as wide: widened, with the same output"]


def test_the_two_copies_of_a_channel_are_read_with_different_weights(narrow):
    wide = create_model("fai-m2f-s-ade", 9).state_dict()
    tensors = widened(narrow.state_dict(), wide, seed=0)
    for key, tensor in tensors.items():
        if tensor.ndim == 4 and tensor.shape[1] == 2 * narrow.state_dict()[key].shape[1]:
            assert not torch.allclose(tensor[:, 0::2], tensor[:, 1::2]), key
    again, other = (widened(narrow.state_dict(), wide, seed=seed) for seed in (0, 1))
    assert all(torch.equal(again[key], tensors[key]) for key in tensors)
    assert any(not torch.equal(other[key], tensors[key]) for key in tensors)


def test_with_another_number_of_classes_the_classifier_starts_random(checkpoint):
    said: list[str] = []
    wide = initial_model("fai-m2f-s-ade", checkpoint, num_classes=19, seed=0, announce=said.append)
    assert wide.num_classes == 19 and len(said) == 2 and "has 9 classes" in said[1]


@pytest.mark.parametrize(
    ("small", "large"),
    [("fai-m2f-n-ade", "fai-m2f-n-ade"), ("fai-m2f-s-ade", "fai-m2f-n-ade"), ("fai-m2f-s-ade", "fai-m2f-l-ade")],
)
def test_other_pairs_do_not_fit(small, large):
    assert not is_half_as_wide(create_model(small, 9).state_dict(), create_model(large, 9).state_dict())
