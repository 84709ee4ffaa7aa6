"""Batch norms merged into the convolutions before them, which makes the same network with fewer steps."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import nn

from vidseg.models.layers import NormedConv2d


def fold_batch_norms(model: nn.Module) -> nn.Module:
    """A copy of a model in eval mode without batch norms; its results differ by rounding only.

    A batch norm is folded when it is registered right after a convolution in the same module, or is the `norm` of a
    `NormedConv2d`: in all models of this project those are the ones that follow each other in `forward` as well. It
    is replaced by an identity. The copy is for inference: its weights no longer fit a checkpoint.
    """
    folded = copy.deepcopy(model).eval()
    for parent in list(folded.modules()):
        if isinstance(parent, NormedConv2d):
            _fold(parent, parent.norm)
            parent.add_module("norm", nn.Identity())
            continue
        for (_, conv), (name, norm) in pairwise(list(parent.named_children())):
            if type(conv) is nn.Conv2d and isinstance(norm, nn.BatchNorm2d):
                _fold(conv, norm)
                parent.add_module(name, nn.Identity())
    return folded


@torch.no_grad()
def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Make `conv` give what `norm(conv(x))` gives."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    conv.weight.mul_(scale.view(-1, 1, 1, 1))
    conv.bias = nn.Parameter(bias * scale + norm.bias)
