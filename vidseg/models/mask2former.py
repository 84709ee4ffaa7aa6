"""The segmentation network: pixel decoder over a backbone, then queries that each name a class and a mask.

Paper: Masked-attention Mask Transformer (Mask2Former, arXiv:2112.01527).
Reference: github.com/FocoosAI/focoos (MIT), whose weight names are kept. One class serves both of its families,
which differ in the pixel decoder only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidseg.errors import ModelError
from vidseg.models.bisenetformer import BisenetDecoder
from vidseg.models.pixel_decoder import FpnDecoder
from vidseg.models.transformer_decoder import QueryHead, QueryLogits

MIN_SIDE = 32
"""Smallest height and width in pixels: one cell at the coarsest stride."""


@dataclass(frozen=True, eq=False)
class ModelOutput:
    """Probabilities at the size of the images."""

    class_probs: Tensor
    """(B, Q, K): softmax over the classes and "no object", which is left out, so rows sum to less than 1."""
    mask_probs: Tensor
    """(B, Q, H, W) in 0..1."""


class Mask2Former(nn.Module):
    """Finds regions and their classes in RGB images of any size from 32 x 32.

    No padding is needed: a map at stride s has ceil(H/s) x ceil(W/s) cells, so `size_divisibility` is 1. Weights
    trained on multiples of 32 are at home there.
    """

    pixel_mean: Tensor
    pixel_std: Tensor
    size_divisibility = 1

    def __init__(
        self,
        pixel_decoder: FpnDecoder | BisenetDecoder,
        head: QueryHead,
        *,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
    ) -> None:
        """`pixel_mean` and `pixel_std` are per channel, for RGB in 0..255."""
        super().__init__()
        self.pixel_decoder = pixel_decoder
        self.head = head
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).view(1, 3, 1, 1), persistent=False)

    @property
    def mask_stride(self) -> int:
        """Pixels per cell of `QueryLogits.mask_logits`: 4 with the FPN decoder, 8 with the BiSeNet decoder."""
        return self.pixel_decoder.mask_stride

    @property
    def num_classes(self) -> int:
        """K, without "no object"."""
        return self.head.predictor.forward_prediction_heads.classifier.out_features - 1

    @property
    def num_queries(self) -> int:
        """Q."""
        return self.head.predictor.query_feat.num_embeddings

    @property
    def backbone_layers(self) -> tuple[nn.Module, ...]:
        """The layers of the backbone, the one that sees the image first."""
        return self.pixel_decoder.backbone.layers

    def forward(self, images: Tensor) -> ModelOutput:
        """Class and mask probabilities at full size.

        Args:
            images: (B, 3, H, W) RGB, float in 0..255, H and W at least 32.
        Raises:
            ModelError: the images are smaller or of another shape.
        """
        logits = self.forward_queries(images)
        # sigmoid first, then upsampling, as the reference: the other order moves mask borders
        masks = F.interpolate(
            logits.mask_logits.sigmoid(), size=images.shape[-2:], mode="bilinear", align_corners=False
        )
        return ModelOutput(logits.class_logits.softmax(dim=-1)[..., :-1], masks)

    def forward_queries(self, images: Tensor, *, aux: bool = False) -> QueryLogits:
        """Class logits and small mask logits; what follows can be done where and at the size that suits.

        Args:
            images: (B, 3, H, W) RGB, float in 0..255, H and W at least 32.
            aux: also give the predictions before and between the decoder layers, for deep supervision.
        Raises:
            ModelError: the images are smaller or of another shape.
        """
        # inside a trace the sides are tensors, and a comparison would freeze them
        if not torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            _check_shape(images)
        images = (images - self.pixel_mean) / self.pixel_std
        mask_features, levels = self.pixel_decoder(images)
        logits: QueryLogits = self.head(levels, mask_features, aux=aux)
        return logits


def _check_shape(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3:
        raise ModelError(f"images have shape {tuple(images.shape)}; accepted: (batch, 3, height, width)")
    height, width = images.shape[-2:]
    if height < MIN_SIDE or width < MIN_SIDE:
        raise ModelError(
            f"images are {width}x{height} pixels; the model needs at least {MIN_SIDE}x{MIN_SIDE}: enlarge or pad them"
        )
