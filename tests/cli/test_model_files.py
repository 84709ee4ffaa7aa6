"""Networks out of files through `run`, `eval`, `models info` and `bench`, as a user sees them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import vidseg
from tests.runtimes.tiny_networks import stripe_labels, stripes, write_network
from vidseg.cli import main
from vidseg.errors import ConfigError
from vidseg.runtimes.registry import installed_engines

SIZE = {"input": {"size": [32, 48]}}


@pytest.fixture
def net(tmp_path) -> Path:
    """Red, green, blue; after a channel that means nothing."""
    return write_network(tmp_path, channels=4, describe={**SIZE, "output": {"offset": 1}})


@pytest.fixture
def picture(tmp_path) -> Path:
    cv2.imwrite(str(tmp_path / "stripes.png"), stripes()[..., ::-1])
    return tmp_path / "stripes.png"


def dataset(folder: Path) -> Path:
    for name, image in (("images", stripes()[..., ::-1]), ("labels", stripe_labels())):
        (folder / name).mkdir(parents=True)
        cv2.imwrite(str(folder / name / "a.png"), image)
    return folder


@pytest.mark.parametrize("runtime", ["auto", "onnxruntime"])
def test_run_labels_pictures_with_a_network_file(cli, net, picture, runtime):
    result = cli("run", picture, "--save-masks", "masks", "-m", net, "--runtime", runtime, "-v", "--threads", 1)
    assert result.code == 0 and "model net.onnx" in result.err, result.err
    found = cv2.imread("masks/stripes.png", cv2.IMREAD_UNCHANGED)
    assert (found == stripe_labels()).mean() > 0.95


def test_a_network_file_runs_in_bfloat16_where_the_processor_does_and_says_so(cli, net, picture, monkeypatch):
    monkeypatch.setattr("vidseg.cores.computes_bfloat16", lambda: True)
    for number, (words, told) in enumerate([((), True), (("--precision", "float32"), False)]):
        result = cli("run", picture, "--save-masks", f"masks{number}", "-m", net, "--threads", 1, "-v", *words)
        assert result.code == 0, result.err
        assert ("net.onnx runs in bfloat16" in result.err and "cpu, bfloat16" in result.err) == told
        found = cv2.imread(f"masks{number}/stripes.png", cv2.IMREAD_UNCHANGED)
        assert (found == stripe_labels()).mean() > 0.95


def test_classes_and_colours_are_those_of_the_network(cli, net, picture, tmp_path):
    labels = "name,r,g,b\nred,1,2,3\ngreen,40,50,60\nblue,7,8,9\n"
    (tmp_path / "labels.csv").write_text(labels)
    net.with_suffix(".yaml").write_text("labels: labels.csv\ninput: {size: [32, 48]}\noutput: {offset: 1}\n")
    result = cli("run", picture, "-o", "out.png", "--view", "mask", "--classes", "green", "-m", net)
    assert result.code == 0, result.err
    colours = cv2.imread("out.png")[..., ::-1]
    assert colours[16, 24].tolist() == [40, 50, 60] and colours[16, 4].tolist() == [0, 0, 0]
    result = cli("run", picture, "-o", "out2.png", "--classes", "road", "-m", net)
    assert result.code == 2 and "unknown class 'road'" in result.err and "vidseg models info" in result.err


def test_video_is_smoothed_with_scores_and_with_labels(cli, clip, net, tmp_path):
    result = cli("run", clip, "-o", "out.mp4", "-m", net, "--legend", "--labels", "--contours")
    assert result.code == 0 and "smooth" in result.err, result.err
    path = write_network(tmp_path, name="map.onnx", output="NHW", describe={**SIZE, "output": {"layout": "NHW"}})
    result = cli("run", clip, "-o", "out2.mp4", "-m", path)
    assert result.code == 0 and "smooth" in result.err, result.err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--weights", "x.pth"], "net.onnx contains its own weights"),
        (["--rule", "winner-query"], "net.onnx has no queries"),
        (["-d", "mps"], "--device mps: runs no network files; accepted: auto, cpu, intel:gpu"),
        (
            ["-d", "intel:gpu", "--runtime", "onnxruntime"],
            "intel:gpu belongs to openvino, not to --runtime onnxruntime",
        ),
        (["--runtime", "torch"], "does not read net.onnx"),
        (["-m", "gone.onnx"], "gone.onnx: no such network file"),
    ],
)
def test_options_that_do_not_fit_a_network_file_get_one_line(cli, net, picture, options, text):
    model = () if "-m" in options else ("-m", net)
    result = cli("run", picture, "-o", "out.png", *model, *options)
    assert result.code == 2 and text in result.err and result.err.count("\n") == 1, result.err
    assert not Path("out.png").exists()


def test_a_batch_runs_a_network_file_and_does_again_what_another_one_made(cli, clip, net, tmp_path):
    words = ("batch", clip, "-o", "out", "-m", net, "--save-masks", "{stem}", "--no-video", "--limit", 2)
    result = cli(*words)
    assert result.code == 0 and "1 done" in result.err, result.err
    assert len(list(Path("out/clip").glob("*.png"))) == 2
    assert "0 to do, 1 done before" in cli(*words, "--dry-run").out
    description = net.with_suffix(".yaml").read_text()
    net.with_suffix(".yaml").write_text(description.replace("offset: 1", "offset: 1\n  background_channel: 1"))
    assert "1 to do, 0 done before" in cli(*words, "--dry-run").out
    net.with_suffix(".yaml").write_text(description)
    assert "0 to do, 1 done before" in cli(*words, "--dry-run").out
    write_network(tmp_path, channels=4, stride=8)
    assert "1 to do, 0 done before" in cli(*words, "--dry-run").out


def test_a_batch_takes_a_network_of_one_size(cli, clip, tmp_path):
    path = write_network(tmp_path, input_shape=(1, 3, 16, 16), describe={})
    result = cli("batch", clip, "-o", "out", "-m", path, "--limit", 2, "--threads", 1)
    assert result.code == 0 and Path("out/clip_annotated.mp4").exists(), result.err


@pytest.fixture
def stderr_lines(monkeypatch, capfd):
    """What a command that fails writes to file 2: engines write past Python's stderr."""

    def lines(*words: object) -> list[str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["vidseg", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        done = capfd.readouterr()
        assert end.value.code == 2 and done.out == ""
        return done.err.splitlines()

    return lines


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        (
            "net.onnx",
            b"version https://git-lfs.github.com/spec/v1\nsize 9\n",
            "is a pointer of Git LFS, not the network",
        ),
        ("net.onnx", b"Not Found", "cannot be read as a network"),
        ("net.onnx", None, "cannot be read as a network"),
        ("net.xml", b"<html>Not Found</html>", "cannot be read as a network"),
    ],
)
def test_what_is_no_network_gets_one_line_on_stderr(net, stderr_lines, name, content, text):
    if name == "net.xml" and "openvino" not in installed_engines():
        pytest.skip("openvino is not installed")
    path = net.with_name(name)
    path.write_bytes(net.read_bytes()[:200] if content is None else content)
    [line] = stderr_lines("models", "info", path)
    assert text in line
    if content is None:
        [line] = stderr_lines("run", "test:64x64,frames=2", "-o", path.with_suffix(".mp4"), "-m", path)
        assert text in line


