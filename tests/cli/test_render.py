"""`vidseg render`: what a run drew comes back from its masks, without the model."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.cli.test_run import SMALL, assert_one_line_error, pictures
from tests.sinks.sink_helpers import audio_packets, frame_times
from tests.video.clips import make_clip
from vidseg.labels import LabelSet
from vidseg.zoo.checkpoint import CLASSIFIER_WEIGHT
from vidseg.zoo.file_labels import labels_metadata

ROOT = Path(__file__).parents[2]
VARIABLE_PTS = [0, 512, 600, 4300, 4301, 9000, 9600, 12000, 12001, 15000]
STILLS = ("--codec", "mjpeg")
"""Where pictures are compared: of rows this short x264 with AVX-512 now and then makes other packets of the same."""


def photo(index: int, width: int, height: int) -> np.ndarray:
    """A picture in which the model finds several classes."""
    texture = cv2.resize(np.random.default_rng(3).integers(0, 256, (6, 9, 3), dtype=np.uint8), (width + 40, height))
    return np.ascontiguousarray(texture[:, 2 * index : 2 * index + width])


@pytest.fixture(params=["constant", "variable"])
def moving(request, tmp_path) -> Path:
    """A clip with audio of 10 frames, at a constant or a variable rate."""
    times = {} if request.param == "constant" else {"pts": VARIABLE_PTS, "time_base": Fraction(1, 15360)}
    # wide enough for x264 to give the same packets each time, see `vidseg.sinks.chunked_video`
    return make_clip(tmp_path / "clip.mp4", size=(272, 64), frames=10, painter=photo, audio_seconds=0.4, **times)


@pytest.fixture
def masks(cli, clip, tmp_path) -> Path:
    """Masks of the session's clip as one video."""
    assert cli("run", clip, "--save-masks", "masks.mkv", *SMALL).code == 0
    return tmp_path / "masks.mkv"


@pytest.mark.parametrize("saved", ["masks.mkv", "masks"])
def test_the_same_options_give_the_same_pictures_times_and_audio(cli, moving, saved):
    look = ("--opacity", 0.7, "--contours", "--legend")
    assert cli("run", moving, "-o", "a.mov", *STILLS, "--save-masks", saved, *look, *SMALL).code == 0
    result = cli("render", moving, saved, "-o", "b.mov", *STILLS, *look)
    assert result.code == 0 and "10 frames" in result.err and "segmented" not in result.err
    assert "wrote b.mov" in result.err and "left out" not in result.err
    first, second = pictures("a.mov"), pictures("b.mov")
    assert len(first) == 10 and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert frame_times(Path("b.mov")) == frame_times(Path("a.mov")) == frame_times(moving)
    assert audio_packets(Path("b.mov")) == audio_packets(Path("a.mov"))


def test_other_options_give_another_picture(cli, clip, masks):
    for name, look in (
        ("mask.mp4", ("--view", "mask")),
        ("plain.mp4", ("--opacity", 0)),
        ("side.mkv", ("--view", "side")),
    ):
        assert cli("render", clip, masks, "-o", name, "--crf", 4, *look).code == 0
    mask, plain, side = (pictures(name)[5] for name in ("mask.mp4", "plain.mp4", "side.mkv"))
    assert np.abs(plain.astype(int) - pictures(clip)[5]).mean() < 6
    assert np.abs(mask.astype(int) - pictures(clip)[5]).mean() > 20
    assert side.shape == (48, 128, 3)


@pytest.mark.parametrize(
    "effect",
    [
        ("--blur-classes", "0", "--blur-style", "fill", "--blur-margin", "3"),
        ("--background", "#102030", "--foreground", "0"),
        ("--highlight", "0"),
    ],
)
def test_effects_are_those_of_the_run(cli, clip, masks, effect):
    assert cli("run", clip, "-o", "a.mov", *STILLS, *effect, *SMALL).code == 0
    result = cli("render", clip, masks, "-o", "b.mov", *STILLS, *effect)
    assert result.code == 0, result.err
    assert all(np.array_equal(a, b) for a, b in zip(pictures("a.mov"), pictures("b.mov"), strict=True))


