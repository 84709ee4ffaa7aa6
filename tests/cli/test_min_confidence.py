"""What is not sure enough stays without a label, in a run and afterwards, as a user sees it."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.cli.test_run import SMALL, assert_one_line_error, pictures
from vidseg.frames import NO_LABEL
from vidseg.sources.mask_reader import read_mask_folder, read_mask_video

LEAST = 66
SURE = ("--min-confidence", LEAST / 255)


def maps(path: str, option: str = "--save-masks") -> np.ndarray:
    read = partial(read_mask_video, option=option) if Path(path).suffix == ".mkv" else read_mask_folder
    return np.stack([mask.load() for mask in read(path)])


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("saved", ["sure.mkv", "sure"])
def test_labels_are_those_of_a_plain_run_where_the_saved_confidence_is_enough(cli, clip, saved, stride):
    common = ("run", clip, *SMALL, "--stride", stride)
    assert cli(*common, "--save-masks", "all.mkv", "--save-confidence", "first.mkv").code == 0
    least = int(np.median(maps("first.mkv", "--save-confidence")))
    sure = ("--min-confidence", least / 255)
    result = cli(*common, "--save-masks", "some.mkv", "--save-confidence", saved, *sure, "--save-csv", "shares.csv")
    assert result.code == 0, result.err
    everything, some, levels = maps("all.mkv"), maps("some.mkv"), maps(saved, "--save-confidence")
    unsure = levels < least
    assert len(levels) == 12 and 0.01 < unsure.mean() < 0.99
    assert (some == np.where(unsure, NO_LABEL, everything)).all()
    with open("shares.csv", encoding="utf-8") as file:
        shares = [float(row["no_label"]) for row in csv.DictReader(file)]
    assert shares == pytest.approx((some == NO_LABEL).mean(axis=(1, 2)).tolist(), abs=1e-3)


@pytest.mark.parametrize("look", [(*SURE, "--contours"), ("--view", "confidence")])
def test_render_gives_the_pictures_of_the_run(cli, clip, look):
    assert cli("run", clip, *SMALL, "--save-masks", "all", "--save-confidence", "sure").code == 0
    assert cli("run", clip, *SMALL, *look, "-o", "a.mov", "--codec", "mjpeg").code == 0
    result = cli("render", clip, "all", "--confidence", "sure", *look, "-o", "b.mov", "--codec", "mjpeg")
    assert result.code == 0, result.err
    pairs = list(zip(pictures("a.mov"), pictures("b.mov"), strict=True))
    assert len(pairs) == 12 and all(np.array_equal(a, b) for a, b in pairs)


def test_render_asks_for_the_confidence_and_for_the_right_one(cli, clip):
    assert cli("run", clip, *SMALL, "--save-masks", "all", "--save-confidence", "sure.mkv", "--limit", 5).code == 0
    result = cli("render", clip, "all", *SURE, "-o", "b.mp4")
    assert result.code == 2
    assert_one_line_error(result, "--min-confidence: masks carry no confidence; give --confidence")
    result = cli("render", clip, "sure.mkv", "-o", "b.mp4")
    assert result.code == 2
    assert_one_line_error(result, "sure.mkv: was written by --save-confidence; give what --save-masks wrote")
    assert cli("run", clip, *SMALL, "--save-masks", "more").code == 0
    result = cli("render", clip, "more", "--confidence", "sure.mkv", *SURE, "-o", "b.mp4")
    assert result.code in (1, 2) and "sure.mkv: has no confidence for frame 5" in result.err
    assert not Path("b.mp4").exists()


def test_what_is_unsure_is_hidden_by_a_blur_and_that_is_said(cli, clip):
    common = ("run", clip, *SMALL, "--blur-classes", "bus", "--blur-style", "fill", "--opacity", 0, "--blur-margin", 0)
    assert cli(*common, "-o", "a.mkv", "--crf", 0).code == 0
    result = cli(*common, "-o", "b.mkv", "--crf", 0, "--min-confidence", 1)
    assert result.code == 0 and "regions below --min-confidence are hidden too" in result.err
    assert np.mean(pictures("b.mkv")[5]) < 2 < np.mean(pictures("a.mkv")[5])


@pytest.mark.parametrize("wish", [SURE, ("--save-confidence", "sure"), ("--view", "confidence")])
def test_a_network_that_gives_labels_does_not_know_how_sure_it_is(cli, clip, tmp_path, wish):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tests.runtimes.tiny_networks import write_network

    described = {"input": {"size": [32, 48]}, "output": {"layout": "NHW"}}
    net = write_network(tmp_path, name="labels.onnx", output="NHW", describe=described)
    result = cli("run", clip, "-m", net, "-o", "a.mp4", *wish)
    assert result.code == 2
    assert_one_line_error(result, f"{wish[0]}", "labels.onnx outputs labels without confidence")


@pytest.mark.parametrize("resumed", [False, True])
def test_chunks_and_workers_leave_out_the_same(cli, clip, resumed):
    common = ("run", clip, *SMALL, *SURE, "--stride", 2)
    assert cli(*common, "--save-masks", "one").code == 0
    more = ("--resume", "--segment-seconds", 0.2, "--save-confidence", "sure") if resumed else ("--workers", 2)
    result = cli(*common, "--save-masks", "two", *more)
    assert result.code == 0, result.err
    assert (maps("one") == maps("two")).all()


def test_the_calibration_of_the_weights_counts(cli, clip, tmp_path, monkeypatch):
    from vidseg.confidence import Calibration
    from vidseg.zoo import file_labels

    curve = Calibration(((0.0, 0.0), (1.0, 0.5)))
    monkeypatch.setattr(file_labels, "weights_calibration", lambda path: curve)
    monkeypatch.setattr("vidseg.zoo.weights_calibration", lambda path: curve, raising=False)
    assert cli("run", clip, *SMALL, "--save-masks", "some", *SURE, "--save-confidence", "sure").code == 0
    levels = maps("sure")
    assert levels.max() <= 128 and ((maps("some") == NO_LABEL) == (levels < LEAST)).all()


def test_pictures_of_several_sizes_are_rendered_again(cli, tmp_path):
    (tmp_path / "photos").mkdir()
    for number, size in enumerate(((48, 64), (40, 40))):
        image = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        cv2.imwrite(f"photos/{number}.png", cv2.resize(image, size[::-1]))
    assert cli("run", "photos", *SMALL, "--save-masks", "m", "--save-confidence", "c").code == 0
    assert cli("run", "photos", *SMALL, "-o", "a/", *SURE).code == 0
    assert cli("render", "photos", "m", "--confidence", "c", "-o", "b/", *SURE).code == 0
    for path in sorted(Path("a").iterdir()):
        assert np.array_equal(cv2.imread(str(path)), cv2.imread(str(Path("b", path.name))))
