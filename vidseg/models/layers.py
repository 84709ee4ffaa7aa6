"""Small blocks shared by the backbones and decoders.

Three ways to join a convolution with its batch norm exist side by side because published checkpoints name their
weights three ways: `conv` + `bn`, `conv` + `norm`, and the convolution's own `weight` with `norm` inside it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Backbone(nn.Module):
    """Base of the networks that turn (B, 3, H, W) images into four maps, at strides 4, 8, 16 and 32."""

    out_channels: tuple[int, ...]
    """Widths of the four maps, finest first."""

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The parts that follow each other, the one that sees the image first."""
        raise NotImplementedError


class ConvBnRelu(nn.Module):
    """ReLU(BN(conv(x))), keys `conv.*` and `bn.*`; pads so that stride 1 keeps the size."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, ceil(H / stride), ceil(W / stride))."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class ConvNorm(nn.Module):
    """BN(conv(x)), with ReLU where asked for, keys `conv.*` and `norm.*`."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int, stride: int = 1, relu: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, ceil(H / stride), ceil(W / stride))."""
        x = self.norm(self.conv(x))
        return F.relu(x, inplace=True) if self.relu else x


class NormedConv2d(nn.Conv2d):
    """A convolution without bias that ends in its own batch norm, keys `weight` and `norm.*`; ReLU where asked for."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int, relu: bool) -> None:
        super().__init__(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W)."""
        x = self.norm(super().forward(x))
        return F.relu(x, inplace=True) if self.relu else x


class Mlp(nn.Module):
    """Linear layers with ReLU between them, keys `layers.N.*`."""

    def __init__(self, sizes: Sequence[int]) -> None:
        """`sizes` lists the width before, between and after the layers."""
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """(..., sizes[0]) -> (..., sizes[-1])."""
        for index, layer in enumerate(self.layers):
            x = layer(x) if index == 0 else layer(F.relu(x))
        return x


class Attention(nn.Module):
    """Multi-head attention, batch first, with the parameter names of `torch.nn.MultiheadAttention`.

    Written out because keys carry a position and values do not, so the three projections take different inputs, and
    because `scaled_dot_product_attention` picks the fused kernel of the device.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        assert width % heads == 0
        self.heads, self.head_width = heads, width // heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.xavier_uniform_(self.out_proj.weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, attend: Tensor | None = None) -> Tensor:
        """What each query gathers from the values.

        Args:
            query: (B, Q, C).
            key: (B, N, C).
            value: (B, N, C).
            attend: (B, Q, N) bool, True where a query may look; None looks everywhere.
        Returns:
            (B, Q, C).
        """
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            self._split_heads(F.linear(x, weight, bias))
            for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )
        mask = None if attend is None else attend.unsqueeze(1)  # one mask for all heads
        gathered = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.out_proj(gathered.transpose(1, 2).flatten(2))
        return out

    def _split_heads(self, x: Tensor) -> Tensor:
        # (B, N, C) -> (B, heads, N, C / heads)
        return x.view(x.shape[0], x.shape[1], self.heads, self.head_width).transpose(1, 2)


def sine_positions(height: int, width: int, channels: int, like: Tensor) -> Tensor:
    """Sine and cosine codes of the normalised row and column of each cell.

    Args:
        height: rows of the feature map.
        width: columns of the feature map.
        channels: divisible by 4; the first half codes the row, the second half the column.
        like: gives the device and the type.
    Returns:
        (1, height * width, channels), row by row.

    Source: Mask2Former `PositionEmbeddingSine(normalize=True)`. Rows and columns are coded apart and then spread,
    which needs height + width instead of height * width sines.
    """
    half = channels // 2
    steps = torch.arange(half, device=like.device, dtype=torch.float32)
    periods = 10000.0 ** (2 * torch.div(steps, 2, rounding_mode="floor") / half)

    def codes(length: int) -> Tensor:
        index = torch.arange(1, length + 1, device=like.device, dtype=torch.float32)
        angles = (index / (index[-1:] + 1e-6) * (2 * math.pi))[:, None] / periods
        return torch.stack((angles[:, 0::2].sin(), angles[:, 1::2].cos()), dim=2).flatten(1)

    rows = codes(height)[:, None].expand(height, width, half)
    columns = codes(width)[None].expand(height, width, half)
    return torch.cat((rows, columns), dim=2).flatten(0, 1)[None].to(like.dtype)