def test_a_preset_gives_its_picture_and_audio(cli, clip):
    assert cli("run", clip, "-o", "a.mov", *STILLS, "--save-masks", "m.mkv", "--preset", "privacy", *SMALL).code == 0
    result = cli("render", clip, "m.mkv", "-o", "b.mov", *STILLS, "--preset", "privacy")
    assert result.code == 0, result.err
    assert all(np.array_equal(a, b) for a, b in zip(pictures("a.mov"), pictures("b.mov"), strict=True))
    for name in ("a.mov", "b.mov"):
        with av.open(name) as video:
            assert not video.streams.audio


def test_skipped_frames_are_left_out_as_the_run_left_them_out(cli, clip):
    options = ("--save-masks", "m.mkv", "--max-fps", 9, "--limit", 4, *SMALL)
    assert cli("run", clip, "-o", "a.mov", *STILLS, *options).code == 0
    result = cli("render", clip, "m.mkv", "-o", "b.mov", *STILLS)
    assert result.code == 0 and "frames without a mask, left out" in result.err and "the masks end before" in result.err
    assert frame_times(Path("b.mov")) == frame_times(Path("a.mov"))
    assert all(np.array_equal(a, b) for a, b in zip(pictures("a.mov"), pictures("b.mov"), strict=True))
    assert audio_packets(Path("b.mov")) == audio_packets(Path("a.mov"))


