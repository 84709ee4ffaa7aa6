"""Fills a model and paints a picture by a fixed rule, so that numbers can be compared without trained weights.

The rule needs NumPy's PCG64 only, so another implementation of the same network can follow it: fill by key, show the
picture, compare what comes out.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

CLASSIFIER_WEIGHT = ".forward_prediction_heads.classifier.weight"
MASK_WEIGHT = ".mask_classifier.layers.2.weight"

CLASSIFIER_GAIN = 6.0
"""Large, so that the class probabilities are far from uniform."""

MASK_GAINS = {"fai-m2f-l-ade": 0.004}
"""Gain of the last mask layer, by model; keeps mask probabilities from all being 0 or 1."""

DEFAULT_MASK_GAIN = 0.02


def gains_for(name: str) -> dict[str, float]:
    """Key ending -> gain, for one model by canonical name."""
    return {CLASSIFIER_WEIGHT: CLASSIFIER_GAIN, MASK_WEIGHT: MASK_GAINS.get(name, DEFAULT_MASK_GAIN)}


def fill_parameters(
    key: str, shape: Sequence[int], seed: int, gains: Mapping[str, float]
) -> npt.NDArray[np.float32] | npt.NDArray[np.int64] | None:
    """The values of one state-dict entry, or None for one that stays as the configuration makes it.

    `gains` gives, by the end of a key, what replaces sqrt(2) as the gain of a weight.
    """
    generator = np.random.Generator(np.random.PCG64([seed, zlib.crc32(key.encode())]))
    normal = np.asarray(generator.standard_normal(tuple(shape), dtype=np.float32))
    last = key.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return np.zeros(tuple(shape), dtype=np.int64)
    if last == "empty_weight":
        return None
    if last == "running_var":
        values = 0.5 + np.abs(normal)
    elif last == "running_mean" or last.endswith("bias"):
        values = 0.1 * normal
    elif len(shape) == 1:
        values = 1 + 0.1 * normal
    elif key.endswith(("query_feat.weight", "query_embed.weight")):
        values = normal
    else:
        gain = next((gain for ending, gain in gains.items() if key.endswith(ending)), math.sqrt(2))
        values = normal * (gain / math.sqrt(math.prod(shape[1:])))
    return np.asarray(values, dtype=np.float32)


def fill_model(model: nn.Module, name: str, seed: int = 0) -> None:
    """Overwrite every entry of the state dict by the rule; `name` is canonical."""
    gains = gains_for(name)
    state: dict[str, Tensor] = {}
    for key, value in model.state_dict().items():
        filled = fill_parameters(key, tuple(value.shape), seed, gains)
        state[key] = value if filled is None else torch.from_numpy(filled)
    model.load_state_dict(state, strict=True)


def fixture_image(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: waves in red and green, a chequerboard in blue."""
    k = seed + 1
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    red = 127.5 + 100 * np.sin(x / (17 + k)) * np.cos(y / (11 + k))
    green = 127.5 + 100 * np.sin((x + y) / (23 + k))
    blue = 255 * ((x // 16 + y // 24 + k) % 2)
    return np.clip(np.rint(np.stack((red, green, blue), axis=2)), 0, 255).astype(np.uint8)


def fixture_tensor(height: int, width: int, seed: int = 0) -> Tensor:
    """(1, 3, H, W) float32 in 0..255: the picture as the network takes it."""
    image = torch.from_numpy(fixture_image(height, width, seed))
    return image.permute(2, 0, 1)[None].float().contiguous()


def key_listing(shapes: Mapping[str, Sequence[int]]) -> str:
    """One line "key shape" per entry, shape as e.g. [32, 3, 3, 3]; its CRC-32 pins names, shapes and order."""
    return "\n".join(f"{key} {list(shape)}" for key, shape in shapes.items())
