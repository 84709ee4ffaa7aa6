"""`vidseg export`: the file works in its engine and in `vidseg run`, and one that disagrees never gets its name."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import pytest
import torch
import yaml

from vidseg.commands import export as export_app
from vidseg.runtimes.registry import installed_engines

MODEL = "m2f-mobile-ade"


def skip_unless_installed(*names):
    for name in names:
        if name not in installed_engines():
            pytest.skip(f"{name} is not installed")


def masks(cli, clip, folder, *options):
    result = cli("run", clip, "--save-masks", folder, "--limit", 2, "--imgsz", 64, "--threads", 1, *options)
    assert result.code == 0, result.err
    return [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(Path(folder).glob("*.png"))]


def test_an_exported_onnx_file_runs_like_the_model(cli, clip):
    skip_unless_installed("onnxruntime")
    result = cli("export", MODEL, "--imgsz", 64)
    assert result.code == 0 and result.out == "", result.err
    assert "agrees with torch: labels on 100.00%" in result.err and f"wrote {MODEL}.onnx" in result.err
    assert sorted(os.listdir()) == [f"{MODEL}.onnx", f"{MODEL}.onnx.yaml"]
    expected = masks(cli, clip, "expected", "--runtime", "torch")
    for runtime in {"onnxruntime", "openvino"} & set(installed_engines()):
        found = masks(cli, clip, runtime, "-m", f"{MODEL}.onnx", "--runtime", runtime)
        assert all((ours == theirs).mean() > 0.995 for ours, theirs in zip(found, expected, strict=True))

    import onnx

    model = onnx.load(f"{MODEL}.onnx")
    facts = {item.key: item.value for item in model.metadata_props}
    assert facts["model"] == MODEL and facts["labels"] == '"ade20k"'
    assert yaml.safe_load(facts["description"]) == yaml.safe_load(Path(f"{MODEL}.onnx.yaml").read_text())
    result = cli("export", MODEL, "--imgsz", 64)
    assert result.code == 2 and "exists; overwrite it with -y" in result.err


def test_the_exports_of_the_docs_can_lie_side_by_side(cli):
    skip_unless_installed("onnxruntime", "openvino")
    page = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8").splitlines()
    lines = [line.split("#")[0].split() for line in page if line.startswith("vidseg export ")]
    assert len(lines) == 3
    for _, *words in lines:
        result = cli(*words)
        assert result.code == 0, result.err
    files = [f"{MODEL}.onnx", f"{MODEL}.torchscript", f"{MODEL}.xml"]
    assert sorted(os.listdir()) == sorted([f"{MODEL}.bin", *files, *(f"{name}.yaml" for name in files)])
    tasks = {"onnx": "query", "xml": "query", "torchscript": "semantic"}
    for name in files:
        for given in (name, f"{name}.yaml"):
            result = cli("models", "info", given, "--trust-model")
            assert result.code == 0 and f"{tasks[name.rpartition('.')[2]]} segmentation" in result.out, result.err


def test_openvino_with_one_size_and_a_map_of_scores(cli, clip):
    skip_unless_installed("openvino")
    result = cli("export", MODEL, "-f", "openvino", "--outputs", "semantic", "--fixed", "48x64", "-o", "net.xml")
    assert result.code == 0 and "sizes 64x48" in result.err, result.err
    assert sorted(os.listdir()) == ["net.bin", "net.xml", "net.xml.yaml"]
    assert b"model_info" in Path("net.xml").read_bytes()
    expected = masks(cli, clip, "expected", "--runtime", "torch")
    result = cli("run", clip, "--save-masks", "found", "--limit", 2, "-m", "net.xml")
    assert result.code == 0, result.err
    found = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(Path("found").glob("*.png"))]
    assert all((ours == theirs).mean() > 0.99 for ours, theirs in zip(found, expected, strict=True))
    assert "takes 64x48 only" in cli("run", clip, "-o", "o.mp4", "-m", "net.xml", "--imgsz", 64).err


def test_torchscript_is_read_by_torch(cli, clip):
    result = cli("export", MODEL, "-f", "torchscript", "--imgsz", 64, "-o", "net.torchscript")
    assert result.code == 0 and "labels on 100.00%" in result.err, result.err
    extra = {"model": ""}
    module = torch.jit.load("net.torchscript", _extra_files=extra)
    assert extra["model"].decode() == MODEL
    class_logits, mask_logits = module(torch.zeros(1, 3, 40, 56, dtype=torch.uint8))
    assert class_logits.shape == (1, 64, 151) and mask_logits.shape[2:] == (10, 14)
    expected = masks(cli, clip, "expected", "--runtime", "torch")
    found = masks(cli, clip, "found", "-m", "net.torchscript", "--trust-model")
    assert all((ours == theirs).mean() > 0.995 for ours, theirs in zip(found, expected, strict=True))


def test_a_file_that_disagrees_is_not_kept(cli, monkeypatch):
    def wrong(network, **options):
        with torch.no_grad():
            network.model.head.predictor.query_feat.weight.mul_(-1)
        return to_torchscript(network, **options)

    to_torchscript = export_app.to_torchscript
    monkeypatch.setattr(export_app, "to_torchscript", wrong)
    result = cli("export", MODEL, "-f", "torchscript", "--imgsz", 64)
    assert result.code == 1 and "not kept" in result.err and result.err.count("\n") == 1, result.err
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["nope"], "unknown model 'nope'"),
        ([MODEL, "-f", "tflite"], "--format is 'tflite'; accepted: onnx, openvino, torchscript"),
        ([MODEL, "--outputs", "all"], "--outputs is 'all'; accepted: queries, semantic"),
        ([MODEL, "--fixed", "64"], "--fixed is '64'; accepted: HEIGHTxWIDTH"),
        ([MODEL, "--fixed", "8x64"], "--fixed: sides are 32 to 4096 pixels"),
        ([MODEL, "--fixed", "64x64", "--imgsz", "64"], "both set the size"),
        ([MODEL, "-f", "torchscript", "-o", "net.onnx"], "ends in .torchscript"),
        ([MODEL, "-f", "torchscript", "-o", "gone/net.torchscript"], "does not exist; create it first"),
    ],
)
def test_mistakes_get_one_line_and_leave_nothing(cli, words, text):
    result = cli("export", *words)
    assert result.code == 2 and text in result.err and result.err.count("\n") == 1, result.err
    assert os.listdir() == []
