"""What a weights file says of its classes."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from vidseg import zoo
from vidseg.errors import CheckpointError
from vidseg.zoo.checkpoint import CLASSIFIER_WEIGHT


def weights(folder, classes):
    save_file({CLASSIFIER_WEIGHT: torch.zeros(classes + 1, 4)}, folder / "w.safetensors")
    return folder / "w.safetensors"


def test_classes_without_names_are_numbers(tmp_path):
    assert zoo.weights_labels(weights(tmp_path, 255)).names[-1] == "254"


@pytest.mark.parametrize("classes", [256, 300])
def test_more_classes_than_a_byte_tells_apart_are_refused(tmp_path, classes):
    with pytest.raises(CheckpointError, match=rf"w\.safetensors: has {classes} classes; accepted: up to 255") as caught:
        zoo.weights_labels(weights(tmp_path, classes))
    assert "\n" not in str(caught.value)
