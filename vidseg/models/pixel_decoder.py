"""Feature pyramid that turns backbone features into mask features.

Paper: Feature Pyramid Networks (arXiv:1612.03144), as the pixel decoder of MaskFormer (arXiv:2107.06278).
Reference: github.com/FocoosAI/focoos (MIT), whose weight names are kept.
Differences: the reference's optional transformer encoder, unused by every published model, is left out.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from vidseg.models.layers import Backbone, NormedConv2d


class FpnDecoder(nn.Module):
    """Top-down pyramid over a backbone; mask features at stride 4."""

    mask_stride = 4

    def __init__(self, backbone: Backbone, *, channels: int, mask_kernel: int = 3) -> None:
        """`channels` is the width of pyramid and mask features, `mask_kernel` the side of the last kernel."""
        super().__init__()
        self.backbone = backbone
        *lateral, coarsest = backbone.out_channels
        # numbered from 1 (stride 4) to 4 (stride 32); the coarsest level has no adapter
        for number, in_channels in enumerate(lateral, start=1):
            self.add_module(f"adapter_{number}", NormedConv2d(in_channels, channels, kernel=1, relu=False))
            self.add_module(f"layer_{number}", NormedConv2d(channels, channels, kernel=3, relu=True))
        self._lateral_count = len(lateral)
        self.add_module(f"layer_{len(lateral) + 1}", NormedConv2d(coarsest, channels, kernel=3, relu=True))
        self.mask_features = nn.Conv2d(channels, channels, mask_kernel, padding=mask_kernel // 2)

        for module in self.children():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
        assert self.mask_features.bias is not None
        nn.init.zeros_(self.mask_features.bias)

    def forward(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Mask features and the three coarse levels that queries look at.

        Args:
            images: (B, 3, H, W), normalised.
        Returns:
            (B, C, ceil(H/4), ceil(W/4)); and maps at strides 32, 16, 8, each (B, C, ceil(H/stride), ceil(W/stride)).
        """
        features = self.backbone(images)
        y: Tensor = self.get_submodule(f"layer_{self._lateral_count + 1}")(features[-1])
        levels = [y]
        for number in range(self._lateral_count, 0, -1):
            lateral = self.get_submodule(f"adapter_{number}")(features[number - 1])
            # nearest, as the reference does; bilinear changes the result of released weights
            y = lateral + F.interpolate(y, size=lateral.shape[-2:], mode="nearest")
            y = self.get_submodule(f"layer_{number}")(y)
            levels.append(y)
        return self.mask_features(y), tuple(levels[:3])
