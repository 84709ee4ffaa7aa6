"""Masked-attention transformer decoder: queries become classes and masks.

Paper: Masked-attention Mask Transformer (Mask2Former, arXiv:2112.01527).
Reference: github.com/FocoosAI/focoos (MIT), whose weight names are kept.
Differences:
- Pre-norm layers, no level embedding, no dropout: as the reference configures every published model.
- Attention masks come from mask features shrunk to the level's size, not from full masks that are shrunk afterwards.
  Both steps are linear, so the masks are the same up to rounding, at a small part of the work.
- Predictions between the layers, which only training looks at, are made on request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidseg.models.layers import Attention, Mlp, sine_positions


@dataclass(frozen=True, eq=False)
class QueryLogits:
    """What each query says, before softmax, sigmoid and upsampling."""

    class_logits: Tensor
    """(B, Q, K+1), last column is "no object"."""
    mask_logits: Tensor
    """(B, Q, h, w) at the model's `mask_stride`."""
    aux: tuple[QueryLogits, ...] = ()
    """Earlier predictions, where asked for: of the learned queries, then of each decoder layer but the last."""


class SelfAttentionLayer(nn.Module):
    """Queries exchange what they know."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.norm = nn.LayerNorm(width)

    def forward(self, queries: Tensor, query_position: Tensor) -> Tensor:
        """(B, Q, C) and (1, Q, C) -> (B, Q, C)."""
        x = self.norm(queries)
        placed = x + query_position
        gathered: Tensor = self.self_attn(placed, placed, x)
        return queries + gathered


class CrossAttentionLayer(nn.Module):
    """Queries look at the picture, each inside its own mask."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.multihead_attn = Attention(width, heads)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, queries: Tensor, query_position: Tensor, memory: Tensor, memory_position: Tensor, attend: Tensor
    ) -> Tensor:
        """(B, Q, C) queries, (B, N, C) memory and (B, Q, N) bool mask, True where to look -> (B, Q, C)."""
        gathered: Tensor = self.multihead_attn(
            self.norm(queries) + query_position, memory + memory_position, memory, attend
        )
        return queries + gathered


