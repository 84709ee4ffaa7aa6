"""What a weights file says of its classes."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from vidseg import zoo
from vidseg.confidence import IDENTITY, Calibration, calibration_metadata
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


def test_the_calibration_of_confidence_comes_with_the_weights(tmp_path):
    assert zoo.weights_calibration(weights(tmp_path, 3)) == IDENTITY
    curve = Calibration(((0.0, 0.1), (0.4, 0.2), (1.0, 0.9)))
    told = tmp_path / "told.safetensors"
    save_file({CLASSIFIER_WEIGHT: torch.zeros(4, 4)}, told, calibration_metadata(curve))
    assert zoo.weights_calibration(told) == curve
    torch.save({CLASSIFIER_WEIGHT: torch.zeros(4, 4)}, tmp_path / "w.pth")
    assert zoo.weights_calibration(tmp_path / "w.pth") == IDENTITY
    save_file({CLASSIFIER_WEIGHT: torch.zeros(4, 4)}, told, {"confidence": "[[0, 1], [1, 0]]"})
    with pytest.raises(CheckpointError, match=r"told\.safetensors: its calibration of confidence cannot be read"):
        zoo.weights_calibration(told)
