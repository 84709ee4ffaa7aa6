"""The Protocol of all inference engines."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


class Runtime(Protocol):
    """Runs one network. Called by one thread."""

    @property
    def name(self) -> str:
        """For people: engine, device and precision, e.g. "torch, cpu, float32"."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the results lie."""
        ...

    def run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Query outputs at mask stride.

        Args:
            images: (B, 3, h, w) uint8 RGB on the CPU; h and w from 32 up.
        Returns:
            class_logits (B, Q, K+1) and mask_logits (B, Q, h', w'), float32, on `device`.
        """
        ...


@runtime_checkable
class Sized(Protocol):
    """A runtime that is faster where it knows the size of what is to come."""

    def expect(self, size_hw: tuple[int, int]) -> None:
        """Get ready for many pictures of (height, width). Others may come as well."""
        ...


def precision_name(precision: torch.dtype) -> str:
    """As `--precision` has it."""
    return str(precision).removeprefix("torch.")