def test_masks_in_a_folder_come_with_a_table_of_frames_and_times(cli, clip):
    assert cli("run", clip, "--save-masks", "masks", "--max-fps", 12.5, "--limit", 3, *SMALL).code == 0
    assert sorted(os.listdir("masks")) == ["000000.png", "000002.png", "000004.png", "frames.csv"]
    with open("masks/frames.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["frame"], row["file"]) for row in rows] == [(str(i), f"{i:06d}.png") for i in (0, 2, 4)]
    assert [int(row["pts"]) * Fraction(row["time_base"]) for row in rows] == [0, Fraction(2, 25), Fraction(4, 25)]
    assert [row["seconds"] for row in rows] == ["0.000000", "0.080000", "0.160000"]


def test_pictures_and_their_masks_whatever_their_sizes(cli, tmp_path):
    (tmp_path / "photos").mkdir()
    for name, size in (("a.png", (64, 48)), ("ö b.jpg", (50, 70))):
        cv2.imencode(name[-4:], photo(0, *size))[1].tofile(tmp_path / "photos" / name)
    assert cli("run", "photos", "-o", "first/", "--save-masks", "masks", *SMALL).code == 0
    assert sorted(os.listdir("masks")) == ["a.png", "ö b.png"]
    assert cli("render", "photos", "masks", "-o", "second/").code == 0
    for name in ("a.png", "ö b.png"):
        assert Path("first", name).read_bytes() == Path("second", name).read_bytes()
    result = cli("run", "photos", "--save-masks", "masks.mkv", *SMALL)
    assert result.code == 1 and not Path("masks.mkv").exists()
    assert_one_line_error(result, "needs masks of one size", "give --save-masks a folder")


def test_classes_are_cut_out_as_frames_with_alpha(cli, clip, masks):
    ids, counts = np.unique(
        [f.to_ndarray(format="gray") for f in av.open(str(masks)).decode(video=0)], return_counts=True
    )
    wanted = int(ids[np.argmax(counts)])
    assert cli("render", clip, masks, "-o", "c_%02d.png", "--matte", wanted, "--feather", 0, "--limit", 3).code == 0
    with av.open(str(masks)) as container:
        labels = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    for index in range(3):
        cut = cv2.imread(f"c_{index:02d}.png", cv2.IMREAD_UNCHANGED)
        assert np.array_equal(cut[..., 3], np.where(labels[index] == wanted, 255, 0))
    result = cli("run", clip, "-o", "c.mov", "--matte", wanted, "--limit", 2, *SMALL)
    assert result.code == 0, result.err
    with av.open("c.mov") as container:
        assert container.streams.video[0].codec_context.pix_fmt.startswith("yuva444p")
        assert len(container.streams.audio) == 1


def test_names_with_line_breaks_and_unicode(cli, clip, tmp_path):
    name = "mäsken\n1.mkv"
    assert cli("run", clip, "--save-masks", name, "--limit", 2, *SMALL).code == 0
    assert cli("render", clip, name, "-o", "o.mp4", "-q").code == 0
    (tmp_path / name).write_text("broken\n" * 9)
    assert_one_line_error(cli("render", clip, name, "-o", "p.mp4"), "mäsken\\n1.mkv: this is a text file")


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["CLIP", "none.mkv", "-o", "o.mp4"], ["none.mkv: no such file or folder", "--save-masks"]),
        (["none.mp4", "masks.mkv", "-o", "o.mp4"], ["none.mp4"]),
        (["CLIP", "masks.mkv"], ["nothing to do; give -o FILE or --show"]),
        (["CLIP", "masks.mkv", "--show"], ["--show needs "]),
        (["CLIP", "CLIP", "-o", "o.mp4"], ["is not a mask video (h264, yuv420p)"]),
        (["CLIP", "empty", "-o", "o.mp4"], ["contains neither frames.csv nor PNGs named by frame"]),
        (["wide.mp4", "masks.mkv", "-o", "o.mp4"], ["the masks are 64x48 and the clip 96x48"]),
        (["slow.mp4", "masks.mkv", "-o", "o.mp4"], ["mask 1: is at 0.040 s, but frame 1 of the clip at 0.100 s"]),
        (["CLIP", "masks.mkv", "-o", "masks.mkv", "-y"], ["masks.mkv: is the input itself"]),
        (["CLIP", "empty", "-o", "empty/%d.png", "-y"], ["is inside the folder of the masks"]),
        (["CLIP", "masks.mkv", "-o", "o.mp4", "--classes", "persn"], ["unknown class 'persn'"]),
        (["CLIP", "masks.mkv", "-o", "o.mp4", "--matte", "person"], ["o.mp4", ".mov (ProRes 4444)"]),
        (["CLIP", "masks.mkv", "-o", "o.mov", "--matte", "person", "--feather", "-1"], ["--feather is -1"]),
        (["CLIP", "masks.mkv", "-o", "nowhere/o.mp4"], ["nowhere"]),
    ],
)
def test_bad_input_gets_one_line_exit_code_2_and_leaves_nothing(cli, clip, masks, tmp_path, words, texts):
    (tmp_path / "empty").mkdir()
    make_clip(tmp_path / "wide.mp4", size=(96, 48), frames=2)
    make_clip(tmp_path / "slow.mp4", frames=5, rate=10)
    before = sorted(os.listdir(tmp_path))
    content = masks.read_bytes()
    result = cli("render", *(clip if word == "CLIP" else word for word in words))
    assert result.code == 2, result.err
    assert_one_line_error(result, *texts)
    assert sorted(os.listdir(tmp_path)) == before and masks.read_bytes() == content


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["--save-masks", "m.mp4"], ["m.mp4: masks are written to a folder, or losslessly to one video: FILE.mkv"]),
        (["--save-masks", "nowhere/m.mkv"], ["nowhere", "does not exist; create it first"]),
        (["--save-masks", "m.mkv", "-o", "m.mkv"], ["is used for two outputs"]),
        (["--matte", "sky", "--save-masks", "m.mkv"], ["--matte", "give -o cut.mov"]),
        (["--matte", "sky", "-o", "o.mkv"], ["o.mkv", ".webm (VP9)"]),
    ],
)
def test_bad_ways_to_save_are_told_before_the_model_is_loaded(cli, clip, tmp_path, monkeypatch, words, texts):
    monkeypatch.setattr("vidseg.wiring.engine.load_engine", None)
    result = cli("run", clip, *words)
    assert result.code == 2
    assert_one_line_error(result, *texts)
    assert os.listdir(tmp_path) == []


