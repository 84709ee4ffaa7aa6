"""How far float32 may be off: no number chosen by hand, but float32's own error against float64, times 8.

The processor's instructions and the number of threads decide in which order sums are added, so the last digits differ
from one machine to the next, and by how much depends on the model.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

TIMES = 8
_EPSILON = torch.finfo(torch.float32).eps


def in_float64(module: nn.Module) -> nn.Module:
    """A copy that computes in float64."""
    return copy.deepcopy(module).double()


def assert_rounds_alike(found: Any, plain: Any, exact: Any) -> None:
    """The error of `found` is at most 8 times that of `plain`.

    Args:
        found, plain, exact: tensors of the same shapes, or tuples of such; `plain` as float32 computes it plainly,
            `exact` the same in float64.
    """
    for number, (one, other, truth) in enumerate(zip(_tensors(found), _tensors(plain), _tensors(exact), strict=True)):
        assert truth.dtype == torch.float64 and one.shape == other.shape == truth.shape
        error, own = (float((each.detach().double() - truth.detach()).abs().max()) for each in (one, other))
        allowed = TIMES * max(own, _EPSILON * float(truth.detach().abs().max()))
        assert error <= allowed, f"tensor {number} is off by {error:.3g}, float32's own error is {own:.3g}"


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    else:
        for each in values:
            yield from _tensors(each)
