"""Folded networks against the networks they were made of."""

import pytest
import torch
from torch import nn

from tests.rounding import assert_rounds_alike, in_float64
from vidseg.models import create_model
from vidseg.models.layers import NormedConv2d
from vidseg.runtimes.fold import fold_batch_norms


def with_statistics(model):
    """`model` with batch norms that do something, in eval mode."""
    generator = torch.Generator().manual_seed(3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.7, 1.3, generator=generator)
            module.bias.data.uniform_(-0.2, 0.2, generator=generator)
            module.running_mean.uniform_(-0.2, 0.2, generator=generator)
            module.running_var.uniform_(0.7, 1.3, generator=generator)
    return model.eval()


def batch_norms(model):
    return [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize("name", ["fai-m2f-n-ade", "fai-m2f-l-ade", "bisenetformer-s-ade"])
def test_every_batch_norm_is_folded_and_the_maps_stay_the_same(name):
    torch.manual_seed(0)
    decoder = with_statistics(create_model(name).pixel_decoder)
    folded = fold_batch_norms(decoder)
    assert batch_norms(decoder) and not batch_norms(folded)
    images = torch.randn(1, 3, 70, 96)
    with torch.inference_mode():
        features, levels = decoder(images)
        assert_rounds_alike(folded(images), (features, levels), in_float64(decoder)(images.double()))


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Conv2d(3, 4, 3, bias=True), nn.BatchNorm2d(4)),
        nn.Sequential(nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.BatchNorm2d(4)),
        NormedConv2d(3, 4, kernel=3, relu=True),
    ],
    ids=["bias", "depthwise", "norm inside"],
)
def test_convolutions_of_each_kind_take_their_norm_in(module):
    module = with_statistics(module)
    first = next(module.parameters())
    images = torch.randn(2, first.shape[1] if first.shape[1] > 1 else 4, 9, 11)
    folded = fold_batch_norms(module)
    with torch.inference_mode():
        assert_rounds_alike(folded(images), module(images), in_float64(module)(images.double()))
    assert not batch_norms(folded)


def test_a_norm_that_follows_something_else_stays():
    module = with_statistics(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)))
    assert batch_norms(fold_batch_norms(module)) == ["2"]


def test_the_original_keeps_its_norms_and_weights():
    module = with_statistics(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    before = {key: value.clone() for key, value in module.state_dict().items()}
    fold_batch_norms(module)
    after = module.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