def test_damaged_masks_keep_what_came_before_and_exit_1(cli, clip, masks):
    os.truncate(masks, masks.stat().st_size * 2 // 3)
    result = cli("render", clip, masks, "-o", "o.mp4")
    assert result.code == 1 and "the output up to there is kept" in result.err
    assert 0 < len(pictures("o.mp4")) < 12


def test_masks_of_other_classes_have_the_names_and_colours_of_their_weights(cli, clip, tmp_path):
    palette = np.array([[250, 10, 20], [10, 20, 250]], np.uint8)
    labels = LabelSet(("left", "right"), ("left", "right"), palette)
    save_file({CLASSIFIER_WEIGHT: torch.zeros(3, 4)}, "own.safetensors", metadata=labels_metadata(labels))
    Path("masks").mkdir()
    halves = np.repeat(np.array([[0, 1]], np.uint8), 48, axis=0).repeat(32, axis=1)
    for index in range(12):
        cv2.imwrite(f"masks/{index:06d}.png", halves)

    def drawn(*words) -> np.ndarray:
        result = cli("render", clip, "masks", "-o", "o.mkv", "-y", "--crf", 0, "--view", "mask", *words)
        assert result.code == 0, result.err
        return pictures("o.mkv")[5].astype(int)

    picture = drawn("--weights", "own.safetensors")
    assert np.abs(picture[:, :28] - palette[0]).max() < 12 and np.abs(picture[:, 36:] - palette[1]).max() < 12
    only = drawn("--weights", "own.safetensors", "--classes", "right")
    assert np.abs(only[:, 36:] - palette[1]).max() < 12 and only[:, :28].max() < 12
    assert "class id" not in cli("render", clip, "masks", "-o", "o.mkv", "-y", "--weights", "own.safetensors").err
    cv2.imwrite("masks/000007.png", np.where(halves == 1, 2, 255).astype(np.uint8))
    result = cli("render", clip, "masks", "-o", "o.mkv", "-y", "--weights", "own.safetensors")
    text = "the masks contain class id 2, which is left out (known: 0 to 1); give the -m or --weights that made them"
    assert result.code == 0 and text in result.err
    for words, text in (
        (("--classes", "right"), "unknown class 'right'"),
        (("-m", "nonsense"), "nonsense"),
        (("-m", "net.onnx", "--weights", "own.safetensors"), "--weights: net.onnx contains its own weights"),
        (("--weights", "none.pth"), "none.pth"),
    ):
        assert_one_line_error(cli("render", clip, "masks", "-o", "no.mp4", *words), text)


def test_no_torch_is_needed(clip, masks, tmp_path):
    code = "import sys; sys.modules['torch'] = None; from vidseg.cli import main; main()"
    command = [sys.executable, "-c", code, "render", str(clip), str(masks), "-o", "out.mp4"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert len(pictures(tmp_path / "out.mp4")) == 12


def test_palette_colours_legend_and_view_are_as_in_a_run(cli, clip, masks):
    look = ("--palette", "vivid", "--color", "wall=#00ff00,people=#ff0000,sky=#0000ff", "--view", "stack")
    text = ("--legend", "--legend-place", "bottom-left", "--text-size", 0.8)
    assert cli("run", clip, "-o", "a.mov", *STILLS, *look, *text, *SMALL).code == 0
    assert cli("render", clip, masks, "-o", "b.mov", *STILLS, *look, *text).code == 0
    first, second = pictures("a.mov"), pictures("b.mov")
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
    assert cli("render", clip, masks, "-o", "plain.png", "--view", "mask", "--limit", 1).code == 0
    plain = cv2.imread("plain.png")
    assert first[0].shape[:2] == (2 * plain.shape[0], plain.shape[1])
    assert cli("render", clip, masks, "-o", "c.png", "--view", "mask", "--limit", 1, "--palette", "vivid").code == 0
    assert (cv2.imread("c.png") != plain).any()


def test_class_names_with_spaces_between_are_answered_with_commas(cli, clip):
    for command, out in (("run", "a.mp4"), ("batch", "out")):
        result = cli(command, clip, "--classes", "person", "car", "-o", out)
        assert_one_line_error(result, "car: no such file; separate class names with commas: --classes person,car")
    result = cli("render", clip, "masks", "--classes", "person", "car", "-o", "b.mp4")
    assert_one_line_error(result, "separate the values of --classes with commas")
    assert "commas" not in cli("render", clip, "masks", "more", "-o", "b.mp4").err
