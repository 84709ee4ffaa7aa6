"""Weights into a file that `--weights` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from vidseg.atomic import write_whole_file
from vidseg.errors import CheckpointError
from vidseg.labels import LabelSet
from vidseg.zoo.checkpoint import is_optional
from vidseg.zoo.file_labels import labels_metadata


def export_weights(path: Path, state_dict: Mapping[str, Tensor], labels: LabelSet | None = None) -> None:
    """Write the tensors that inference uses in half precision, as safetensors, in one step.

    Args:
        labels: of the classes, where they are not ADE20K's; `weights_labels` finds them in the file.
    Raises:
        CheckpointError: a value is not finite in half precision; nothing is written.
        WriteError: the file cannot be written.
    """
    metadata = None if labels is None else labels_metadata(labels)
    write_whole_file(path, safetensors.torch.save(in_half_precision(state_dict), metadata))


def in_half_precision(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that inference uses, float16, on the CPU.

    Raises:
        CheckpointError: a value is NaN, infinite, or above 65504, the largest of float16.
    """
    kept = {
        key: tensor.detach().to("cpu", torch.float16).contiguous()
        for key, tensor in state_dict.items()
        if not is_optional(key)
    }
    for key, tensor in kept.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"'{key}' contains values that half precision cannot represent")
    return kept
