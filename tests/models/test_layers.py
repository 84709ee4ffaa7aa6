"""Building blocks against oracles: torch's own attention, a slow loop, the definition of a stride."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.rounding import TIMES, assert_rounds_alike, in_float64
from vidseg.models.layers import Attention, Backbone, sine_positions
from vidseg.models.resnet import ResNet
from vidseg.models.stdc import Stdc
from vidseg.models.transformer_decoder import PredictionHeads, QueryDecoder

DTYPES = (torch.float32, torch.float64)


def test_attention_equals_torch_multihead_attention() -> None:
    torch.manual_seed(0)
    oracle = nn.MultiheadAttention(32, 4, batch_first=True)
    nn.init.normal_(oracle.in_proj_bias)
    attention = Attention(32, 4)
    attention.load_state_dict(oracle.state_dict())
    query, key, value = torch.randn(2, 5, 32), torch.randn(2, 9, 32), torch.randn(2, 9, 32)
    attend = torch.rand(2, 5, 9) > 0.4
    attend[..., 0] = True
    given, exact = (query, key, value), (query.double(), key.double(), value.double())
    masked = {"attn_mask": ~attend.repeat_interleave(4, dim=0), "need_weights": False}
    plain, truth = oracle(*given, **masked)[0], in_float64(oracle)(*exact, **masked)[0]
    assert_rounds_alike(attention(*given, attend), plain, truth)
    plain, truth = oracle(*given, need_weights=False)[0], in_float64(oracle)(*exact, need_weights=False)[0]
    assert_rounds_alike(attention(*given), plain, truth)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5)])
def test_positions_equal_a_slow_loop(height: int, width: int) -> None:
    channels = 8
    expected = torch.empty(height, width, channels, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            for offset, index, length in ((0, y, height), (channels // 2, x, width)):
                for c in range(channels // 2):
                    period = 10000 ** (2 * (c // 2) / (channels // 2))
                    angle = (index + 1) / (length + 1e-6) * 2 * math.pi / period
                    expected[y, x, offset + c] = math.sin(angle) if c % 2 == 0 else math.cos(angle)
    found, exact = (sine_positions(height, width, channels, like=torch.zeros((), dtype=dtype)) for dtype in DTYPES)
    torch.testing.assert_close(exact, expected.flatten(0, 1)[None], rtol=0, atol=1e-6)
    # an angle of up to 2 pi is given in steps of eps times that
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=TIMES * 2 * math.pi * torch.finfo(found.dtype).eps)


@pytest.mark.parametrize(
    "backbone", [Stdc(base=16, blocks=(2, 2, 2)), Stdc(base=16, blocks=(4, 5, 3)), ResNet(depth=50)]
)
@pytest.mark.parametrize("size", [(32, 64), (33, 65), (47, 101)])
def test_backbone_maps_round_up_at_every_stride(backbone: Backbone, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        maps = backbone.eval()(torch.zeros(1, 3, *size))
    assert [tuple(level.shape) for level in maps] == [
        (1, channels, -(-size[0] // stride), -(-size[1] // stride))
        for channels, stride in zip(backbone.out_channels, (4, 8, 16, 32), strict=True)
    ]


def test_shrinking_features_first_gives_the_masks_of_shrinking_masks_afterwards() -> None:
    torch.manual_seed(0)
    heads = PredictionHeads(16, 8, num_classes=3)
    queries, features = torch.randn(2, 5, 16), torch.randn(2, 8, 17, 25)
    shrink = {"size": (3, 4), "mode": "bilinear", "align_corners": False}
    afterwards = F.interpolate(heads(queries, features).mask_logits, **shrink)
    first = heads.masks(queries, F.interpolate(features, **shrink))
    exact = F.interpolate(in_float64(heads)(queries.double(), features.double()).mask_logits, **shrink)
    assert_rounds_alike(first, afterwards, exact)


def make_decoder() -> QueryDecoder:
    """A small decoder of one layer, without randomness."""
    torch.manual_seed(0)
    return QueryDecoder(
        num_classes=3,
        num_queries=4,
        level_channels=8,
        mask_channels=8,
        width=16,
        heads=2,
        feedforward=16,
        layers=1,
        max_levels=3,
    ).eval()


def test_queries_do_not_see_cells_outside_their_masks() -> None:
    decoder = make_decoder()
    embeddings = decoder.forward_prediction_heads.mask_classifier.layers[-1]
    assert isinstance(embeddings, nn.Linear)
    with torch.no_grad():  # every query's mask is the sign of the first feature
        embeddings.weight.zero_()
        embeddings.bias.copy_(torch.eye(8)[0])
    features = torch.zeros(1, 8, 4, 4)
    features[:, 0, :2], features[:, 0, 2:] = 1, -1  # the upper half is inside
    level = torch.randn(1, 8, 4, 4)
    outside, inside = level.clone(), level.clone()
    outside[:, :, 3] += 5
    inside[:, :, 0] += 5
    with torch.inference_mode():
        before, same, other = (decoder([x], features).class_logits for x in (level, outside, inside))
    assert torch.equal(before, same)
    assert not torch.allclose(before, other, atol=1e-3)


def test_queries_with_empty_masks_see_everything() -> None:
    decoder = make_decoder()
    embeddings = decoder.forward_prediction_heads.mask_classifier.layers[-1]
    assert isinstance(embeddings, nn.Linear)
    with torch.no_grad():
        embeddings.weight.zero_()
        embeddings.bias.copy_(torch.eye(8)[0])
    empty, full = torch.full((1, 8, 4, 4), -1.0), torch.full((1, 8, 4, 4), 1.0)
    level = torch.randn(1, 8, 4, 4)
    with torch.inference_mode():
        assert torch.equal(decoder([level], empty).class_logits, decoder([level], full).class_logits)
