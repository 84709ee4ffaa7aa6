"""The network as the engines take it: uint8 pictures in, two tensors out; and what tells one network from another."""

from __future__ import annotations

import hashlib
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor, nn

import vidseg.models

TRACE_SHAPE = (2, 3, 96, 128)
"""Of the picture that conversions trace with: no side and no batch of 1, which tracing could take for constants."""


class PictureNetwork(nn.Module):
    """(B, 3, h, w) uint8 RGB -> class_logits (B, Q, K+1) and mask_logits (B, Q, h', w'), float32.

    Any h and w from 32 up; normalisation is inside.
    """

    def __init__(self, model: nn.Module) -> None:
        """`model` has `forward_queries`, e.g. from `vidseg.models.create_model`."""
        super().__init__()
        self.model = model
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        out = self.model.forward_queries(images.float())  # type: ignore[operator]
        return out.class_logits, out.mask_logits


def example_images() -> Tensor:
    """(B, 3, h, w) uint8 zeros, to trace a network with."""
    return torch.zeros(TRACE_SHAPE, dtype=torch.uint8)


def weights_sha256(model: nn.Module) -> str:
    """Hex hash of the names, shapes and values of all parameters and buffers, wherever they came from."""
    digest = hashlib.sha256()
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tuple(values.shape)} {values.dtype}\n".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def code_sha256() -> str:
    """Hex hash of the source of the networks: a change there makes converted networks stale, like new weights."""
    digest = hashlib.sha256()
    for path in (*sorted(Path(vidseg.models.__file__).parent.glob("*.py")), Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()
