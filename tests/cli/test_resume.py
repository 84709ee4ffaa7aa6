"""`vidseg run --resume` as a user sees it, and under kill -9."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.cli.test_run import SMALL, assert_one_line_error, noisy, video_pts
from tests.sinks.sink_helpers import audio_packets
from tests.video.clips import make_clip

ROOT = Path(__file__).parents[2]
SEGMENTS = ("--resume", "--segment-seconds", "0.4")
SAME_BYTES = ("--encoder-preset", "ultrafast")
"""With other presets x264 makes now and then other packets of the same pictures: in one of some hundred runs."""


def textured(index: int, width: int, height: int) -> np.ndarray:
    """A scene that moves slowly, so that smoothing and carried masks have something to follow."""
    small = np.random.default_rng(0).integers(0, 256, (12, 24, 3), dtype=np.uint8)
    texture = cv2.resize(small, (380, 190))
    return np.ascontiguousarray(texture[index : index + height, 2 * index : 2 * index + width])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 frames of 288x144 at 25 fps with B-frames and audio.

    Rows of 16 macroblocks: of shorter ones x264 with AVX-512 now and then makes other packets of the same pictures.
    """
    path = tmp_path_factory.mktemp("scene") / "scene.mp4"
    return make_clip(path, size=(288, 144), frames=36, bframes=2, gop=15, audio_seconds=1.44, painter=textured)