def test_a_size_that_a_network_refuses_gets_one_line_on_stderr(picture, stderr_lines, tmp_path):
    path = write_network(tmp_path, only_cells=(5, 7), describe={})
    [line] = stderr_lines("run", picture, "-o", tmp_path / "out.png", "-m", path, "--runtime", "onnxruntime", "-q")
    assert "fails on input" in line and "multiple_of" in line


@pytest.mark.parametrize("output", ["NCHW", "NHW"])
def test_regions_of_a_network_without_queries_are_detections(cli, picture, tmp_path, output):
    """With the mean confidence where there are scores, without one where the network gives labels."""
    path = write_network(tmp_path, output=output, describe=SIZE)
    result = cli("run", picture, "--save-json", "d.jsonl", "--json-masks", "rle", "--conf", 0.1, "-m", path)
    assert result.code == 0, result.err
    found = json.loads(Path("d.jsonl").read_text())["detections"]
    truth = stripe_labels()
    assert {each["cls_id"] for each in found} == set(np.unique(truth).tolist())
    for each in found:
        (left, top, right, bottom), area = each["bbox"], (truth == each["cls_id"]).sum()
        assert abs((right + 1 - left) * (bottom + 1 - top) - area) < 0.1 * area and each["mask"]["size"] == [32, 48]
        assert each["conf"] is None if output == "NHW" else 0.1 < each["conf"] < 1
    (seg,) = vidseg.segment(picture, model=str(path), keep_queries=True)
    assert len(seg.segmentation.detections(0.1)) == len(found)
    with pytest.raises(ConfigError, match=r"the network has no queries; detections\(\) gives"):
        seg.segmentation.query_masks()


def test_a_network_of_one_size_takes_no_other(cli, picture, tmp_path):
    path = write_network(tmp_path, input_shape=(1, 3, 16, 16), describe={})
    assert cli("run", picture, "-o", "out.png", "-m", path).code == 0
    result = cli("run", picture, "-o", "out2.png", "-m", path, "--imgsz", 64)
    assert result.code == 2 and "--imgsz 64: net.onnx takes 16x16 only" in result.err


