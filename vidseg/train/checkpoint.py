"""The state of a training run in a file that is complete or absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from vidseg.atomic import PartFile
from vidseg.errors import CheckpointError, WriteError

_KEYS = {"step", "model", "network", "optimizer", "scaler", "settings", "pictures", "history"}


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values; a kill at any moment leaves the old file or the new one.

    Raises:
        SinkError: the folder is not writable, or another process is writing.
        WriteError: the disk is full or failed.
    """
    part = PartFile(path, overwrite=True)
    try:
        torch.save(state, part.part)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        part.discard()
        raise WriteError(f"{path}: cannot be written; free some space or choose another place") from error
    except BaseException:
        part.discard()
        raise
    part.commit()


def load_state(path: Path) -> dict[str, Any]:
    """What `save_state` wrote, on the CPU.

    Raises:
        CheckpointError: it is no such file.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive can raise nearly anything
        raise CheckpointError(f"{path}: not a training checkpoint; remove it to start over") from error
    if not isinstance(state, dict) or not state.keys() >= _KEYS:
        raise CheckpointError(f"{path}: weights without the state of a training run; give them as --init instead")
    return state
