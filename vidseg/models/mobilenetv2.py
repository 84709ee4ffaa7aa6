"""MobileNetV2 backbone (inverted residuals with linear bottlenecks), width 1.0.

Paper: MobileNetV2 (arXiv:1801.04381).
Reference: github.com/FocoosAI/focoos (MIT), whose weight names are kept.
Differences: the last 1x1 convolution to 1280 channels and the classifier are left out.
"""

from __future__ import annotations

from torch import Tensor, nn

from vidseg.models.layers import Backbone

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, width, number of blocks and stride of the first block, stage by stage."""

_ENDS = (3, 6, 13, 17)
"""The blocks whose outputs are the four maps."""


def _conv(in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """ReLU6(BN(conv(x))), keys `0.*` and `1.*`."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, 1x1 projection without activation, plus the input where it fits.

    Keys `conv.N.0.*` (convolution) and `conv.N.1.*` (batch norm).
    """

    def __init__(self, in_channels: int, out_channels: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        wide = in_channels * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_conv(in_channels, wide, 1)]
        layers += [
            _conv(wide, wide, 3, stride=stride, groups=wide),
            nn.Sequential(nn.Conv2d(wide, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)),
        ]
        self.conv = nn.Sequential(*layers)
        self._adds = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, ceil(H / stride), ceil(W / stride))."""
        out: Tensor = self.conv(x)
        return x + out if self._adds else out


class MobileNetV2(Backbone):
    """Four feature maps at strides 4, 8, 16 and 32, of 24, 32, 96 and 320 channels."""

    out_channels = (24, 32, 96, 320)

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = [_conv(3, 32, 3, stride=2)]
        channels = 32
        for expansion, width, count, stride in STAGES:
            for index in range(count):
                block = InvertedResidual(channels, width, expansion=expansion, stride=stride if index == 0 else 1)
                blocks.append(block)
                channels = width
        self.features = nn.Sequential(*blocks)

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The stem and the blocks or stages after it."""
        return tuple(self.features)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) -> four maps, finest first; each side is ceil(side / stride)."""
        outputs = []
        for index, block in enumerate(self.features):
            x = block(x)
            if index in _ENDS:
                outputs.append(x)
        return tuple(outputs)