def test_eval_measures_a_network_file_with_its_own_classes(cli, net, tmp_path):
    data = dataset(tmp_path / "data")
    result = cli("eval", data, "-m", net, "--json", "scores.json", "-q")
    assert result.code == 0, result.err
    scores = json.loads(Path("scores.json").read_text())
    assert scores["miou"] > 0.9 and set(scores["classes"]) == {"red", "green", "blue"}
    assert scores["description"].startswith("net.onnx")
    result = cli("eval", data, "-m", net, "--mapping", "camvid11")
    assert result.code == 2 and "maps ADE20K's classes" in result.err
    assert cli("eval", data, "--runtime", "tensorflow").code == 2


def test_models_info_says_what_a_file_is(cli, net):
    result = cli("models", "info", net)
    assert result.code == 0, result.err
    for text in ("semantic segmentation", "image 1x3x?x? float32", "1x4x?x?", "3: 0 red, 1 green, 2 blue", "sha256"):
        assert text in result.out
    net.with_suffix(".yaml").write_text("labels: [red]\n")
    result = cli("models", "info", net)
    assert result.code == 2 and "1 label, but the network has 4 channels" in result.err


def test_bench_measures_and_compares(cli, net):
    words = ("bench", "test:48x32@10,frames=6", "-m", net, "--batch", "1,2", "--seconds", 0.02, "--threads", 1)
    result = cli(*words, "--compare", "--json", "bench.json", "-q")
    assert result.code == 0 and result.err == "", result.err
    for text in (
        *("model alone, 1 network thread ", "compared, 1 network thread ", "stage alone, 1 network thread "),
        *("end to end", "cores busy", "bound", "slowest stage", "same labels", "the busiest is "),
    ):
        assert text in result.out
    found = json.loads(Path("bench.json").read_text())
    assert [item["batch"] for item in found["model_alone"]] == [1, 2]
    assert [stage["name"] for stage in found["stages"]] == [
        *("decode", "preprocess", "model", "smooth", "postprocess", "render", "encode")
    ]
    assert all(stage["wall_ms"] > 0 and stage["frames"] >= 5 for stage in found["stages"])
    whole = found["end_to_end"]
    assert whole["frames"] >= 5 and whole["fps"] > 0 and whole["cpu_ms"] > 0
    assert 0 < whole["cores_busy"] <= found["cores"] + 0.1
    assert found["bound"]["fps"] > 0 and found["machine"]["torch"] and found["network_hw"] == [32, 48]
    assert all(np.isclose(each["same_labels"], 1) for each in found["compared"]) and len(found["compared"]) >= 1
    assert found["threads_alone"] == found["threads_run"] == 1 and found["machine"]["torch_threads"] == "1"
    assert cli(*words, "--json", "bench.json").code == 2
    result = cli(*words, "--compare", "--precision", "fast", "--json", "fast.json", "-q")
    assert result.code == 0, result.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--batch", "one"], "--batch is 'one'"),
        (["--batch", "0"], "--batch is 0; accepted: numbers from 1 to 64"),
        (["--seconds", "0"], "--seconds is 0"),
        (["stripes.png"], "bench needs a video file or test"),
        (["-m", "nope"], "unknown model 'nope'"),
    ],
)
def test_bench_refuses_in_one_line(cli, picture, words, text):
    result = cli("bench", *words)
    assert result.code == 2 and text in result.err and result.err.count("\n") == 1, result.err


def test_bench_takes_a_preset_and_falls_back_to_an_encoder_that_works(cli):
    words = ("bench", "test:64x48@10,frames=9", "--batch", 1, "--seconds", 0.02, "--device", "cpu", "--imgsz", 64)
    result = cli(*words, "--preset", "realtime", "--codec", "h264_nvenc", "--json", "bench.json")
    assert result.code == 0, result.err
    if "encoding with libx264" not in result.err:
        pytest.skip("has an encoder of hardware")
    found = json.loads(Path("bench.json").read_text())
    costs = {stage["name"]: stage["wall_ms"] for stage in found["stages"]}
    network = (costs["preprocess"] + costs["model"]) / 3  # of every third frame
    masks = (costs["smooth"] + costs["postprocess"]) / 3
    slowest = max(network, masks, costs["decode"], costs["render"] + costs["encode"])
    assert np.isclose(found["bound"]["by_thread"], 1000 / slowest)
    result = cli(*words, "--preset", "nope")
    assert result.code == 2 and "unknown preset 'nope'" in result.err
