"""The Protocol of all inference engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

Found = TypeVar("Found")
Changed = TypeVar("Changed")


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


@dataclass(frozen=True, slots=True)
class Running(Generic[Found]):
    """What a network finds in a picture that it is still at."""

    result: Callable[[], Found]
    """Waits for it; raises what the network raised. Called by one thread, which may be another than that of `start`."""
    seconds: Callable[[], float]
    """Time that the picture took, its share where several are worked on at once; after `result`."""

    def then(self, change: Callable[[Found], Changed]) -> Running[Changed]:
        """The same, with the result changed."""
        return Running(lambda: change(self.result()), self.seconds)


@runtime_checkable
class Queued(Protocol):
    """A runtime that works on pictures while its caller prepares the next ones."""

    def start(self, image: Tensor) -> Running[Any]:
        """As `run` of (1, 3, h, w), but not waited for, unless as many as can be are being worked on."""
        ...


def precision_name(precision: torch.dtype) -> str:
    """As `--precision` has it."""
    return str(precision).removeprefix("torch.")
