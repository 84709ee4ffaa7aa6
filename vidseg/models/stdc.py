"""STDC backbone (short-term dense concatenate).

Paper: Rethinking BiSeNet For Real-time Semantic Segmentation (arXiv:2104.13188).
Reference: github.com/MichaelFan01/STDC-Seg and github.com/FocoosAI/focoos (MIT), whose weight names are kept.
Differences: only the "cat" block of four convolutions exists; the widths follow from one base number.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidseg.models.layers import Backbone, ConvBnRelu


class CatBlock(nn.Module):
    """Concatenates the outputs of four convolutions, each fed by the one before, of 1/2, 1/4, 1/8, 1/8 the width."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        half, quarter, eighth = out_channels // 2, out_channels // 4, out_channels // 8
        self.conv_list = nn.ModuleList(
            (
                ConvBnRelu(in_channels, half, kernel=1),
                ConvBnRelu(half, quarter),
                ConvBnRelu(quarter, eighth),
                ConvBnRelu(eighth, eighth),
            )
        )
        self.avd_layer: nn.Module | None = None
        self.skip: nn.Module | None = None
        if stride == 2:
            self.avd_layer = nn.Sequential(
                nn.Conv2d(half, half, 3, stride=2, padding=1, groups=half, bias=False), nn.BatchNorm2d(half)
            )
            self.skip = nn.AvgPool2d(3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, ceil(H / stride), ceil(W / stride))."""
        first = self.conv_list[0](x)
        x = first if self.avd_layer is None else self.avd_layer(first)
        parts = [first if self.skip is None else self.skip(first)]
        for conv in list(self.conv_list)[1:]:
            x = conv(x)
            parts.append(x)
        return torch.cat(parts, dim=1)


class Stdc(Backbone):
    """Four feature maps at strides 4, 8, 16 and 32.

    Their widths are base x (1, 4, 8, 16).
    """

    def __init__(self, *, base: int, blocks: Sequence[int]) -> None:
        """`base` is the width at stride 4 (published: 64); `blocks` counts those at strides 8, 16 and 32."""
        super().__init__()
        self.out_channels = (base, base * 4, base * 8, base * 16)
        features: list[nn.Module] = [ConvBnRelu(3, base // 2, stride=2), ConvBnRelu(base // 2, base, stride=2)]
        ends = [len(features)]
        channels = base
        for width, count in zip(self.out_channels[1:], blocks, strict=True):
            for index in range(count):
                features.append(CatBlock(channels, width, stride=2 if index == 0 else 1))
                channels = width
            ends.append(len(features))
        self.features = nn.Sequential(*features)
        self._ends = tuple(ends)

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The stem and the blocks or stages after it."""
        return tuple(self.features)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) -> four maps, finest first; each side is ceil(side / stride)."""
        outputs = []
        for index, block in enumerate(self.features, start=1):
            x = block(x)
            if index in self._ends:
                outputs.append(x)
        return tuple(outputs)
