"""The network that training starts from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from vidseg import zoo
from vidseg.models import Mask2Former, create_model
from vidseg.train.widen import is_half_as_wide, widened

_CLASSIFIER = "head.predictor.forward_prediction_heads.classifier"


def initial_model(
    name: str,
    init: Path | None,
    *,
    num_classes: int,
    seed: int,
    announce: Callable[[str], None] = lambda text: None,
) -> Mask2Former:
    """A network with random weights, or those of a file; a classifier for another number of classes starts random.

    Args:
        name: of the model.
        init: weights of the same architecture, or of the same at half the width, which are widened.
        num_classes: without "no object".
        seed: of what is random.
        announce: told one sentence when the weights are widened, and one when the classifier is not taken over.
    Raises:
        ModelError: unknown name.
        CheckpointError: the file cannot be read or is of another architecture.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = create_model(name, num_classes)
    if init is None:
        return model
    own = model.state_dict()
    tensors = zoo.read_checkpoint(init)
    if is_half_as_wide(tensors, own):
        announce(f"{init} is of a network half as wide: widened, with the same output")
        tensors = widened(tensors, own, seed=seed)
    for key in (f"{_CLASSIFIER}.weight", f"{_CLASSIFIER}.bias"):
        theirs = tensors.get(key)
        if (
            theirs is not None
            and theirs.ndim
            and len(theirs) != len(own[key])
            and theirs.shape[1:] == own[key].shape[1:]
        ):
            if key.endswith("weight"):
                announce(
                    f"{init} has {len(theirs) - 1} classes: the classifier for {num_classes} is initialised randomly"
                )
            tensors[key] = own[key]
    expected = {key: tuple(tensor.shape) for key, tensor in own.items()}
    model.load_state_dict(zoo.match(tensors, expected, name, init), strict=False)
    return model
