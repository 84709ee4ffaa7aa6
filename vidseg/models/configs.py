"""The models of the family, and how their numbers become a network.

Numbers: the published configurations of github.com/FocoosAI/focoos 0.25.0 (MIT); `m2f-mobile-ade` and `fai-m2f-n-ade`
are this project's own models for CPUs.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from torch import nn

from vidseg.errors import ModelError
from vidseg.models.bisenetformer import BisenetDecoder
from vidseg.models.layers import Backbone
from vidseg.models.mask2former import Mask2Former
from vidseg.models.mobilenetv2 import MobileNetV2
from vidseg.models.pixel_decoder import FpnDecoder
from vidseg.models.resnet import BLOCKS as RESNET_BLOCKS
from vidseg.models.resnet import ResNet
from vidseg.models.stdc import Stdc
from vidseg.models.transformer_decoder import ClassWeights, QueryDecoder, QueryHead


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The numbers that make one network."""

    pixel_decoder: Literal["fpn", "bisenet"]
    backbone: Literal["stdc", "resnet", "mobilenetv2"]
    stdc_base: int = 64
    """Width at stride 4; only for "stdc"."""
    stdc_blocks: tuple[int, int, int] = (2, 2, 2)
    """Blocks at strides 8, 16, 32; only for "stdc". (2, 2, 2) is STDC-1, (4, 5, 3) is STDC-2."""
    resnet_depth: int = 101
    """Only for "resnet"."""
    pixel_channels: int = 128
    """Width of the pixel decoder and of the mask features."""
    mask_kernel: int = 3
    """Side of the last convolution of the pixel decoder; only for "fpn"."""
    hidden_dim: int = 256
    """Width of the queries."""
    num_heads: int = 8
    feedforward_dim: int = 512
    decoder_layers: int
    num_queries: int = 100
    num_classes: int = 150
    """Without "no object"."""
    no_object_weight: float = 0.1
    """Weight of "no object" in the classification loss."""
    resolution: int = 640
    """Side in pixels of the square that the published weights were trained at."""
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375)


_STDC2 = (4, 5, 3)

MODELS = MappingProxyType(
    {
        "m2f-mobile-ade": ModelConfig(
            pixel_decoder="fpn",
            backbone="mobilenetv2",
            pixel_channels=64,
            mask_kernel=1,
            hidden_dim=128,
            decoder_layers=1,
            num_queries=64,
        ),
        "fai-m2f-n-ade": ModelConfig(
            pixel_decoder="fpn", backbone="stdc", stdc_base=32, pixel_channels=64, hidden_dim=128, decoder_layers=1
        ),
        "fai-m2f-s-ade": ModelConfig(pixel_decoder="fpn", backbone="stdc", decoder_layers=1),
        "fai-m2f-m-ade": ModelConfig(pixel_decoder="fpn", backbone="stdc", stdc_blocks=_STDC2, decoder_layers=3),
        "fai-m2f-l-ade": ModelConfig(pixel_decoder="fpn", backbone="resnet", feedforward_dim=1024, decoder_layers=6),
        "bisenetformer-s-ade": ModelConfig(
            pixel_decoder="bisenet", backbone="stdc", feedforward_dim=1024, decoder_layers=6
        ),
        "bisenetformer-m-ade": ModelConfig(
            pixel_decoder="bisenet", backbone="stdc", stdc_blocks=_STDC2, pixel_channels=96, decoder_layers=4
        ),
        "bisenetformer-l-ade": ModelConfig(
            pixel_decoder="bisenet", backbone="stdc", stdc_blocks=_STDC2, feedforward_dim=1024, decoder_layers=6
        ),
    }
)
"""Canonical name -> numbers, smallest first in each family."""

ALIASES = MappingProxyType({"fai-mf-m-ade": "fai-m2f-m-ade", "fai-mf-l-ade": "fai-m2f-l-ade"})
"""Newer published name -> canonical name."""


def model_names() -> tuple[str, ...]:
    """The canonical names."""
    return tuple(MODELS)


def resolve_name(name: str) -> str:
    """The canonical name of a name or alias.

    Raises:
        ModelError: no such model; names the nearest and the known ones.
    """
    canonical = ALIASES.get(name, name)
    if canonical in MODELS:
        return canonical
    near = difflib.get_close_matches(name, (*MODELS, *ALIASES), n=2)
    hint = f"; did you mean {' or '.join(near)}?" if near else ";"
    raise ModelError(f"unknown model '{name}'{hint} known: {', '.join(MODELS)}")


def config_for(name: str) -> ModelConfig:
    """The numbers of a model, by name or alias. Raises ModelError as `resolve_name` does."""
    return MODELS[resolve_name(name)]


def create_model(name: str, num_classes: int | None = None) -> Mask2Former:
    """A randomly initialised model, ready to load weights into or to train, in eval mode.

    Args:
        name: canonical name or alias.
        num_classes: without "no object"; None keeps the published number.
    Raises:
        ModelError: unknown name, or fewer than one class.
    """
    config = config_for(name)
    return build_model(config if num_classes is None else replace(config, num_classes=num_classes))


def build_model(config: ModelConfig) -> Mask2Former:
    """A randomly initialised model in eval mode from its numbers.

    Raises:
        ModelError: a number that no network can be made of.
    """
    _check(config)
    backbone = _backbone(config)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    head = QueryHead(
        ClassWeights(config.num_classes, config.no_object_weight),
        QueryDecoder(
            num_classes=config.num_classes,
            num_queries=config.num_queries,
            level_channels=config.pixel_channels,
            mask_channels=config.pixel_channels,
            width=config.hidden_dim,
            heads=config.num_heads,
            feedforward=config.feedforward_dim,
            layers=config.decoder_layers,
            max_levels=3 if config.pixel_decoder == "fpn" else 2,
        ),
    )
    return Mask2Former(
        FpnDecoder(backbone, channels=config.pixel_channels, mask_kernel=config.mask_kernel)
        if config.pixel_decoder == "fpn"
        else BisenetDecoder(backbone, channels=config.pixel_channels),
        head,
        pixel_mean=config.pixel_mean,
        pixel_std=config.pixel_std,
    ).eval()


def _backbone(config: ModelConfig) -> Backbone:
    if config.backbone == "stdc":
        return Stdc(base=config.stdc_base, blocks=config.stdc_blocks)
    if config.backbone == "resnet":
        return ResNet(depth=config.resnet_depth)
    return MobileNetV2()


def _check(config: ModelConfig) -> None:
    """Raise ModelError for what a caller can get wrong."""
    for name in ("num_classes", "num_queries", "decoder_layers"):
        value = getattr(config, name)
        if value < 1:
            raise ModelError(f"{name} is {value}; accepted: 1 or more")
    if config.hidden_dim % 4 or config.hidden_dim % config.num_heads:
        raise ModelError(
            f"hidden_dim is {config.hidden_dim}; "
            f"accepted: a multiple of 4 and of num_heads, which is {config.num_heads}"
        )
    if config.stdc_base % 8:
        raise ModelError(f"stdc_base is {config.stdc_base}; accepted: a multiple of 8")
    _check_choice("pixel_decoder", config.pixel_decoder, ("fpn", "bisenet"))
    _check_choice("backbone", config.backbone, ("stdc", "resnet", "mobilenetv2"))
    if config.backbone == "resnet":
        _check_choice("resnet_depth", config.resnet_depth, tuple(RESNET_BLOCKS))


def _check_choice(name: str, value: object, known: Sequence[object]) -> None:
    if value not in known:
        raise ModelError(f"{name} is {value!r}; known: {', '.join(map(repr, known))}")
