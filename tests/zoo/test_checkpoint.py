from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from vidseg import zoo
from vidseg.errors import CheckpointError
from vidseg.zoo.checkpoint import match, read_checkpoint

CLASSIFIER = "head.predictor.forward_prediction_heads.classifier"
TENSORS = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.tensor([1.0, -2.0, 3.0])}


def check_same(found: dict[str, Tensor], wanted: dict[str, Tensor] = TENSORS) -> None:
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: tensors,
        lambda tensors: {"model": tensors, "iteration": 7},
        lambda tensors: {"state_dict": tensors},
        lambda tensors: {"model": {"state_dict": tensors}},
        lambda tensors: {"model": {f"module.{key}": tensor for key, tensor in tensors.items()}},
        lambda tensors: {"state_dict": {f"model.{key}": tensor for key, tensor in tensors.items()}},
        lambda tensors: {"model": {key: torch.nn.Parameter(tensor) for key, tensor in tensors.items()}},
    ],
    ids=["bare", "model", "state_dict", "nested", "distributed", "lightning", "parameters"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_every_wrapping_gives_the_same_tensors(
    tmp_path: Path, wrap: Callable[[dict[str, Tensor]], object], zipped: bool
) -> None:
    torch.save(wrap(TENSORS), tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(tmp_path / "x.pth")
    check_same(found)
    assert not any(tensor.requires_grad for tensor in found.values())


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    safetensors.torch.save_file(TENSORS, tmp_path / "x.pth")
    torch.save(TENSORS, tmp_path / "x.safetensors")
    check_same(read_checkpoint(tmp_path / "x.pth"))
    check_same(read_checkpoint(tmp_path / "x.safetensors"))


def test_numpy_numbers_in_the_log_of_a_training_run_do_no_harm(tmp_path: Path) -> None:
    torch.save(
        {"model": TENSORS, "best": np.float64(0.5), "curve": np.arange(3.0), "step": np.int64(9)}, tmp_path / "x.pth"
    )
    check_same(read_checkpoint(tmp_path / "x.pth"))


class Evil:
    """Would make a folder when it is unpickled without care."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    torch.save({"model": Evil(tmp_path / "ran")}, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        CheckpointError, match=r"x\.pth: contains Python objects, which are not loaded because they can run"
    ):
        read_checkpoint(tmp_path / "x.pth")
    assert not (tmp_path / "ran").exists()


def whole(tensors: object, tmp_path: Path, save: Callable[..., object]) -> bytes:
    save(tensors, tmp_path / "whole")
    return (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "the file is empty; download or copy it again"),
        (b"hello world" * 50, "not a checkpoint; accepted: .pth or .pt of torch.save, .safetensors"),
        (bytes(1000), "not a checkpoint; accepted"),
        (b"\n <!DOCTYPE html><html>404</html>", "a web page, not a checkpoint; download the weights file itself"),
        (b"PK\x03\x04" + bytes(60), "cut short, damaged, or not written by torch.save; download or copy it again"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{}", "incomplete or damaged safetensors ("),
        (pickle.dumps([1, 2, 3]), "not a checkpoint; accepted"),
    ],
    ids=["empty", "garbage", "zeros", "html", "zip head", "safetensors head", "pickle"],
)
def test_what_is_no_checkpoint_is_one_line(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"^.*x\.pth: {re.escape(text)}.*$") as caught:
        read_checkpoint(tmp_path / "x.pth")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_files_are_recognised(tmp_path: Path, share: float) -> None:
    for save, text in ((torch.save, "cut short"), (safetensors.torch.save_file, "incomplete or damaged safetensors")):
        content = whole({"w": torch.zeros(2000)}, tmp_path, save)
        (tmp_path / "x.pth").write_bytes(content[: int(len(content) * share)])
        with pytest.raises(CheckpointError, match=text):
            read_checkpoint(tmp_path / "x.pth")


def test_missing_file_folder_and_fifo(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no\.pth: no such file$"):
        read_checkpoint(tmp_path / "no.pth")
    with pytest.raises(CheckpointError, match=r": a folder; give a weights file \(\.pth, \.pt, \.safetensors\)$"):
        read_checkpoint(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(CheckpointError, match="fifo: not a regular file"):
        read_checkpoint(tmp_path / "fifo")
    with pytest.raises(CheckpointError, match=r"cannot be read|no such file"):
        read_checkpoint("a\0b")


@pytest.mark.parametrize(
    "content", [[1, 2], {}, {"model": {}}, {"model": 3}, {"a": torch.ones(2).to_sparse()}, torch.ones(3)]
)
def test_file_without_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"contains no tensors; expected a state dict, or one under 'model'"):
        read_checkpoint(tmp_path / "x.pth")


FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_or_refuse(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        tensors = read_checkpoint(path)
    except CheckpointError as error:
        assert "\n" not in str(error)
    else:
        assert tensors


@FUZZ
@given(content=st.binary(max_size=300), head=st.sampled_from([b"", b"PK\x03\x04", b"\x80\x02", bytes(8) + b"{"]))
def test_random_bytes_raise_only_checkpoint_errors(tmp_path: Path, content: bytes, head: bytes) -> None:
    read_or_refuse(tmp_path / "x", head + content)


@FUZZ
@given(
    data=st.data(),
    kind=st.sampled_from(["zip", "legacy", "safetensors"]),
    blow=st.sampled_from(["flip", "cut", "insert"]),
)
def test_damaged_checkpoints_raise_only_checkpoint_errors(
    tmp_path: Path, data: st.DataObject, kind: str, blow: str
) -> None:
    if kind == "safetensors":
        content = whole(TENSORS, tmp_path, safetensors.torch.save_file)
    else:
        torch.save(TENSORS, tmp_path / "whole", _use_new_zipfile_serialization=kind == "zip")
        content = (tmp_path / "whole").read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    if blow == "flip":
        content = content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :]
    elif blow == "cut":
        content = content[:at]
    else:
        content = content[:at] + data.draw(st.binary(min_size=1, max_size=8)) + content[at:]
    read_or_refuse(tmp_path / "x", content)


# match


def state(name: str, classes: int = 150) -> dict[str, Tensor]:
    """The probe of a model and its classifier, as a small state dict."""
    shapes = {**zoo.entry(name).probe, f"{CLASSIFIER}.weight": (classes + 1, 8), f"{CLASSIFIER}.bias": (classes + 1,)}
    return {key: torch.ones(()).expand(shape) for key, shape in shapes.items()}


def shapes_of(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def test_match_returns_float32_and_leaves_training_buffers_out() -> None:
    file = {"w": torch.ones(3, dtype=torch.float16), "bn.num_batches_tracked": torch.tensor(3)}
    expected = {"w": (3,), "head.criterion.empty_weight": (151,), "other.num_batches_tracked": ()}

    found = match(file, expected, "m", "x.pth")

    check_same(found, {"w": torch.ones(3)})
    assert found["w"].dtype == torch.float32


def test_file_with_criterion_fits_model_without() -> None:
    file = {**TENSORS, "head.criterion.empty_weight": torch.ones(20)}
    check_same(match(file, shapes_of(TENSORS), "m", "x.pth"))


def test_misfit_counts_keys_and_names_the_first_of_each_kind() -> None:
    file = {"a": torch.ones(64, 3), "extra": torch.ones(1)}
    expected = {"a": (32, 3), "b": (1,), "c": (2,)}
    with pytest.raises(CheckpointError) as caught:
        match(file, expected, "fai-m2f-s-ade", "x.pth")
    assert str(caught.value) == (
        "x.pth: does not fit fai-m2f-s-ade: 2 keys missing (first 'b'), "
        "1 of another shape (first 'a': file (64, 3), model (32, 3)), "
        "1 that the model does not have (first 'extra'); give weights of fai-m2f-s-ade"
    )


def test_misfit_names_the_model_that_the_file_does_fit() -> None:
    with pytest.raises(CheckpointError) as caught:
        match(state("fai-m2f-n-ade"), shapes_of(state("fai-m2f-s-ade")), "fai-m2f-s-ade", "x.pth")
    assert str(caught.value) == (
        "x.pth: does not fit fai-m2f-s-ade: 1 key missing (first "
        "'pixel_decoder.backbone.features.4.conv_list.0.conv.weight'), 3 of another shape (first "
        "'pixel_decoder.backbone.features.0.conv.weight': file (16, 3, 3, 3), model (32, 3, 3, 3)); "
        "it fits fai-m2f-n-ade: use -m fai-m2f-n-ade"
    )


def test_misfit_with_other_classes_says_both() -> None:
    with pytest.raises(CheckpointError, match=r"use -m fai-m2f-n-ade \(but the file has 19 classes\)$"):
        match(state("fai-m2f-n-ade", 19), shapes_of(state("fai-m2f-s-ade")), "fai-m2f-s-ade", "x.pth")


def test_an_alias_is_not_suggested_as_another_model() -> None:
    file = state("fai-m2f-m-ade")
    expected = {**shapes_of(file), "more": (1,)}
    with pytest.raises(CheckpointError, match=r"1 key missing \(first 'more'\); give weights of fai-mf-m-ade$"):
        match(file, expected, "fai-mf-m-ade", "x.pth")


def test_other_number_of_classes_is_said_plainly() -> None:
    with pytest.raises(CheckpointError) as caught:
        match(state("fai-m2f-s-ade", 19), shapes_of(state("fai-m2f-s-ade")), "fai-m2f-s-ade", "x.pth")
    assert str(caught.value) == ("x.pth: file has 19 classes, fai-m2f-s-ade has 150; give weights for the same classes")


def test_only_extra_keys_are_a_misfit_too() -> None:
    file = {**TENSORS, "second.head": torch.ones(1)}
    with pytest.raises(
        CheckpointError, match=r"does not fit m: 1 that the model does not have \(first 'second\.head'\)"
    ):
        match(file, shapes_of(TENSORS), "m", "x.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    file = {"a": torch.ones(2), "b": torch.tensor([1.0, value])}
    with pytest.raises(CheckpointError, match=r"^x\.pth: 'b' contains NaN or infinity; "):
        match(file, shapes_of(file), "m", "x.pth")


def test_integer_weights_are_refused() -> None:
    file = {"a": torch.ones(2, dtype=torch.int8)}
    with pytest.raises(CheckpointError, match=r"'a' is torch\.int8, not floating point; give unquantised weights"):
        match(file, {"a": (2,)}, "m", "x.pth")
