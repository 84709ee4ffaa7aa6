"""ResNet backbone of 50 or 101 layers, variant d.

Papers: Deep Residual Learning (arXiv:1512.03385); Bag of Tricks (arXiv:1812.01187) for variant d: three 3x3
convolutions instead of one 7x7, and average pooling in front of the 1x1 shortcut convolution.
Reference: github.com/FocoosAI/focoos (MIT), whose weight names are kept.
"""

from __future__ import annotations

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from vidseg.models.layers import Backbone, ConvNorm

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Depth -> number of blocks at strides 4, 8, 16 and 32."""

EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions plus a shortcut; the first block of a stage has a learned shortcut."""

    def __init__(self, in_channels: int, width: int, *, stride: int, first: bool) -> None:
        super().__init__()
        out_channels = width * EXPANSION
        self.branch2a = ConvNorm(in_channels, width, kernel=1, relu=True)
        self.branch2b = ConvNorm(width, width, kernel=3, stride=stride, relu=True)
        self.branch2c = ConvNorm(width, out_channels, kernel=1, relu=False)
        self.short: nn.Module | None = None
        if first:
            conv = ConvNorm(in_channels, out_channels, kernel=1, relu=False)
            # ceil_mode keeps odd sizes in step with the strided 3x3 convolution
            pool = nn.AvgPool2d(2, 2, ceil_mode=True)
            self.short = conv if stride == 1 else nn.Sequential(OrderedDict(pool=pool, conv=conv))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, 4 * width, ceil(H / stride), ceil(W / stride))."""
        out = self.branch2c(self.branch2b(self.branch2a(x)))
        out = out + (x if self.short is None else self.short(x))
        return F.relu(out, inplace=True)


class Stage(nn.Module):
    """Blocks that work at one stride, keys `blocks.N.*`."""

    def __init__(self, in_channels: int, width: int, *, count: int, stride: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            Bottleneck(in_channels, width, stride=stride, first=True),
            *(Bottleneck(width * EXPANSION, width, stride=1, first=False) for _ in range(count - 1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, 4 * width, ceil(H / stride), ceil(W / stride))."""
        out: Tensor = self.blocks(x)
        return out


class ResNet(Backbone):
    """Four feature maps at strides 4, 8, 16 and 32.

    Their widths are 256, 512, 1024, 2048.
    """

    def __init__(self, *, depth: int) -> None:
        super().__init__()
        widths = (64, 128, 256, 512)
        self.out_channels = tuple(width * EXPANSION for width in widths)
        self.conv1 = nn.Sequential(
            OrderedDict(
                conv1_1=ConvNorm(3, 32, kernel=3, stride=2, relu=True),
                conv1_2=ConvNorm(32, 32, kernel=3, relu=True),
                conv1_3=ConvNorm(32, 64, kernel=3, relu=True),
            )
        )
        inputs = (64, *self.out_channels[:-1])
        self.res_layers = nn.ModuleList(
            Stage(channels, width, count=count, stride=stride)
            for channels, width, count, stride in zip(inputs, widths, BLOCKS[depth], (1, 2, 2, 2), strict=True)
        )

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The stem and the blocks or stages after it."""
        return (self.conv1, *self.res_layers)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) -> four maps, finest first; each side is ceil(side / stride)."""
        x = F.max_pool2d(self.conv1(x), 3, stride=2, padding=1)
        outputs = []
        for stage in self.res_layers:
            x = stage(x)
            outputs.append(x)
        return tuple(outputs)