class FeedForwardLayer(nn.Module):
    """Two linear layers on each query."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)
        nn.init.xavier_uniform_(self.linear1.weight)
        nn.init.xavier_uniform_(self.linear2.weight)

    def forward(self, queries: Tensor) -> Tensor:
        """(B, Q, C) -> (B, Q, C)."""
        out: Tensor = self.linear2(F.relu(self.linear1(self.norm(queries))))
        return queries + out


class PredictionHeads(nn.Module):
    """Turns queries into class logits and mask embeddings."""

    def __init__(self, width: int, mask_channels: int, num_classes: int) -> None:
        super().__init__()
        self.decoder_norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, num_classes + 1)
        self.mask_classifier = Mlp((width, width, width, mask_channels))

    def masks(self, queries: Tensor, mask_features: Tensor) -> Tensor:
        """(B, Q, C) and (B, D, h, w) -> mask logits (B, Q, h, w)."""
        return self._masks(self.decoder_norm(queries), mask_features)

    def forward(self, queries: Tensor, mask_features: Tensor) -> QueryLogits:
        """(B, Q, C) and (B, D, h, w) -> class and mask logits."""
        queries = self.decoder_norm(queries)
        return QueryLogits(self.classifier(queries), self._masks(queries, mask_features))

    def _masks(self, normed_queries: Tensor, mask_features: Tensor) -> Tensor:
        embeddings: Tensor = self.mask_classifier(normed_queries)
        # (B, Q, D) x (B, D, h*w); flatten(2) is a view in either memory format
        return (embeddings @ mask_features.flatten(2)).view(*embeddings.shape[:2], *mask_features.shape[2:])


class QueryDecoder(nn.Module):
    """Learned queries refined by rounds of cross-attention, self-attention and feed-forward, coarse level first."""

    def __init__(
        self,
        *,
        num_classes: int,
        num_queries: int,
        level_channels: int,
        mask_channels: int,
        width: int,
        heads: int,
        feedforward: int,
        layers: int,
        max_levels: int,
    ) -> None:
        """`max_levels` is how many pyramid levels take turns; fewer are used where there are fewer layers."""
        super().__init__()
        self.transformer_self_attention_layers = nn.ModuleList(SelfAttentionLayer(width, heads) for _ in range(layers))
        self.transformer_cross_attention_layers = nn.ModuleList(
            CrossAttentionLayer(width, heads) for _ in range(layers)
        )
        self.transformer_ffn_layers = nn.ModuleList(FeedForwardLayer(width, feedforward) for _ in range(layers))
        self.query_feat = nn.Embedding(num_queries, width)
        self.query_embed = nn.Embedding(num_queries, width)
        self.input_proj = nn.ModuleList(nn.Conv2d(level_channels, width, 1) for _ in range(min(max_levels, layers)))
        self.forward_prediction_heads = PredictionHeads(width, mask_channels, num_classes)
        self._width = width
        for projection in self.input_proj:
            assert isinstance(projection, nn.Conv2d) and projection.bias is not None
            nn.init.kaiming_uniform_(projection.weight, a=1)
            nn.init.zeros_(projection.bias)

    def forward(self, levels: Sequence[Tensor], mask_features: Tensor, *, aux: bool = False) -> QueryLogits:
        """Predictions of the last layer, and of everything before it with `aux`.

        Args:
            levels: maps to look at, coarsest first, each (B, C, h, w).
            mask_features: (B, D, h, w) at the mask stride.
            aux: also predict from the learned queries and between the layers.
        """
        heads = self.forward_prediction_heads
        query_position = self.query_embed.weight[None]
        queries = self.query_feat.weight[None].expand(mask_features.shape[0], -1, -1)

        memories, positions, small_features = [], [], []
        for level, projection in zip(levels, self.input_proj, strict=False):
            height, width = level.shape[-2:]
            memories.append(projection(level).flatten(2).transpose(1, 2))  # (B, h*w, C)
            positions.append(sine_positions(height, width, self._width, like=memories[-1]))
            small_features.append(
                F.interpolate(mask_features, size=(height, width), mode="bilinear", align_corners=False)
            )

        earlier = []
        for index, (cross, self_attention, feed_forward) in enumerate(
            zip(
                self.transformer_cross_attention_layers,
                self.transformer_self_attention_layers,
                self.transformer_ffn_layers,
                strict=True,
            )
        ):
            if aux:
                earlier.append(heads(queries, mask_features))
            turn = index % len(memories)
            attend = _where_to_look(heads.masks(queries, small_features[turn]).flatten(2))
            queries = cross(queries, query_position, memories[turn], positions[turn], attend)
            queries = self_attention(queries, query_position)
            queries = feed_forward(queries)
        last: QueryLogits = heads(queries, mask_features)
        return QueryLogits(last.class_logits, last.mask_logits, tuple(earlier))


def _where_to_look(mask_logits: Tensor) -> Tensor:
    """(B, Q, N) bool: the cells inside each query's mask, or all of them where the mask is empty."""
    inside = mask_logits >= 0
    return inside | ~inside.any(dim=-1, keepdim=True)


class ClassWeights(nn.Module):
    """Holds `empty_weight` (K+1): the weight of each class in the loss, stored in every checkpoint."""

    empty_weight: Tensor

    def __init__(self, num_classes: int, no_object_weight: float) -> None:
        super().__init__()
        weight = torch.ones(num_classes + 1)
        weight[-1] = no_object_weight
        self.register_buffer("empty_weight", weight)


class QueryHead(nn.Module):
    """The decoder with the class weights of its loss, under the names of the reference."""

    def __init__(self, criterion: ClassWeights, predictor: QueryDecoder) -> None:
        super().__init__()
        self.criterion = criterion
        self.predictor = predictor

    def forward(self, levels: Sequence[Tensor], mask_features: Tensor, *, aux: bool = False) -> QueryLogits:
        """See `QueryDecoder.forward`."""
        logits: QueryLogits = self.predictor(levels, mask_features, aux=aux)
        return logits
