"""Weights of a Mask2Former turned into weights of one twice as wide that puts out the same.

Method: Net2Net (arXiv:1511.05641). Every channel is there twice, side by side, and what reads a channel reads its two
copies with weights that add up to the one it had. How a weight is shared out is random, so the copies learn different
things.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from vidseg.zoo.checkpoint import is_optional

_EMBEDDINGS = ("query_feat.weight", "query_embed.weight")
_CLASSIFIER = "forward_prediction_heads.classifier."
_LAST_OF_MASKS = "forward_prediction_heads.mask_classifier.layers.2."


def is_half_as_wide(narrow: Mapping[str, Tensor], wide: Mapping[str, Tensor]) -> bool:
    """Whether one state dict has the tensors of the other, some sides half as long; the classes may differ."""
    weights = _weights(wide)
    if not narrow.keys() >= set(weights):
        return False
    shapes = [(narrow[key].shape[_CLASSIFIER in key :], wide[key].shape[_CLASSIFIER in key :]) for key in weights]
    return any(old != new for old, new in shapes) and all(
        len(old) == len(new) and all(after in (before, 2 * before) for before, after in zip(old, new, strict=True))
        for old, new in shapes
    )


def widened(narrow: Mapping[str, Tensor], wide: Mapping[str, Tensor], *, seed: int) -> dict[str, Tensor]:
    """Weights for the wide network, in float32, with which it puts out what the narrow one does, but for rounding.

    Without counters and the buffers of the loss. The number of classes stays that of `narrow`.

    Args:
        narrow: state dict.
        wide: state dict, for its shapes; `is_half_as_wide` of the two.
        seed: of how weights are shared out between the two copies of a channel.
    """
    shares = _Shares(torch.Generator().manual_seed(seed))
    return {key: _wider(key, narrow[key].float(), wide[key], shares) for key in _weights(wide)}


def _weights(state: Mapping[str, Tensor]) -> list[str]:
    return [key for key in state if not is_optional(key)]


def _wider(key: str, tensor: Tensor, wide: Tensor, shares: _Shares) -> Tensor:
    if key.endswith(_EMBEDDINGS):
        return _doubled(tensor, dim=1)
    if "multihead_attn.in_proj" in key:
        query, keys, values = tensor.chunk(3)
        return torch.cat((_query(query, shares), _of_memory(keys, None), _of_memory(values, shares)))
    if "self_attn.in_proj" in key:
        query, keys, values = tensor.chunk(3)
        return torch.cat((_query(query, shares), *(shares.split(_doubled(part)) for part in (keys, values))))
    if "input_proj" in key:
        return shares.split(tensor)[_memory_channels(len(tensor))]
    doubled = _doubled(tensor) if _CLASSIFIER not in key and len(wide) != len(tensor) else tensor
    if tensor.ndim > 1 and wide.shape[1] != tensor.shape[1]:
        doubled = shares.split(doubled)
    # a mask is the product of two vectors, which now have every term twice
    return doubled / 2 if _LAST_OF_MASKS in key else doubled


def _doubled(tensor: Tensor, dim: int = 0) -> Tensor:
    """0 1 2 -> 0 0 1 1 2 2."""
    return tensor.repeat_interleave(2, dim=dim)


class _Shares:
    """Shares weights out between the two copies of an input."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def split(self, tensor: Tensor) -> Tensor:
        """Weights (out, in, ...) for inputs that are there twice, side by side; a bias (out,) as it is."""
        return tensor if tensor.ndim == 1 else torch.stack(self.parts(tensor), dim=2).flatten(1, 2)

    def parts(self, tensor: Tensor) -> tuple[Tensor, Tensor]:
        """Two tensors with this sum."""
        share = torch.rand(tensor.shape, generator=self._generator)
        return tensor * share, tensor * (1 - share)


def _query(tensor: Tensor, shares: _Shares) -> Tensor:
    """Of attention: query x key has every term twice and is divided by the root of twice the length."""
    return shares.split(_doubled(tensor)) / math.sqrt(2)


def _memory_channels(width: int) -> Tensor:
    """(2 x width,) which narrow channel each one copies of those that queries look at: 0 1 0 1 2 3 2 3 ...

    Sine and cosine of one wavelength after the other are added to these channels in pairs. Every other wavelength of
    the wide network is one of the narrow network, so pairs stay together and the first of two has the right one.
    """
    return torch.arange(width).view(-1, 1, 2).expand(-1, 2, 2).flatten()


def _of_memory(tensor: Tensor, shares: _Shares | None) -> Tensor:
    """Bias, or weights (out, in) of inputs in the order of `_memory_channels`; without shares all in the first copy."""
    tensor = _doubled(tensor)
    if tensor.ndim == 1:
        return tensor
    pairs = tensor.view(len(tensor), -1, 2)
    first, second = (pairs, torch.zeros_like(pairs)) if shares is None else shares.parts(pairs)
    return torch.stack((first, second), dim=2).flatten(1)