def masks(folder: Path) -> dict[str, bytes]:
    """The maps; their table of times is left out of runs in chunks."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def interrupt_at(monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
    """Raise SIGINT in this process when the label maps of these frames are written, once each."""
    from vidseg.sinks.records.label_maps import LabelMapSink

    plain, left = LabelMapSink.write_map, set(numbers)

    def write_map(self, frame, segmentation):
        if frame.index in left:
            left.remove(frame.index)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0)
        return plain(self, frame, segmentation)

    monkeypatch.setattr(LabelMapSink, "write_map", write_map)


@pytest.mark.parametrize(
    "options",
    [(), ("--stride", 3), ("--stride", 4, "--propagate", "hold", "--max-fps", 10), ("--limit", 33, "--view", "side")],
)
def test_chunks_give_the_labels_times_and_audio_of_a_plain_run(cli, scene, tmp_path, options):
    plain = cli("run", scene, "-o", "plain.mp4", "--save-masks", "plain", *options, *SMALL)
    chunked = cli("run", scene, "-o", "out.mp4", "--save-masks", "masks", *options, *SEGMENTS, *SMALL)
    assert (plain.code, chunked.code) == (0, 0), chunked.err
    assert "wrote out.mp4" in chunked.err
    counts = [
        next(line for line in r.err.splitlines() if "segmented" in line).split(", ", 1)[1] for r in (plain, chunked)
    ]
    assert counts[0] == counts[1]
    assert masks(tmp_path / "plain") == masks(tmp_path / "masks")
    assert video_pts("plain.mp4") == video_pts("out.mp4")
    assert audio_packets(Path("plain.mp4")) == audio_packets(Path("out.mp4"))
    assert sorted(os.listdir(tmp_path)) == ["masks", "out.mp4", "plain", "plain.mp4"]


@pytest.mark.timeout(300)  # three processes that load the network, perhaps on a busy machine
def test_killed_at_random_moments_gives_the_same_bytes(cli, scene, tmp_path):
    options = ["--stride", "2", *SEGMENTS, *SAME_BYTES, *map(str, SMALL), "--runtime", "torch"]
    assert cli("run", scene, "-o", "whole.mp4", "--save-masks", "whole", *options).code == 0
    command = [sys.executable, "-m", "vidseg", "run", str(scene), "-o", "out.mp4", "--save-masks", "masks", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    chance = random.Random(6)
    kills = 0
    for _ in range(3):
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        goal = files_made(tmp_path) + chance.randrange(0, 5)  # by what it has done, not by the clock
        while process.poll() is None and files_made(tmp_path) <= goal:
            time.sleep(0.001)
        if process.poll() is not None:
            break
        process.kill()
        process.communicate(timeout=30)
        kills += 1
        assert not (tmp_path / "out.mp4").exists() or not (tmp_path / "out.mp4.resume" / "state").exists()
    if not (tmp_path / "out.mp4").exists():
        result = cli("run", scene, "-o", "out.mp4", "--save-masks", "masks", *options)
        assert result.code == 0, result.err
    assert kills >= 2
    assert Path("out.mp4").read_bytes() == Path("whole.mp4").read_bytes()
    assert masks(tmp_path / "masks") == masks(tmp_path / "whole")
    assert not Path("out.mp4.resume").exists()


def files_made(folder: Path) -> int:
    """How far a run is: label maps and chunks."""
    return sum(len(os.listdir(folder / name)) for name in ("masks", "out.mp4.resume") if (folder / name).is_dir())


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(cli, scene, tmp_path, monkeypatch):
    words = ("run", scene, "-o", "out.mp4", "--save-masks", "masks", *SEGMENTS, *SAME_BYTES, *SMALL)
    assert cli("run", scene, "-o", "whole.mp4", *SEGMENTS, *SAME_BYTES, *SMALL).code == 0
    with monkeypatch.context() as patch:
        interrupt_at(patch, 25)
        result = cli(*words)
    assert result.code == 130
    assert "frames are kept in" in result.err and "run the same command again" in result.err
    assert not Path("out.mp4").exists() and Path("out.mp4.resume/state").exists()
    result = cli(*words)
    assert result.code == 0 and "resuming after" in result.err and "36 frames" in result.err
    assert Path("out.mp4").read_bytes() == Path("whole.mp4").read_bytes()
    again = cli(*words)
    assert again.code == 2 and "exists" in again.err


@pytest.fixture
def begun(cli, scene, tmp_path, monkeypatch):
    """The command of a run that was stopped after some chunks, on a copy of the clip."""
    (tmp_path / "in.mp4").write_bytes(scene.read_bytes())
    words = ("run", "in.mp4", "-o", "out.mp4", "--save-masks", "masks", *SEGMENTS, *SMALL)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 25)
        assert cli(*words).code == 130
    assert Path("out.mp4.resume/00000").exists()
    return words


def test_other_settings_input_or_damage_are_told_and_nothing_is_lost(cli, begun):
    def refused(*texts, words=begun):
        result = cli(*words)
        assert result.code == 2
        assert_one_line_error(result, "out.mp4.resume", *texts)
        assert not Path("out.mp4").exists() and Path("out.mp4.resume/00000").exists()

    refused("started without --crf, now 30; do as before, or remove this folder", words=(*begun, "--crf", 30))
    refused("started with --segment-seconds 0.4, now 2.0", words=tuple(2 if word == "0.4" else word for word in begun))
    refused("started with --classes", words=(*begun, "--classes", "sky,tree"))
    refused("started with --save-masks", words=tuple("other" if word == "masks" else word for word in begun))
    clip = Path("in.mp4")
    status = clip.stat()
    os.utime(clip, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    refused("the input has changed")
    os.utime(clip, ns=(status.st_atime_ns, status.st_mtime_ns))
    for name, text in (("00000", "is damaged"), ("state", "is damaged or of another version")):
        path = Path("out.mp4.resume") / name
        good = path.read_bytes()
        path.write_bytes(good[:-200] + bytes([good[-200] ^ 1]) + good[-199:])
        refused(name, text, "to start over")
        path.write_bytes(good)
    Path("out.mp4.resume/holiday.jpg").touch()
    refused("contains holiday.jpg, which no run wrote")
    Path("out.mp4.resume/holiday.jpg").unlink()
    assert cli(*begun).code == 0
    assert len(os.listdir("masks")) == 36


def test_a_run_in_software_is_not_gone_on_with_by_hardware_that_has_come(cli, scene, tmp_path, monkeypatch):
    words = ("run", scene, "-o", "out.mp4", "--save-masks", "masks", "--codec", "h264_nvenc", *SEGMENTS, *SMALL)
    trial = "vidseg.sinks.hardware_encoders.trial_problem"
    monkeypatch.setattr(trial, lambda plan, size: "not permitted")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 25)
        result = cli(*words)
        assert result.code == 130 and "encoding with libx264" in result.err
    with monkeypatch.context() as patch:
        for name in (trial, "vidseg.video.encoders.trial_problem"):
            patch.setattr(name, lambda plan, size: None)
        result = cli(*words)
        assert result.code == 2
        assert_one_line_error(result, "started with --codec h264, now h264_nvenc; do as before")
    result = cli(*words)
    assert result.code == 0 and "resuming after" in result.err
    assert video_pts("out.mp4") == video_pts(scene)


def test_a_file_of_that_name_is_not_taken_for_a_folder(cli, scene):
    Path("out.mp4.resume").write_text("mine")
    result = cli("run", scene, "-o", "out.mp4", *SEGMENTS, *SMALL)
    assert result.code == 2
    assert_one_line_error(result, "out.mp4.resume: is not a folder")
    assert Path("out.mp4.resume").read_text() == "mine" and not Path("out.mp4").exists()


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["CLIP", "-o", "frames_%03d.png"], ["frames_%03d.png", "--resume cannot make this output"]),
        (["CLIP", "-o", "out.gif"], ["out.gif", "gif cannot be written in chunks"]),
        (["CLIP", "-o", "out.mp4", "--show"], ["--resume cannot be combined with --show"]),
        (["CLIP", "-o", "out.mp4", "--hwaccel", "auto"], ["--resume cannot be combined with --hwaccel auto"]),
        (["CLIP", "--stats", "s.json"], ["--resume keeps chunks", "-o FILE"]),
        (["CLIP", "-o", "out.mp4", "--save-masks", "out.mp4.resume"], ["is where --resume keeps"]),
        (["picture.png", "-o", "out.mp4"], ["picture.png: --resume needs a video file"]),
        (["test:64x48@10,frames=3,realtime", "-o", "out.mp4"], ["--resume needs a video file"]),
        (["CLIP", "-o", "out.mp4", "--segment-seconds", "0"], ["--segment-seconds is 0"]),
    ],
)
def test_what_cannot_be_gone_on_with_is_refused_in_one_line(cli, clip, tmp_path, monkeypatch, words, texts):
    monkeypatch.setenv("DISPLAY", ":99")
    cv2.imwrite(str(tmp_path / "picture.png"), np.full((48, 64, 3), 90, np.uint8))
    result = cli("run", *(clip if word == "CLIP" else word for word in words), "--resume", *SMALL)
    assert result.code == 2
    assert_one_line_error(result, *texts)
    assert os.listdir(tmp_path) == ["picture.png"]


def test_masks_alone_and_the_test_pattern(cli, tmp_path, monkeypatch):
    words = ("run", "test:64x48@10,frames=12", "--save-masks", "masks", *SEGMENTS, *SMALL)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 7)
        assert cli(*words).code == 130
    assert cli(*words).code == 0
    assert cli("run", "test:64x48@10,frames=12", "--save-masks", "plain", *SMALL).code == 0
    assert masks(tmp_path / "masks") == masks(tmp_path / "plain")
    assert sorted(os.listdir(tmp_path)) == ["masks", "plain"]


def test_a_full_disk_keeps_what_is_finished(cli, tmp_path):
    noise = make_clip(
        tmp_path / "noise.avi", size=(160, 120), frames=20, codec="mjpeg", pix_fmt="yuvj420p", painter=noisy
    )
    words = ("run", noise, "-o", "out.mp4", "--crf", 1, "--opacity", 0, "--resume", "--segment-seconds", 0.2, *SMALL)
    old_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, old_limit[1]))  # enough for a chunk, not for all
        result = cli(*words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
        signal.signal(signal.SIGXFSZ, old_handler)
    assert result.code == 1
    assert result.err.count("\n") == 1 and "out.mp4" in result.err
    assert sorted(os.listdir(tmp_path)) == ["noise.avi", "out.mp4.resume"]
    result = cli(*words)
    assert result.code == 0, result.err
    assert "resuming after 20 frames" in result.err and len(video_pts("out.mp4")) == 20
