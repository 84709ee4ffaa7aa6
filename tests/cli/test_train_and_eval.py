"""`vidseg train` and `vidseg eval` as a user sees them: exit code, the two streams, and files."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from tests.data.folders import make_dataset
from tests.pngs import png_bytes
from vidseg.cli import console
from vidseg.cli.training_console import TrainingConsole
from vidseg.data.mixture import draw_order
from vidseg.errors import ConfigError
from vidseg.train import session as session_module
from vidseg.train.evaluate import evaluate

TINY = ("--steps", 3, "--batch", 2, "--crop", "64x64", "--warmup", 1, "--points", 0, "--threads", 1, "--device", "cpu")
ROOT = Path(__file__).parent.parent.parent
FAST = ("--imgsz", 64, "--threads", 1, "--device", "cpu")


def instead(usual, *words):
    """The words, and what is usual of the other options."""
    rest = zip(usual[::2], usual[1::2], strict=True)
    return (*words, *(word for pair in rest if pair[0] not in words for word in pair))


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "set", 5, (64, 96), soft=True)


def assert_one_line_error(result, text, code=2):
    assert result.code == code and result.out == ""
    lines = [line for line in result.err.splitlines() if "error" in line]
    assert len(lines) == 1 and lines[0].startswith("vidseg: error: ") and text in lines[0], result.err


def test_trained_weights_can_be_measured_and_run(cli, data, clip):
    result = cli("train", data, data, "--mix", "1,3", "-o", "run", "--init", "pretrained", "--val", data, *TINY)
    assert result.code == 0 and result.out == "", result.err
    assert "training m2f-mobile-ade on 5 of" in result.err and "step 3: mIoU" in result.err
    assert f"wrote {Path('run/weights.safetensors')}" in result.err
    assert cli("eval", data, "--weights", "run/weights.safetensors", *FAST).code == 0
    assert cli("run", clip, "-o", "out.mp4", "--weights", "run/weights.safetensors", *FAST).code == 0


def test_the_small_model_starts_from_the_nano(cli, data):
    result = cli("train", data, "-o", "run", "-m", "fai-m2f-s-ade", "--init", "fai-m2f-n-ade", *TINY)
    assert result.code == 0 and "is of a network half as wide: widened, with the same output" in result.err, result.err
    widened = json.loads(Path("run/history.json").read_text())[0]["loss"]
    cli("train", data, "-o", "random", "-m", "fai-m2f-s-ade", *TINY)
    assert widened < json.loads(Path("random/history.json").read_text())[0]["loss"]


def test_a_cpu_trains_in_bfloat16_when_asked(cli, data):
    result = cli("train", data, "-o", "run", *TINY, "--half")
    assert result.code == 0 and "cpu, bfloat16" in result.err, result.err
    rounded = json.loads(Path("run/history.json").read_text())[-1]["loss"]
    cli("train", data, "-o", "full", *TINY)
    full = json.loads(Path("full/history.json").read_text())[-1]["loss"]
    assert rounded != full and rounded == pytest.approx(full, rel=0.05)


def test_a_finished_run_is_not_trained_over(cli, data):
    assert cli("train", data, "-o", "run", *TINY, "-q").err == ""
    assert_one_line_error(
        cli("train", data, "-o", "run", *TINY), "run: contains a training run; continue it with --resume"
    )
    assert "resuming after step 3" in cli("train", data, "-o", "run", "--resume", *TINY).err
    assert_one_line_error(
        cli("train", data, "-o", "run", "--resume", *TINY, "--seed", 2), "--seed was 0 and is now 2; give the options"
    )


def test_a_run_goes_on_with_its_own_start_however_it_is_called(cli, data):
    assert cli("train", data, "-o", "run", "--init", "pretrained", *TINY).code == 0
    for words in (("--init", "pretrained"), ("--init", "m2f-mobile-ade"), ()):
        assert "resuming after step 3" in cli("train", data, "-o", "run", "--resume", *words, *TINY).err
    result = cli("train", data, "-o", "run", "--resume", "--init", "none.pt", *TINY)
    assert_one_line_error(result, f"began with m2f-mobile-ade, not with --init {Path('none.pt').resolve()}")


def test_a_folder_in_which_another_run_is_at_work_is_refused_until_it_ends_or_is_killed(cli, data):
    Path("run").mkdir()
    code = "import sys; from pathlib import Path; from vidseg.folder_lock import locked\n"
    code += "with locked(Path('run')):\n  print('held', flush=True); sys.stdin.read()"
    command, path = [sys.executable, "-c", code], {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=path) as other:
        assert other.stdout.readline() == b"held\n"
        for words in ((), ("--resume",)):
            result = cli("train", data, "-o", "run", *words, *TINY)
            assert_one_line_error(result, "run: another run is using it; wait until it ends, or choose another")
        other.kill()
        other.wait(timeout=60)
        assert cli("train", data, "-o", "run", *TINY).code == 0
    assert not Path("run/lock").exists()


def test_held_out_pictures_are_those_that_eval_picks_and_are_measured_on(cli, data, monkeypatch):
    measured = []

    def watched(segmenter, dataset, **options):
        measured.append(dataset.names)
        return evaluate(segmenter, dataset, **options)

    monkeypatch.setattr(session_module, "evaluate", watched)
    result = cli("train", data, data, "-o", "run", "--holdout", "0,2", "--imgsz", 64, *TINY)
    assert f"on 5 of {data} + 2 of {data}" in result.err
    assert "measuring on the 3 held-out images every 500 steps and at the end" in result.err
    names = sorted(path.stem for path in (data / "images").iterdir())
    assert measured == [names[::2]] and "step 3: mIoU" in result.err
    assert "3 images" in cli("eval", data, "--every", 2, *FAST).out
    result = cli("train", data, data, "-o", "two", "--holdout", "2,3", "--val-mapping", "camvid11", *TINY)
    assert "measuring on the 5 held-out images" in result.err and measured[1:] == [names[::2], names[::3]]
    result = cli("train", data, "-o", "other", "--holdout", "2", "--val", data, *TINY)
    assert "measuring" not in result.err and measured[3:] == [names] and "step 3: mIoU" in result.err


def test_held_out_pictures_without_labels_are_not_measured_on(cli, tmp_path):
    folder = make_dataset(tmp_path / "set", 4, (64, 96), soft=True)
    (folder / "sets.csv").write_text("value,ids\n255,soft\n")
    for path in (folder / "labels").iterdir():
        cv2.imwrite(str(path), np.full((64, 96), 255, np.uint8))
    result = cli("train", folder, "-o", "run", "--holdout", 2, *TINY)
    assert result.code == 0 and "step 3: mIoU" not in result.err
    assert f"of the images held out in {folder}: no pixel has a label of the measured classes" in result.err


def test_progress_tells_losses_rate_time_left_and_the_last_miou(cli, data, monkeypatch):
    monkeypatch.setattr(console, "PLAIN_LINE_SECONDS", 0)
    result = cli("train", data, "-o", "run", "--val", data, "--val-every", 1, *TINY)
    lines = [line for line in result.err.splitlines() if line.startswith("vidseg: step ") and "/3, " in line]
    losses = r"loss \d+\.\d\d \(ce \d+\.\d\d, mask \d+\.\d\d, dice \d+\.\d\d, semantic \d+\.\d\d\), lr [\de.-]+"
    for line, step, measured, left in zip(
        lines, (1, 2, 3), ("", *2 * [r", mIoU 0\.\d{3}"]), ("", *2 * [r", [\d:]+ left"]), strict=True
    ):
        assert re.fullmatch(rf"vidseg: step {step}/3, {losses}{measured}, \d+\.\d crops/s{left}", line), line
    history = json.loads(Path("run/history.json").read_text())
    assert f"loss {history[0]['loss']:.2f} (" in lines[0] and f", mIoU {history[1]['miou']:.3f}," in lines[1]


def test_a_warmup_longer_than_the_run_reaches_the_rate_all_the_same(cli, data):
    result = cli("train", data, "-o", "run", *instead(TINY, "--steps", 5, "--warmup", 200))
    assert "--warmup 200 is not shorter than the run of 5 steps, so the learning rate rises for 1" in result.err
    rates = [row["lr"] for row in json.loads(Path("run/history.json").read_text())]
    assert rates[:2] == [1e-3, 1e-3] and rates == sorted(rates, reverse=True)
    assert "warmup" not in cli("train", data, "-o", "other", *TINY).err


def test_resume_of_nothing_starts(cli, data):
    result = cli("train", data, "-o", "run", "--resume", *TINY)
    assert result.code == 0 and "nothing to resume in run" in result.err


def test_ctrl_c_writes_a_checkpoint_and_resume_ends_the_run(cli, data, monkeypatch):
    step = TrainingConsole.step

    def interrupt_once(self, done, *rest):
        step(self, done, *rest)
        if done == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(TrainingConsole, "step", interrupt_once)
    result = cli("train", data, "-o", "run", *TINY)
    assert result.code == 130 and "stopped after step 1; continue with --resume" in result.err
    result = cli("train", data, "-o", "run", "--resume", *TINY)
    assert result.code == 0 and "resuming after step 1" in result.err


def test_other_class_counts_are_trained_measured_and_run(cli, clip, tmp_path):
    folder = make_dataset(tmp_path / "few", 2, (64, 96))
    result = cli("train", folder, "-o", "run", "--classes", 21, "--init", "pretrained", *TINY)
    assert result.code == 0 and "has 150 classes: the classifier for 21 is initialised randomly" in result.err
    weights = ("--weights", "run/weights.safetensors")
    result = cli("eval", folder, *weights, *FAST)
    assert result.code == 0 and result.out.splitlines()[1].split()[0] in {"2", "4", "6", "20"}
    assert cli("run", clip, "-o", "out.mp4", *weights, *FAST).code == 0
    result = cli("eval", folder, "--mapping", "camvid11", *weights, *FAST)
    assert_one_line_error(result, "--mapping camvid11: maps ADE20K's classes, but run/weights.safetensors has others")


def test_classes_with_names_keep_them(cli, clip, tmp_path):
    folder = make_dataset(tmp_path / "few", 2, (64, 96))
    names = [f"thing {number}" for number in range(20)] + ["last"]
    Path("names.txt").write_text("\n".join(names))
    assert cli("train", folder, "-o", "run", "--classes", "names.txt", "--init", "pretrained", *TINY).code == 0
    weights = ("--weights", "run/weights.safetensors")
    assert cli("classes", *weights).out.splitlines()[20] == " 20  last"
    result = cli("eval", folder, "--only", "last", *weights, *FAST)
    assert result.code == 0 and result.out.splitlines()[1].split()[0] == "last"
    result = cli("run", clip, "-o", "out.mp4", "--classes", "lost", *weights, *FAST)
    assert_one_line_error(
        result, "unknown class 'lost'; near: last; `vidseg classes --weights run/weights.safetensors` lists all 21"
    )
    result = cli("run", clip, "-o", "out.mp4", "--classes", "last", "--save-csv", "shares.csv", *weights, *FAST)
    assert result.code == 0 and Path("shares.csv").read_text().splitlines()[0].split(",")[-2] == "last"
    assert cli("export", "m2f-mobile-ade", "-o", "own.onnx", *weights).code == 0
    assert yaml.safe_load(Path("own.onnx.yaml").read_text())["labels"] == names


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--steps", 0), "--steps is 0; accepted"),
        (("--crop", "64x"), "--crop is '64x'; accepted: HEIGHTxWIDTH"),
        (("--mix", "1,2"), "--mix has 2 numbers for 1 datasets"),
        (("--val-mapping", "camvid11"), "--val-mapping camvid11: nothing is measured; give --val or --holdout too"),
        (("--holdout", "2,2"), "--holdout has 2 numbers for 1 datasets"),
        (("-m", "nope"), "unknown model 'nope'"),
        (("--init", "none.pt"), "none.pt: no such file"),
        (("-m", "fai-m2f-m-ade", "--init", "{nano}"), "it fits fai-m2f-n-ade: use -m fai-m2f-n-ade"),
        (("--val", "nowhere"), "nowhere: does not exist; accepted: images/ with labels/"),
        (("--val", "{data}", "--val-mapping", "cityscapes"), "--mapping cityscapes: no such mapping"),
        (
            ("--classes", 21, "--val", "{data}", "--val-mapping", "camvid11"),
            "--val-mapping camvid11: maps ADE20K's classes, but this model has others",
        ),
        (("--classes", "none.txt"), "--classes: file none.txt cannot be read"),
        (("--threads", 0), "--threads is 0; accepted: a whole number from 1 to 256"),
        (("--workers", -1), "--workers is -1; accepted: a whole number from 0 to 256"),
        (("--imgsz", -5), "--imgsz is -5; accepted: a whole number from 32 to 4096"),
        (("--imgsz", 8), "--imgsz is 8; accepted: a whole number from 32"),
        (("--imgsz", 0), "--imgsz is 0"),
        (("--save-every", 0), "--save-every is 0; accepted: 1 or more"),
        (("--device", "cuda:99"), "--device cuda:99"),
        (("--precision", "float16"), "--precision float16 needs CUDA for training; on cpu use float32 or bfloat16"),
        (("--precision", "fp16"), "--precision float16 needs CUDA for training"),
        (("--half", "--precision", "fp32"), "--half and --precision float32 contradict each other"),
        (("--precision", "int8"), "--precision is 'int8'; accepted: auto, float32"),
        (("--classes", 10), "contains class id 20; accepted: 0 to 9"),
        (("--max-pixels", 0), "--max-pixels is 0; accepted: a whole number from 1"),
        (
            ("--max-pixels", 6143),
            "96x64 pixels, 0 megapixels; at most 0.006143 are read; make it smaller, or give --max-",
        ),
    ],
)
def test_what_cannot_be_trained_is_told_in_one_line(cli, data, words, text):
    from vidseg import zoo

    places = {"{data}": data, "{nano}": zoo.entry("fai-m2f-n-ade").bundled_path}
    words = instead(TINY, *(places.get(word, word) for word in words))
    assert_one_line_error(cli("train", data, "-o", "run", *words), text)


def test_a_bad_label_file_is_found_before_the_first_step(cli, tmp_path):
    """Also one that no crop of these few steps would be cut from, and one that is only measured on."""
    folder, good = make_dataset(tmp_path / "bad", 30, (64, 96)), make_dataset(tmp_path / "good", 2, (64, 96))
    drawn = {picture for _, picture in draw_order([30], [1], 3 * 2, seed=0).tolist()}
    unseen = next(number for number in range(30) if number not in drawn)
    bad = f"{unseen:03}.png"
    cv2.imwrite(str(folder / "labels" / bad), np.full((64, 96), 151, np.uint8))
    for data in ((folder,), (good, "--val", folder)):
        result = cli("train", *data, "-o", "run", *TINY)
        assert_one_line_error(result, f"{bad}: contains class id 151; accepted: 0 to 149, and 255 for no label")
        assert not list(Path("run").iterdir())


def test_pictures_without_any_label_are_neither_trained_nor_measured_on(cli, data, tmp_path):
    def labelled(name, value, soft=False):
        folder = make_dataset(tmp_path / name, 2, (64, 96), soft=soft)
        for path in (folder / "labels").iterdir():
            cv2.imwrite(str(path), np.full((64, 96), value, np.uint8))
        if soft:  # they stand in for the missing labels
            (folder / "sets.csv").write_text("value,ids\n255,soft\n")
        return folder

    none, sea = labelled("none", 255), labelled("sea", 26)
    nothing = "no pixel has a label of the measured classes; nothing can be measured"
    for words, text in (
        ((none, none), f"{none}, {none}: no pixel has a label; nothing can be learnt"),
        ((data, "--val", none), f"{none}: {nothing}"),
        ((data, "--val", sea, "--val-mapping", "camvid11"), f"{sea}: {nothing}"),
    ):
        assert_one_line_error(cli("train", *words, "-o", "run", *TINY), text)
        assert not list(Path("run").iterdir())
    for number, words in enumerate(((none, data), (labelled("soft", 255, soft=True),), (data, "--val", sea))):
        assert cli("train", *words, "-o", f"run{number}", *TINY).code == 0


def masks_of(folder, values, sizes=(64, 96)):
    """20 pictures whose label files hold these values, in stripes."""
    make_dataset(folder, 20, sizes)
    labels = np.repeat(np.array(values, np.uint8), sizes[0] // len(values))[:, None].repeat(sizes[1], axis=1)
    for path in (folder / "labels").iterdir():
        cv2.imwrite(str(path), labels)
    return folder


def test_masks_of_0_and_255_are_refused_before_the_first_step_until_their_values_are_explained(cli, tmp_path):
    folder = masks_of(tmp_path / "ds", [0, 0, 0, 255])
    result = cli("train", folder, "-o", "run", "--classes", 2, *TINY)
    assert_one_line_error(
        result,
        "ds: all labels are class 0, the other class does not occur; nothing can be learnt; "
        "255 means no label: if it stands for a class, say which, e.g. --values 255=1",
    )
    assert not list(Path("run").iterdir())
    explained = ("--values", "255=1", *TINY)
    result = cli("train", folder, "-o", "run", "--classes", 2, *explained, "--holdout", 4, "--imgsz", 64)
    assert result.code == 0 and "labels: class 0 75.0 %, class 1 25.0 %\n" in result.err, result.err
    lines = result.err.splitlines()
    told = next(number for number, line in enumerate(lines) if "labels: " in line)
    assert told < next(number for number, line in enumerate(lines) if "training m2f-mobile-ade on" in line)
    result = cli("train", folder, "-o", "run", "--classes", 2, "--resume", *TINY, "--holdout", 4)
    assert_one_line_error(result, "--values was 255=1 and is now")
    weights = ("--weights", "run/weights.safetensors")
    assert cli("eval", folder, *weights, "--values", "255=1", "--json", "scores.json", *FAST).code == 0
    assert json.loads(Path("scores.json").read_text())["pixels"] == 20 * 64 * 96
    assert_one_line_error(cli("eval", folder, *weights, "--values", "255=2", *FAST), "--values is '255=2'; accepted")


def test_names_and_shares_are_told_and_classes_that_do_not_occur(cli, tmp_path):
    folder = masks_of(tmp_path / "ds", [0, 2, 2, 255])
    Path("labelmap.txt").write_text("# label:color_rgb:parts:actions\nroad:1,2,3::\nsea:4,5,6::\ncar:7,8,9::\n")
    result = cli("train", folder, "-o", "run", "--classes", "labelmap.txt", *TINY)
    text = "car 66.7 %, road 33.3 %; 1 of 3 classes does not occur: sea; 25.0 % of the pixels have no label\n"
    assert result.code == 0 and f"labels: {text}" in result.err, result.err
    assert cli("classes", "--weights", "run/weights.safetensors").out == "  0  road\n  1  sea\n  2  car\n"


def test_palettes_teach_their_indices(cli, tmp_path):
    folder = make_dataset(tmp_path / "ds", 3, (64, 96))
    for path in (folder / "labels").iterdir():
        path.write_bytes(png_bytes(np.repeat(np.array([0, 1], np.uint8), 32)[:, None].repeat(96, 1), depth=2, kind=3))
    result = cli("train", folder, "-o", "run", "--classes", 2, *TINY)
    assert result.code == 0 and "labels: class 0 50.0 %, class 1 50.0 %\n" in result.err, result.err


def test_training_without_scipy_says_what_to_install(cli, data, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "scipy" else find(name, *rest))
    assert_one_line_error(cli("train", data, "-o", "run", *TINY), "needs scipy")


@pytest.mark.parametrize(("words", "size"), [((), (640, 1138)), (("--imgsz", 64), None)])
def test_a_training_is_measured_at_the_size_that_eval_takes(cli, data, monkeypatch, words, size):
    """A published model sees pictures as its makers measured them, unless a size is asked for."""
    given = []

    def stop(datasets, mapping, imgsz, found):
        given.append((imgsz, found))
        raise ConfigError("seen")

    monkeypatch.setattr("vidseg.commands.train.Validation", stop)
    assert "seen" in cli("train", data, "-o", "run", "--val", data, "--model", "fai-m2f-s-ade", *words, *TINY).err
    [(imgsz, found)] = given
    assert (found is None and imgsz == 64) if size is None else found.network_size(720, 1280, imgsz) == size


def test_eval_prints_classes_and_means_and_writes_them_as_json(cli, data):
    result = cli("eval", data, "--json", "scores.json", *FAST)
    assert result.code == 0, result.err
    for word in ("class", "IoU", "accuracy", "sky", "road", "tree", "car", "mIoU", "mAcc", "pixel accuracy", "fwIoU"):
        assert word in result.out
    scores = json.loads(Path("scores.json").read_text())
    assert set(scores["classes"]) == {"sky", "road", "tree", "car"}
    assert scores["pictures"] == 5 and scores["pixels"] == 5 * (64 * 96 - 16)
    assert scores["miou"] == pytest.approx(sum(c["iou"] for c in scores["classes"].values()) / 4)
    assert_one_line_error(
        cli("eval", data, "--json", "scores.json", *FAST), "scores.json: exists; overwrite it with -y"
    )
    assert cli("eval", data, "--json", "scores.json", "-y", *FAST).out == result.out
    printed = dict(line.rsplit(maxsplit=1) for line in result.out.splitlines()[-4:])
    assert float(printed["mIoU"]) == pytest.approx(scores["miou"], abs=1e-4)
    assert float(printed["pixel accuracy"]) == pytest.approx(scores["pixel_accuracy"], abs=1e-4)


@pytest.mark.parametrize("words", [(), ("--tiles", "2x1")], ids=["whole", "windows"])
def test_eval_labels_as_a_run_does(cli, data, words):
    """The masks that `vidseg run` saves have the scores that `vidseg eval` prints, of the network that a run takes."""
    assert cli("run", data / "images", "--save-masks", "masks", "--stats", "run.json", *words, *FAST).code == 0
    hits = pixels = 0
    for path in sorted((data / "labels").iterdir()):
        truth, found = (cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in (path, Path("masks") / path.name))
        hits, pixels = hits + int((truth == found)[truth != 255].sum()), pixels + int((truth != 255).sum())
    assert cli("eval", data, "--json", "scores.json", *words, *FAST).code == 0
    scores = json.loads(Path("scores.json").read_text())
    assert ("2x1 windows" in scores["description"]) == bool(words)
    assert scores["pixel_accuracy"] == pytest.approx(hits / pixels, abs=1e-12)
    assert json.loads(Path("run.json").read_text())["runtime"] in scores["description"]


def test_eval_measures_the_engine_and_the_number_format_that_are_asked_for(cli, data):
    result = cli("eval", data, *FAST, "--runtime", "torch", "--precision", "float32", "-q")
    assert result.code == 0 and "m2f-mobile-ade, torch, cpu, float32, long side 64, 5 images" in result.out
    assert ", torch, cpu, bfloat16, " in cli("eval", data, *FAST, "--runtime", "torch", "--half", "-q").out
    for words in (("--precision", "fp16", "--half"), ("--half", "--precision", "fp32")):
        assert_one_line_error(cli("eval", data, *words), "contradict each other")
    for words, text in (
        (("--runtime", "torches"), "--runtime is 'torches'; accepted: auto | torch"),
        (("--precision", "fats"), "--precision is 'fats'; accepted: auto | float32"),
        (("--precision", "int8", "--runtime", "torch"), "--runtime torch supports"),
    ):
        assert_one_line_error(cli("eval", data, *words), text)


def test_eval_maps_classes_chooses_some_and_skips_pictures(cli, data):
    result = cli("eval", data, "--mapping", "camvid11", "--only", "sky,car", "--every", 2, "--json", "s.json", *FAST)
    assert result.code == 0, result.err
    scores = json.loads(Path("s.json").read_text())
    assert set(scores["classes"]) == {"sky", "car"} and scores["pictures"] == 3


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--mapping", "nope"), "--mapping nope: no such mapping or file; known: camvid11"),
        (("--only", "skyy"), "unknown class 'skyy'"),
        (("--only", "sea", "--mapping", "camvid11"), "--only: unknown class 'sea'; known: sky, building"),
        (("--only", "sea"), "no pixel has a label of the measured classes"),
        (("--rule", "best"), "--rule is 'best'; accepted: semantic | winner-query"),
        (("--imgsz", 8), "--imgsz is 8; accepted: a whole number from 32"),
        (("--json", "no/such/file.json"), "does not exist"),
        (("--weights", "none.pt"), "none.pt: no such file"),
        (("--max-pixels", 6143), "96x64 pixels"),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(cli, data, words, text):
    assert_one_line_error(cli("eval", data, *instead(FAST, *words)), text)
    assert not Path("file.json").exists()


def test_eval_of_an_empty_folder(cli, tmp_path):
    (tmp_path / "empty" / "images").mkdir(parents=True)
    (tmp_path / "empty" / "labels").mkdir()
    assert_one_line_error(cli("eval", tmp_path / "empty"), "empty/images: no images")


def test_voc_is_trained_and_measured_by_its_own_names(cli, tmp_path):
    folder = make_dataset(tmp_path / "voc", 4, (64, 96))
    (folder / "images").rename(folder / "JPEGImages")
    (folder / "labels").rename(folder / "SegmentationClass")
    listed = "".join(f"{name}:{number},0,0::\n" for number, name in enumerate(("background", "car", "sky")))
    (folder / "labelmap.txt").write_text(f"# label:color_rgb:parts:actions\n{listed}")
    for path in (folder / "SegmentationClass").iterdir():
        values = np.array([0, 1, 2, 255], np.uint8).repeat(16)[:, None].repeat(96, 1)
        path.write_bytes(png_bytes(values))
    quick = instead(TINY, "--steps", 1)
    result = cli("train", folder, "-o", "run", "--ignore", "background", *quick)
    assert result.code == 0, result.err
    text = "Pascal VOC (SegmentationClass, labelmap.txt), 4 images; 3 classes: background, car, sky"
    assert f"{folder}: {text}" in result.err
    assert "labels: car 50.0 %, sky 50.0 %; 50.0 % of the pixels have no label" in result.err
    weights = ("--weights", "run/weights.safetensors")
    assert cli("classes", *weights).out == "  0  car\n  1  sky\n"
    assert_one_line_error(cli("eval", folder, *weights, *FAST), "names background, which is not among the 2 classes")
    result = cli("eval", folder, *weights, "--ignore", "ground", *FAST)
    assert_one_line_error(result, "--ignore: no class 'ground'; known: background, car, sky")
    result = cli("eval", folder, *weights, "--ignore", "background", "--every", 4, "--json", "scores.json", *FAST)
    assert result.code == 0 and text in result.err and result.out.splitlines()[1].split()[0] in {"car", "sky"}
    assert json.loads(Path("scores.json").read_text())["pixels"] == 32 * 96
    result = cli("train", folder, "-o", "run", "--resume", *quick)
    assert_one_line_error(result, "--classes was 2 and is now 3")
