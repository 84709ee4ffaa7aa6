"""Weights into a file that `--weights` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from vidseg.atomic import write_whole_file
from vidseg.labels import LabelSet
from vidseg.zoo.checkpoint import is_optional
from vidseg.zoo.file_labels import labels_metadata


def export_weights(path: Path, state_dict: Mapping[str, Tensor], labels: LabelSet | None = None) -> None:
    """Write the tensors that inference uses in half precision, as safetensors, in one step.

    Args:
        labels: of the classes, where they are not ADE20K's; `weights_labels` finds them in the file.
    Raises:
        WriteError: the file cannot be written.
    """
    kept = {
        key: tensor.detach().to("cpu", torch.float16).contiguous()
        for key, tensor in state_dict.items()
        if not is_optional(key)
    }
    write_whole_file(path, safetensors.torch.save(kept, None if labels is None else labels_metadata(labels)))
