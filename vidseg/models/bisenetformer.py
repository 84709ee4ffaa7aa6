"""BiSeNet pixel decoder of the BisenetFormer models; the rest is shared with Mask2Former.

Papers: BiSeNet (arXiv:1808.00897); Rethinking BiSeNet (arXiv:2104.13188), which drops the separate spatial path.
Reference: github.com/FocoosAI/focoos (MIT), whose weight names are kept.
Differences from the FPN decoder: upsampling is bilinear, mask features are at stride 8, queries see strides 32 and 16.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidseg.models.layers import Backbone, ConvBnRelu


class AttentionRefinement(nn.Module):
    """Projects a feature map and weighs its channels by a gate computed from their means."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.conv = ConvBnRelu(channels, channels)
        self.conv_atten = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, channels, H, W)."""
        x = self.conv(self.proj(x))
        gate = self.bn_atten(self.conv_atten(x.mean(dim=(2, 3), keepdim=True)))
        return x * torch.sigmoid(gate)


class ContextPath(nn.Module):
    """Merges strides 32 and 16 top-down, starting from the mean of the whole picture."""

    def __init__(self, stride16_channels: int, stride32_channels: int, channels: int) -> None:
        super().__init__()
        self.arm32 = AttentionRefinement(stride32_channels, channels)
        self.conv_avg = ConvBnRelu(stride32_channels, channels, kernel=1)
        self.conv_head32 = ConvBnRelu(channels, channels)
        self.arm16 = AttentionRefinement(stride16_channels, channels)
        self.conv_head16 = ConvBnRelu(channels, channels)

    def forward(self, stride8: Tensor, stride16: Tensor, stride32: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Context at strides 8, 16 and 32, each (B, channels, h, w); of `stride8` only the size is used."""
        context32 = self.arm32(stride32) + self.conv_avg(stride32.mean(dim=(2, 3), keepdim=True))
        up16 = self.conv_head32(F.interpolate(context32, size=stride16.shape[-2:], mode="bilinear"))
        context16 = self.arm16(stride16) + up16
        context8 = self.conv_head16(F.interpolate(context16, size=stride8.shape[-2:], mode="bilinear"))
        return context8, context16, context32


class FeatureFusion(nn.Module):
    """Adds detail and context, then strengthens channels by a gate computed from their means."""

    def __init__(self, detail_channels: int, channels: int) -> None:
        super().__init__()
        self.proj1 = nn.Conv2d(detail_channels, channels, 1)
        self.proj2 = nn.Conv2d(channels, channels, 1)
        self.convblk = ConvBnRelu(channels, channels, kernel=1)
        self.conv1 = nn.Conv2d(channels, channels // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(channels // 4, channels, 1, bias=False)

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        """(B, detail, h, w) and (B, channels, h, w) -> (B, channels, h, w)."""
        x = self.convblk(self.proj1(detail) + self.proj2(context))
        gate = torch.sigmoid(self.conv2(F.relu(self.conv1(x.mean(dim=(2, 3), keepdim=True)))))
        out: Tensor = x * gate + x
        return out


class BisenetDecoder(nn.Module):
    """Context path and feature fusion over a backbone; mask features at stride 8.

    In training mode a batch needs two images or more: batch norms see one value per image and channel.
    """

    mask_stride = 8

    def __init__(self, backbone: Backbone, *, channels: int) -> None:
        """`channels` is the width of every map of the decoder and of the mask features."""
        super().__init__()
        self.backbone = backbone
        _, stride8, stride16, stride32 = backbone.out_channels
        self.cp = ContextPath(stride16, stride32, channels)
        self.ffm = FeatureFusion(stride8, channels)
        self.conv_out = ConvBnRelu(channels, channels)

    def forward(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Mask features and the two coarse levels that queries look at.

        Args:
            images: (B, 3, H, W), normalised.
        Returns:
            (B, C, ceil(H/8), ceil(W/8)); and maps at strides 32 and 16, each (B, C, ceil(H/stride), ceil(W/stride)).
        """
        _, stride8, stride16, stride32 = self.backbone(images)
        context8, context16, context32 = self.cp(stride8, stride16, stride32)
        return self.conv_out(self.ffm(stride8, context8)), (context32, context16)
