"""Makers' exports without a YAML through `run`, `eval`, `bench` and `models info`, as a user sees them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
import torch
from safetensors.torch import save_file

from vidseg.errors import CheckpointError
from vidseg.runtimes.registry import installed_engines
from vidseg.zoo.checkpoint import CLASSIFIER_WEIGHT, read_checkpoint

pytest.importorskip("onnx")
if not {"onnxruntime", "openvino"} <= set(installed_engines()):
    pytest.skip("needs both engines", allow_module_level=True)

from tests.runtimes.signatures import SIGNATURES, picture


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: signature.name)
def test_all_commands_take_a_makers_export(cli, signature, tmp_path):
    folder = tmp_path / "net"
    folder.mkdir()
    named = ["-m", signature.write(folder)]
    label_set = ["--label-set", signature.label_set] if signature.label_set else []
    image, expected = picture(signature.size_hw), signature.labels(picture(signature.size_hw))
    for name, pixels in (("images", image[..., ::-1]), ("labels", expected)):
        (tmp_path / "data" / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "data" / name / "a.png"), pixels)

    told = cli("models", "info", named[1], *label_set)
    assert told.code == 0 and "found" in told.out and "classes by" in told.out, told.err

    result = cli("run", "data/images/a.png", "--save-masks", "masks", *named, *label_set, "--threads", 1)
    assert result.code == 0, result.err
    found = cv2.imread("masks/a.png", cv2.IMREAD_UNCHANGED)
    assert (found != expected).mean() <= signature.rounding

    result = cli("eval", "data", *named, *label_set, "--json", "scores.json", "-q", "--threads", 1)
    assert result.code == 0, result.err
    assert json.loads(Path("scores.json").read_text())["pixel_accuracy"] >= 1 - signature.rounding


@pytest.mark.parametrize(
    ("tiles", "told"), [((), "model input 64x64"), (("--tiles", "2x2"), "model input 2x2 windows at 64x64")]
)
def test_bench_takes_a_folder_that_letterboxes(cli, tmp_path, tiles, told):
    [signature] = [each for each in SIGNATURES if each.name == "eomt"]
    path = signature.write(tmp_path)
    words = ("bench", "test:64x48@10,frames=6", "-m", path, "--batch", "1", "--seconds", 0.02, "--threads", 1)
    result = cli(*words, *tiles, "--json", "bench.json", "-q")
    assert result.code == 0 and told in result.out, result.err
    assert json.loads(Path("bench.json").read_text())["network_hw"] == [64, 64]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("yolo26n-sem.pt", "convert it to ONNX first: yolo export model=yolo26n-sem.pt format=onnx"),
        ("model.pdmodel", "paddle2onnx --model_dir"),
        ("net.keras", "tf2onnx"),
        ("net.engine", "the ONNX file that the TensorRT engine was built from"),
    ],
)
def test_files_that_hold_no_network_for_here_name_the_export(cli, name, text):
    Path(name).write_bytes(b"x")
    result = cli("run", "test:64x48,frames=1", "-o", "out.mp4", "-m", name)
    assert result.code == 2 and text in result.err and result.err.count("\n") == 1, result.err


@pytest.mark.parametrize("given", ["run/weights.safetensors", "run", "run/last.pt"])
def test_weights_of_vidseg_given_as_a_model_name_the_option_for_them(cli, given):
    Path("run").mkdir()
    content = {CLASSIFIER_WEIGHT: torch.zeros(4, 4)}
    torch.save(content, "run/last.pt")
    save_file(content, "run/weights.safetensors")
    result = cli("run", "test:64x48,frames=1", "-o", "out.mp4", "-m", given)
    named = "run/weights.safetensors" if given == "run" else given
    assert result.code == 2 and f"give --weights {named}, and" in result.err and result.err.count("\n") == 1, result.err
    assert "no such file" in cli("run", "test:64x48,frames=1", "-o", "out.mp4", "-m", "nowhere.pt").err
    with pytest.raises(CheckpointError, match=r"run: a folder; give run/weights\.safetensors$"):
        read_checkpoint("run")


def test_wrong_metadata_is_told_in_one_line(cli, tmp_path):
    [signature] = [each for each in SIGNATURES if each.name == "segformer"]
    folder = signature.write(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    for key, value, text in (
        ("id2label", {"0": "a", "2": "b"}, "ids must run from 0 to 1 without gaps"),
        ("id2label", {"0": "a", "1": "b"}, "2 labels, but the network has 150 channels"),
        ("id2label", "none", "accepted: class names by id"),
    ):
        (folder / "config.json").write_text(json.dumps(config | {key: value}))
        result = cli("models", "info", folder)
        assert result.code == 2 and text in result.err and result.err.count("\n") == 1, result.err
    (folder / "config.json").write_text("{")
    result = cli("models", "info", folder)
    assert result.code == 2 and "config.json: cannot be read as JSON" in result.err, result.err


def test_a_yaml_goes_before_what_the_maker_wrote(cli, tmp_path):
    [signature] = [each for each in SIGNATURES if each.name == "ultralytics map"]
    path = signature.write(tmp_path)
    Path(f"{path}.yaml").write_text("input: {resize: stretch}\n")
    told = cli("models", "info", path)
    assert told.code == 0 and "64x64 only; stretched to it" in told.out, told.err
    assert "RGB / 255" in told.out and "Ultralytics: metadata in" in told.out


def test_a_network_for_something_else_is_refused(cli, tmp_path):
    from tests.runtimes.signatures import FLOAT, _ultralytics_notes, write

    notes = _ultralytics_notes(["a"], [64, 64]) | {"task": "detect"}
    outputs = [("output0", FLOAT, (1, 3, 64, 64), "scores")]
    path = write(tmp_path / "yolo.onnx", given=("images", FLOAT, (1, 3, 64, 64)), outputs=outputs, count=3, notes=notes)
    result = cli("models", "info", path)
    assert result.code == 2 and "is an Ultralytics network for 'detect'; accepted: semantic" in result.err


def test_classes_that_nobody_names_take_one_option(cli, tmp_path):
    from tests.runtimes.signatures import FLOAT, write

    outputs = [("output", FLOAT, (1, 7, 16, 16), "scores")]
    path = write(tmp_path / "net.onnx", given=("x", FLOAT, (1, 3, 64, 64)), outputs=outputs, count=7)
    result = cli("models", "info", path)
    assert result.code == 2 and "nothing names the classes (7 channels); give --label-set" in result.err, result.err
    (tmp_path / "names.txt").write_text("\n".join(f"n{number}" for number in range(7)))
    told = cli("models", "info", path, "--label-set", "names.txt")
    assert told.code == 0 and "7: 0 n0, 1 n1" in told.out and "mean and std of ImageNet" in told.out, told.err
    assert "letterboxed into it" in told.out


def test_eval_takes_ade20k_as_it_is_downloaded(cli, tmp_path):
    [signature] = [each for each in SIGNATURES if each.name == "segformer"]
    image, expected = picture(signature.size_hw), signature.labels(picture(signature.size_hw)).astype(int)
    stored = expected + 1
    stored[:8] = 0  # what is none of the classes does not count
    for name, pixels in (("images", image[..., ::-1]), ("annotations", stored.astype("uint8"))):
        (tmp_path / "ADE" / name / "training").mkdir(parents=True)
        (tmp_path / "ADE" / name / "validation").mkdir()
        cv2.imwrite(str(tmp_path / "ADE" / name / "validation" / "ADE_val_00000001.png"), pixels)
    net = tmp_path / "net"
    net.mkdir()
    words = ("eval", "ADE", "-m", signature.write(net), "--label-set", "ade20k", "--json", "scores.json", "-q")
    result = cli(*words, "--threads", 1)
    assert result.code == 0, result.err
    scores = json.loads(Path("scores.json").read_text())
    assert scores["pixels"] == 40 * 64 and scores["pixel_accuracy"] > 0.99 and "float32" in scores["description"]
