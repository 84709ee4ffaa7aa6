"""Learning rate by step, which weights decay, and the running average that is exported."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


def learning_rate(step: int, *, steps: int, warmup: int, highest: float) -> float:
    """Rises in a line over the warm-up steps, then falls along half a cosine to 0 at the end.

    Args:
        step: 0-based number of the step that is about to be made.
    """
    if step < warmup:
        return highest * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return highest * 0.5 * (1 + math.cos(math.pi * done))


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """All parameters in two groups for an optimizer: those that decay; norms, biases and embeddings, which do not."""
    kept: list[nn.Parameter] = []
    decaying: list[nn.Parameter] = []
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            steady = isinstance(module, nn.Embedding) or parameter.ndim < 2 or name.endswith("bias")
            (kept if steady else decaying).append(parameter)
    return [{"params": decaying, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]


class WeightAverage:
    """Exponential moving average of a model's weights and batch-norm statistics.

    Remembers one copy of them. While young it forgets faster, so that the random start does not linger.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._averages = {key: tensor.detach().clone() for key, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model as it is after `step` steps."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for key, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                self._averages[key].lerp_(tensor, 1 - decay)
            else:
                self._averages[key].copy_(tensor)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by state-dict key; not copies."""
        return self._averages

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over stored averages."""
        for key, tensor in self._averages.items():
            tensor.copy_(state[key])
