"""From a model name, and perhaps a weights file, to a network that is ready to run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from vidseg import zoo
from vidseg.models import create_model


def load_model(
    name: str,
    weights: Path | None = None,
    *,
    num_classes: int | None = None,
    announce: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int | None], None] | None = None,
) -> nn.Module:
    """The network `name` in eval mode with trained weights.

    Args:
        weights: the user's own file; without it the bundled or cached weights are used, downloaded on first use.
        num_classes: of the weights, without "no object"; None for the published number.
        announce: told one sentence when a download begins.
        progress: called with (bytes so far, bytes in all or None) while downloading.
    Raises:
        ModelError: unknown name.
        CheckpointError: the file cannot be read or does not fit.
        DownloadError: the weights could not be fetched.
    """
    entry = zoo.entry(name)
    path = weights if weights is not None else zoo.ensure(entry, announce=announce, progress=progress)
    model = create_model(entry.name, num_classes)
    expected = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    tensors = zoo.match(zoo.read_checkpoint(path), expected, entry.name, path)
    model.load_state_dict(tensors, strict=False)  # `match` has checked; only counters and loss buffers may lack
    return model
