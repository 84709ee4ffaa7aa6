"""`vidseg run` as a user sees it: exit code, the two streams, and the files it leaves. Uses the bundled weights."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest

from tests.fakes import FakeSource
from tests.limits import file_size_limit
from tests.sources.graph_camera import plug_in
from tests.video.clips import make_audio, make_clip
from vidseg.cli.run import run
from vidseg.config import OPTIONS
from vidseg.runtimes.registry import installed_engines
from vidseg.sources.camera_source import _ask

SMALL = ("--imgsz", 64, "--threads", 1)


def video_pts(path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def pictures(path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def assert_one_line_error(result, *texts):
    assert result.out == ""
    assert result.err.startswith("vidseg: error: ") and result.err.count("\n") == 1, result.err
    for text in texts:
        assert text in result.err


def test_every_option_of_a_run_has_a_flag_of_its_name():
    # the first argument takes all sources
    flags = {name for name, entry in OPTIONS.items() if entry.flag}
    assert set(inspect.signature(run).parameters) == flags - {"more_sources"} | {"config", "help_all"}


def test_the_defaults_in_the_help_are_those_of_the_code():
    from vidseg.chunks.split.plan import overlap_seconds
    from vidseg.config import RunConfig
    from vidseg.video.encoders import ENCODERS
    from vidseg.wiring.engine import CUDA_BATCH

    def told(name):
        return inspect.signature(run, eval_str=True).parameters[name].annotation.__metadata__[0].help

    h264 = ENCODERS["h264"]
    assert f"default 25 times --smooth-seconds ({overlap_seconds(RunConfig()):g})" in told("overlap")
    assert f"default 1; for files {CUDA_BATCH} on CUDA" in told("batch")
    assert f"default {h264.quality_default} for h264" in told("crf")
    assert f"for h264 ultrafast ... veryslow, default {h264.preset_default}" in told("encoder_preset")
    asked = []
    for size in (None, (640, 480)):
        capture = SimpleNamespace(set=lambda key, value: asked.append((key, value)))
        _ask(capture, size, None, None)
    assert [value for key, value in asked if key == cv2.CAP_PROP_FOURCC] == [cv2.VideoWriter.fourcc(*"MJPG")]
    assert "default the camera's own, or mjpeg with --camera-size" in told("camera_format")


def test_a_clip_becomes_an_annotated_clip_with_its_times_and_its_audio(cli, clip, tmp_path):
    result = cli("run", clip, "-o", "out.mp4", *SMALL)
    assert result.code == 0 and result.out == ""
    assert "12 frames" in result.err and "wrote out.mp4" in result.err and "model" in result.err
    assert video_pts("out.mp4") == video_pts(clip)
    with av.open("out.mp4") as out, av.open(str(clip)) as source:
        assert out.streams.video[0].codec_context.name == "h264"
        sizes = [[packet.size for packet in c.demux(audio=0) if packet.size] for c in (out, source)]
    assert sizes[0] == sizes[1]
    assert sorted(os.listdir(tmp_path)) == ["out.mp4"]


def test_the_picture_is_the_source_tinted_with_class_colours(cli, clip):
    assert cli("run", clip, "-o", "plain.mp4", "--opacity", 0, "--crf", 4, *SMALL).code == 0
    assert cli("run", clip, "-o", "mask.mp4", "--view", "mask", "--crf", 4, *SMALL).code == 0
    source = pictures(clip)
    plain, mask = pictures("plain.mp4"), pictures("mask.mp4")
    assert np.abs(plain[5].astype(int) - source[5]).mean() < 6
    assert np.abs(mask[5].astype(int) - source[5]).mean() > 20


def test_stride_holds_masks_and_the_stats_file_tells_it(cli, clip):
    result = cli("run", clip, "-o", "out.mp4", "--stride", 5, "--propagate", "hold", "--stats", "stats.json", *SMALL)
    assert result.code == 0 and "3 segmented, 9 held" in result.err
    stats = json.loads(Path("stats.json").read_text())
    assert (stats["decoded"], stats["delivered"], stats["inferred"], stats["held"]) == (12, 12, 3, 9)
    assert stats["config"]["stride"] == 5 and stats["stages"]["model"]["frames"] == 3
    assert len(video_pts("out.mp4")) == 12


def steady_clip(path):
    """12 frames of one textured picture that moves slowly: nothing looks like a cut."""
    texture = cv2.resize(np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8), (96, 72))
    return make_clip(path, size=(64, 48), frames=12, painter=lambda i, w, h: texture[4 : 4 + h, i : i + w])


def test_masks_between_follow_the_motion_by_default(cli, tmp_path):
    clip = steady_clip(tmp_path / "steady.mp4")
    result = cli("run", clip, "--save-masks", "masks", "--stride", 5, "--stats", "stats.json", *SMALL)
    assert result.code == 0 and "3 segmented, 9 held" in result.err
    stages = json.loads(Path("stats.json").read_text())["stages"]
    assert stages["propagate"]["frames"] == 9 and stages["smooth"]["frames"] == 3
    assert len(os.listdir("masks")) == 13  # with frames.csv


def test_video_is_smoothed_unless_told_otherwise_and_images_are_not(cli, tmp_path):
    clip = steady_clip(tmp_path / "steady.mp4")
    assert cli("run", clip, "-o", "frames_%02d.png", *SMALL).code == 0

    def stages(*words):
        assert cli("run", *words, "--save-masks", "masks", "--stats", "stats.json", "-y", *SMALL).code == 0
        return json.loads(Path("stats.json").read_text())["stages"]

    assert "smooth" in stages(clip) and "smooth" not in stages(clip, "--no-smooth")
    assert "smooth" not in stages("frames_*.png") and "smooth" in stages("frames_*.png", "--smooth")
    assert_one_line_error(cli("run", clip, "-o", "o.mp4", "--smooth-seconds", 0), "--smooth-seconds is 0", "above 0")
    assert_one_line_error(cli("run", clip, "-o", "o.mp4", "--propagate", "warp"), "--propagate", "flow | hold")


def test_the_run_says_which_runtime_it_took(cli, clip):
    result = cli("run", clip, "-o", "out.mp4", "-v", "--runtime", "torch", "--stats", "stats.json", *SMALL)
    assert result.code == 0 and "model m2f-mobile-ade, torch, cpu, float32" in result.err
    assert json.loads(Path("stats.json").read_text())["runtime"] == "torch, cpu, float32"
    fastest = next(iter(installed_engines()))
    result = cli("run", clip, "-o", "out.mp4", "-y", "-v", *SMALL)
    assert result.code == 0 and f"model m2f-mobile-ade, {fastest}" in result.err


def test_a_runtime_that_is_unknown_or_not_installed_is_told_in_one_line(cli, clip, monkeypatch):
    assert_one_line_error(
        cli("run", clip, "-o", "out.mp4", "--runtime", "tensorrt"), "--runtime is 'tensorrt'", "openvino"
    )
    monkeypatch.setattr("vidseg.runtimes.registry.is_installed", lambda name: name == "torch")
    result = cli("run", clip, "-o", "out.mp4", "--runtime", "openvino")
    assert result.code == 2
    assert_one_line_error(result, "--runtime openvino: not installed", "pip install 'vidseg[openvino]'")


def test_a_device_and_an_encoder_that_are_not_there_are_told_once_and_software_does_it(cli, clip, monkeypatch):
    monkeypatch.setattr("vidseg.sources.av_decoder.open_device", lambda kind: (None, "no such device here"))
    monkeypatch.setattr("vidseg.sinks.hardware_encoders.trial_problem", lambda plan, size: "not permitted")
    words = ("--hwaccel", "cuda", "--codec", "hevc_nvenc", "--encoder-preset", "p4")
    result = cli("run", clip, "-o", "out.mp4", *words, *SMALL)
    assert result.code == 0, result.err
    lines = result.err.splitlines()
    assert lines[:2] == [
        "vidseg: --hwaccel cuda: no such device here; decoding in software",
        "vidseg: codec hevc_nvenc: cannot be used here (no hardware or driver for it: not permitted); encoding with "
        "libx265, without the encoder preset p4",
    ]
    assert "hwaccel" not in "".join(lines[2:]) and "nvenc" not in "".join(lines[2:])
    with av.open("out.mp4") as container:
        assert container.streams.video[0].codec_context.name == "hevc"
    assert len(video_pts("out.mp4")) == 12
    assert_one_line_error(cli("run", clip, "-o", "o.mp4", "--hwaccel", "gpu"), "--hwaccel is 'gpu'", "none | auto |")


def test_max_fps_and_limit_leave_frames_out_at_their_right_times(cli, clip):
    result = cli("run", clip, "-o", "out.mp4", "--max-fps", 12.5, "--limit", 4, *SMALL)
    assert result.code == 0 and "4 frames" in result.err and "left out for the frame rate" in result.err
    assert video_pts("out.mp4") == pytest.approx([0, 0.08, 0.16, 0.24])


def test_save_masks_writes_class_ids_per_frame(cli, clip):
    assert cli("run", clip, "--save-masks", "masks", "--limit", 3, *SMALL).code == 0
    assert sorted(os.listdir("masks")) == ["000000.png", "000001.png", "000002.png", "frames.csv"]
    mask = cv2.imread("masks/000001.png", cv2.IMREAD_UNCHANGED)
    assert mask.shape == (48, 64) and mask.dtype == np.uint8 and mask.max() < 150


def test_images_keep_their_names(cli, tmp_path):
    (tmp_path / "photos").mkdir()
    for name, size in (("b.png", (40, 50)), ("a 1.jpg", (60, 33))):
        cv2.imwrite(str(tmp_path / "photos" / name), np.full((*size, 3), 90, np.uint8))
    result = cli("run", "photos", "-o", "annotated/", "--save-masks", "masks", *SMALL)
    assert result.code == 0, result.err
    assert sorted(os.listdir("masks")) == ["a 1.png", "b.png"] and len(os.listdir("annotated")) == 2
    assert cv2.imread("masks/b.png", cv2.IMREAD_UNCHANGED).shape == (40, 50)
    assert cv2.imread("masks/a 1.png", cv2.IMREAD_UNCHANGED).shape == (60, 33)


def test_the_test_pattern_needs_no_file(cli):
    assert cli("run", "test:64x48@10,frames=5", "-o", "out.mkv", *SMALL).code == 0
    assert len(video_pts("out.mkv")) == 5


@pytest.mark.parametrize("size", [(16, 16), (101, 77)])
def test_tiny_and_odd_sizes_and_single_frames(cli, tmp_path, size):
    odd = make_clip(tmp_path / "odd.mkv", size=size, frames=1, codec="ffv1", pix_fmt="bgr0")
    result = cli("run", odd, "-o", "out.mp4", *SMALL)
    assert result.code == 0, result.err
    height, width = pictures("out.mp4")[0].shape[:2]
    assert (width, height) == tuple(side + side % 2 for side in size)
    assert ("padded from 101x77 to 102x78" in result.err) == (size == (101, 77))


def test_quiet_prints_nothing_and_verbose_says_what_was_decided(cli, clip):
    quiet = cli("run", clip, "-o", "a.mp4", "-q", *SMALL)
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert "long side 64, batch 2" in cli("run", clip, "-o", "b.mp4", "-v", "--batch", 2, *SMALL).err


def test_preset_config_and_flags_in_their_order(cli, clip, tmp_path):
    (tmp_path / "mine.yaml").write_text(f"source: {clip}\nstride: 2\nimgsz: 64\npreset: edge-cpu\n")
    result = cli("run", "-c", "mine.yaml", "-o", "out.mp4", "--stride", 3, "--stats", "s.json")
    assert result.code == 0, result.err
    config = json.loads(Path("s.json").read_text())["config"]
    assert (config["stride"], config["imgsz"], config["threads"], config["max_fps"]) == (3, 64, 1, 15.0)


def test_existing_output_is_kept_unless_told_otherwise(cli, clip, tmp_path):
    (tmp_path / "out.mp4").write_text("precious")
    assert_one_line_error(cli("run", clip, "-o", "out.mp4", *SMALL), "out.mp4", "-y")
    assert (tmp_path / "out.mp4").read_text() == "precious"
    assert cli("run", clip, "-o", "out.mp4", "-y", *SMALL).code == 0 and len(video_pts("out.mp4")) == 12


def test_output_equal_to_input_is_refused_even_with_y(cli, clip, tmp_path):
    shutil.copy(clip, tmp_path / "same.mp4")
    before = (tmp_path / "same.mp4").read_bytes()
    os.symlink("same.mp4", tmp_path / "link.mp4")
    for name in ("same.mp4", "./same.mp4", "link.mp4"):
        assert cli("run", "same.mp4", "-o", name, "-y", *SMALL).code == 2
    assert (tmp_path / "same.mp4").read_bytes() == before


def test_no_output_ever_replaces_an_input(cli, tmp_path):
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "p.png"), np.full((40, 50, 3), 90, np.uint8))
    silent = make_clip(tmp_path / "s.mp4", frames=3)
    before = {path: path.read_bytes() for path in (silent, tmp_path / "photos" / "p.png")}
    for words in (
        ["photos/", "--save-masks", "photos/"],
        ["photos/*.png", "-o", "photos/"],
        ["photos/p.png", "-o", "photos/p.png"],
        ["photos/", "-o", "photos/p.png"],
        ["s.mp4", "--stats", "s.mp4"],
        [f"file://{silent}", "-o", str(silent)],
        ["s.mp4", "-o", "s.mp4"],
    ):
        result = cli("run", *words, "-y", *SMALL)
        assert result.code == 2, words
        assert_one_line_error(result)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_max_fps_keeps_the_length_and_all_of_the_audio(cli, tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", frames=26, rate=10, audio_seconds=2.6)
    assert cli("run", clip, "-o", "out.mp4", "--max-fps", 1, *SMALL).code == 0
    assert video_pts("out.mp4") == [0, 1, 2]
    with av.open("out.mp4") as out, av.open(str(clip)) as source:
        assert out.streams.video[0].duration * out.streams.video[0].time_base == pytest.approx(2.6)
        audio = [sum(1 for packet in c.demux(audio=0) if packet.size) for c in (out, source)]
    assert audio[0] == audio[1]


def test_the_audio_of_a_file_on_a_server_is_kept(cli, clip, monkeypatch):
    handler = partial(QuietHandler, directory=str(clip.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result = cli("run", f"http://127.0.0.1:{server.server_port}/clip.mp4", "-o", "out.mp4", *SMALL)
        server.shutdown()
    assert result.code == 0, result.err
    with av.open("out.mp4") as out:
        assert len(out.streams.audio) == 1


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def make_bad_inputs(folder) -> None:
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("this is not a video\n" * 50)
    make_audio(folder / "sound.mp4")
    whole = make_clip(folder / "whole.mp4", frames=30).read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "whole.mp4").unlink()
    (folder / "folder").mkdir()
    (folder / "weights.pth").write_bytes(b"\x00garbage" * 100)
    (folder / "bad.yaml").write_text("strid: 3\n")


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["none.mp4", "-o", "o.mp4"], ["none.mp4"]),
        (["none*.mp4"], ["none*.mp4: nothing matches this pattern"]),
        (["empty.mp4", "-o", "o.mp4"], ["empty.mp4", "empty"]),
        (["text.mp4", "-o", "o.mp4"], ["text.mp4"]),
        (["cut.mp4", "-o", "o.mp4"], ["cut.mp4"]),
        (["sound.mp4", "-o", "o.mp4"], ["sound.mp4", "no video stream (1 audio stream found)"]),
        (["folder", "-o", "o.mp4"], ["folder"]),
        (["CLIP", "-o", "nowhere/o.mp4"], ["nowhere"]),
        (["CLIP", "-o", "o.xyz"], [".xyz", "mp4"]),
        (["CLIP", "-o", "o"], ["no file ending"]),
        (["CLIP", "-o", "o.mp4", "--codec", "h263x"], ["h263x"]),
        (["CLIP", "-o", "o.mp4", "--encoder-preset", "warp"], ["warp", "veryfast"]),
        (["CLIP", "-o", "o.mp4", "-m", "fai-m2f-x-ade"], ["unknown model 'fai-m2f-x-ade'"]),
        (["CLIP", "-o", "o.mp4", "--weights", "none.pth"], ["none.pth"]),
        (["CLIP", "-o", "o.mp4", "--weights", "weights.pth"], ["weights.pth"]),
        (["CLIP", "-o", "o.mp4", "--stride", "0"], ["--stride is 0", "1 to 1000"]),
        (["CLIP", "-o", "o.mp4", "--stride", "often"], ["--stride is 'often'", "or auto"]),
        (["CLIP", "-o", "o.mp4", "--reconnect", "often"], ["--reconnect is 'often'", "or always"]),
        (["CLIP", "-o", "o.mp4", "--camera-size", "64x48"], ["--camera-size is for cameras"]),
        (["CLIP", "-o", "o.mp4", "--imgsz", "7"], ["--imgsz is 7", "32 to 4096"]),
        (["CLIP", "-o", "o.mp4", "--classes", "persn"], ["unknown class 'persn'", "person"]),
        (["CLIP", "-o", "o.mp4", "--preset", "stret"], ["unknown preset 'stret'", "street"]),
        (["CLIP", "-o", "o.mp4", "--config", "bad.yaml"], ["bad.yaml", "did you mean stride?"]),
        (["CLIP", "-o", "o.mp4", "--device", "cuda:99"], ["--device cuda:99"]),
        (["CLIP", "-o", "o.mp4", "--device", "toaster"], ["--device toaster", "auto, cpu, cuda"]),
        (["CLIP", "--show"], ["--show needs "]),
        (["test"], ["nothing to do", "-o FILE"]),
        (["CLIP", "--matte", "person"], ["nothing to do", "-o FILE"]),
        (["CLIP", "--half", "--precision", "fp32"], ["--half and --precision float32 contradict"]),
        (["CLIP", "-o", "o.mp4", "--device", "99"], ["--device cuda:99"]),
        (["-o", "o.mp4"], ["no source"]),
        (["cam77", "--show", "-o", "o.mp4"], ["--show"]),
        (["cam77", "-o", "o.mp4"], ["cam77"]),
        (["rtsp://user:secret@127.0.0.1:1/x", "-o", "o.mp4", "--timeout", "2"], ["127.0.0.1"]),
        (["CLIP", "--stats", "folder"], ["folder"]),
        (["CLIP", "--save-masks", "empty.mp4"], ["empty.mp4"]),
    ],
)
def test_bad_input_gets_one_line_exit_code_2_and_leaves_nothing(cli, clip, tmp_path, words, texts):
    make_bad_inputs(tmp_path)
    before = sorted(os.listdir(tmp_path))
    result = cli("run", *(clip if word == "CLIP" else word for word in words))
    assert result.code == 2
    assert_one_line_error(result, *texts)
    assert "secret" not in result.err
    assert sorted(os.listdir(tmp_path)) == before


def test_weights_of_another_model_are_named(cli, clip, tmp_path):
    from vidseg import zoo

    weights = zoo.entry("m2f-mobile-ade").bundled_path
    result = cli("run", clip, "-o", "o.mp4", "-m", "fai-m2f-s-ade", "--weights", weights)
    assert result.code == 2
    assert_one_line_error(result, "does not fit fai-m2f-s-ade", "m2f-mobile-ade")


def test_a_model_without_published_weights_says_what_to_do(cli, clip):
    result = cli("run", clip, "-o", "o.mp4", "-m", "fai-m2f-s-ade")
    assert result.code == 1
    assert_one_line_error(result, "never published", "--weights FILE")


def test_a_full_disk_ends_the_run_with_one_line_and_no_file(cli, tmp_path):
    noise = tmp_path / "noise.avi"
    make_clip(noise, size=(320, 240), frames=40, codec="mjpeg", pix_fmt="yuvj420p", painter=noisy)
    with file_size_limit(100_000):
        result = cli("run", noise, "-o", "out.mp4", "--crf", 1, "--opacity", 0, *SMALL, "--runtime", "torch")
    assert result.code == 1
    assert_one_line_error(result, "out.mp4")
    assert os.listdir(tmp_path) == ["noise.avi"]


def test_a_full_disk_costs_a_file_only_the_output_that_it_hits(cli, tmp_path):
    make_clip(tmp_path / "noise.avi", size=(320, 240), frames=40, codec="mjpeg", pix_fmt="yuvj420p", painter=noisy)
    with file_size_limit(100_000):
        result = cli(
            *("run", "noise.avi", "-o", "out.mp4", "--save-csv", "shares.csv", "--stats", "stats.json"),
            *("--crf", 1, "--opacity", 0, *SMALL, "--runtime", "torch"),
        )
    assert result.code == 1
    assert_one_line_error(result, "out.mp4")
    assert sorted(os.listdir(tmp_path)) == ["noise.avi", "shares.csv", "stats.json"]
    assert len(Path("shares.csv").read_text().splitlines()) == 41, "what has its name is whole"


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_full_disk_ends_a_live_recording_which_keeps_its_name(cli, tmp_path, ending, monkeypatch):
    camera = plug_in(monkeypatch, "testsrc2=size=320x240:rate=25,noise=alls=90:allf=t")
    with file_size_limit(3_000_000):
        result = cli(
            *("run", camera, "-o", f"out.{ending}", "--save-csv", "shares.csv", "--save-masks", "masks.mkv"),
            *("--crf", 20, "--opacity", 0, "--live", "every-frame", *SMALL, "--runtime", "torch"),
        )
    assert result.code == 1, result.err
    assert re.search(
        rf"error: out\.{ending}: exceeds the largest file size allowed here, ends at 0:\d\d; .*$",
        result.err.strip().splitlines()[-1],
    )
    assert sorted(os.listdir(tmp_path)) == sorted([f"out.{ending}", "masks.mkv", "shares.csv"])
    rows = Path("shares.csv").read_text().splitlines()[1:]
    assert len(video_pts("masks.mkv")) == len(rows) >= len(video_pts(f"out.{ending}")) >= 2


def noisy(index: int, width: int, height: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_without_arguments_the_help_is_shown(cli):
    assert "SOURCE" in cli("run").out


def test_a_camera_that_goes_away_is_recorded_in_one_file_with_cards(cli, monkeypatch):
    camera = plug_in(monkeypatch, "testsrc=size=64x48:rate=25:duration=0.5")
    wanted = ("-o", "out.mkv", "--save-json", "seen.jsonl", "--limit", 20, "--stats", "stats.json")
    result = cli("run", camera, *wanted, *SMALL)
    assert result.code == 0, result.err
    assert "unplugged?; trying again" in result.err and "the source is back after" in result.err
    assert "offline card" in result.err and "reconnects" in result.err
    stats = json.loads(Path("stats.json").read_text())
    times = video_pts("out.mkv")
    assert len(times) == stats["delivered"] and times == sorted(set(times))
    assert stats["placeholders"] >= 1 and stats["inferred"] == stats["delivered"] - stats["placeholders"]
    records = [json.loads(line) for line in Path("seen.jsonl").read_text().splitlines()]
    cards = [record for record in records if record.get("placeholder")]
    assert len(records) == stats["delivered"] and len(cards) == stats["placeholders"]
    assert all(card["detections"] == [] for card in cards)


def test_a_camera_that_goes_away_ends_the_run_if_it_is_not_to_come_back(cli, monkeypatch):
    camera = plug_in(monkeypatch, "testsrc=size=64x48:rate=50:duration=0.2")
    result = cli("run", camera, "-o", "out.mkv", "--reconnect", 0, *SMALL)
    assert result.code == 1 and "the output up to there is kept" in result.err
    assert video_pts("out.mkv")


def test_infer_fps_leaves_the_model_out_in_between(cli, clip):
    result = cli("run", clip, "-o", "out.mp4", "--infer-fps", 5, "--stats", "stats.json", *SMALL)
    stats = json.loads(Path("stats.json").read_text())
    assert result.code == 0 and (stats["delivered"], stats["inferred"]) == (12, 3)


def test_a_faster_engine_that_fails_and_a_conversion_are_told_and_the_summary_names_the_runtime(cli, clip, monkeypatch):
    def fail():
        raise ImportError("libfoo.so: not found")

    words = ("run", clip, "--limit", 1, "-o", "out.mp4", "-y", "--imgsz", 64, "--device", "cpu")
    monkeypatch.setattr("vidseg.runtimes.openvino_runtime.import_openvino", fail)
    result = cli(*words)
    assert "vidseg: openvino cannot be loaded (libfoo.so: not found); skipping it" in result.err.splitlines()
    assert "converting m2f-mobile-ade for onnxruntime, once; kept in" in result.err
    assert re.search(r"1 segmented; onnxruntime .*, cpu, float32$", result.err, re.MULTILINE), result.err
    result = cli(*words, "--runtime", "torch")
    assert re.search(r"1 segmented; torch.*, cpu, float32$", result.err, re.MULTILINE), result.err


def test_max_pixels_moves_the_size_from_which_pictures_are_refused(cli):
    cv2.imwrite("small.png", np.zeros((64, 64, 3), np.uint8))
    result = cli("run", "small.png", "-o", "out.png", "--max-pixels", "4095")
    assert_one_line_error(result, "small.png: 64x64 pixels", "--max-pixels")
    assert cli("run", "small.png", "-o", "out.png", "--max-pixels", "4096", "--imgsz", "64").code == 0


@pytest.fixture
def damaged(tmp_path) -> Path:
    """48 frames, of which the last eight are gone."""
    path = make_clip(tmp_path / "damaged.mp4", frames=48, container_options={"movflags": "faststart"})
    with av.open(str(path)) as container:
        start = [packet.pos for packet in container.demux(video=0) if packet.size][40]
    path.write_bytes(path.read_bytes()[:start])
    return path


DAMAGE = "vidseg: the source is damaged: it ends before its announced length; everything readable was used"


@pytest.mark.parametrize("words", [(), ("--resume",), ("--stats", "stats.json"), ("--limit", 48)])
def test_damage_is_told_even_when_quiet_and_strict_fails_for_it(cli, damaged, words):
    quiet = cli("run", damaged, "-o", "out.mp4", "-q", *words, *SMALL)
    assert (quiet.code, quiet.err.splitlines()) == (0, [DAMAGE])
    strict = cli("run", damaged, "-o", "out.mp4", "-y", "--strict", *words, *SMALL)
    assert strict.code == 1 and strict.err.count(DAMAGE) == 1
    assert len(video_pts("out.mp4")) == 40


def test_a_batch_tells_damage_and_strict_fails_for_it(cli, damaged):
    lenient = cli("batch", damaged, "-o", "a", *SMALL)
    assert lenient.code == 0 and "damaged" in (Path("a") / "batch-report.json").read_text()
    strict = cli("batch", damaged, "-o", "b", "--strict", *SMALL)
    assert strict.code == 1 and "damaged.mp4: the source is damaged" in strict.err
    assert len(video_pts("b/damaged_annotated.mp4")) == 40


def test_strict_passes_what_is_whole_and_is_refused_for_what_is_live(cli, clip, monkeypatch):
    assert cli("run", clip, "-o", "out.mp4", "--strict", *SMALL).code == 0
    monkeypatch.setattr("vidseg.app.opened_run.open_run_source", lambda *_: FakeSource([], live=True))
    refused = cli("run", "udp://127.0.0.1:1", "-o", "live.mp4", "--strict", *SMALL)
    assert refused.code == 2
    assert_one_line_error(refused, "is live", "--strict is for files")


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    """Three pictures of different kinds and sizes."""
    paths = [tmp_path / "photos" / name for name in ("b.jpg", "a.png", "c.bmp")]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((40 + 8 * number, 64, 3), 60 * number, np.uint8))
    return paths


def test_several_pictures_are_one_source_in_the_order_given(cli, photos):
    result = cli("run", *photos, "-o", "out/", "--save-masks", "masks/", *SMALL)
    assert result.code == 0, result.err
    assert "3 frames" in result.err
    assert sorted(os.listdir("out")) == ["a.png", "b.png", "c.png"]
    assert [cv2.imread(f"out/{name}.png").shape[0] for name in "bac"] == [40, 48, 56]
    assert "2 frames" in cli("run", *photos, "-o", "two/", "--limit", 2, *SMALL).err
    assert sorted(os.listdir("two")) == ["a.png", "b.png"]


def test_one_picture_of_a_video_needs_no_pattern(cli, clip):
    assert cli("run", clip, "-o", "one.png", "--limit", 1, *SMALL).code == 0
    assert cv2.imread("one.png").shape == (48, 64, 3)
    more = cli("run", clip, "-o", "two.png", "--limit", 2, *SMALL)
    assert more.code == 2 and "the source has 2; use a pattern" in more.err


def test_a_batch_makes_pictures_of_pictures_beside_videos(cli, photos, clip):
    result = cli("batch", *photos, clip, "-o", "out", "--codec", "h264", "--crf", 30, *SMALL)
    assert result.code == 0, result.err
    made = sorted(name for name in os.listdir("out") if "annotated" in name)
    assert made == ["a_annotated.png", "b_annotated.jpg", "c_annotated.bmp", "clip_annotated.mp4"]
    assert cv2.imread("out/b_annotated.jpg").shape == (40, 64, 3)


def test_a_source_alone_is_written_beside_the_caller_under_a_name_of_its_own(cli, clip):
    result = cli("run", clip, *SMALL)
    assert result.code == 0 and "wrote clip_annotated.mp4" in result.err
    assert len(pictures("clip_annotated.mp4")) == 12
    again = cli("run", clip, *SMALL)
    assert_one_line_error(again, "clip_annotated.mp4", "-y")
    assert cli("run", clip, "-y", *SMALL).code == 0


def test_a_film_alone_gets_the_same_name_in_a_folder_that_is_given(cli, clip):
    Path("there").mkdir()
    for folder in ("there", "new/made/"):
        result = cli("run", clip, "-o", folder, "--limit", 1, *SMALL)
        assert result.code == 0 and os.listdir(folder) == ["clip_annotated.mp4"], result.err
    Path("file").touch()
    assert_one_line_error(cli("run", clip, "-o", "file/in/", *SMALL), "file/in/: cannot be made (Not a directory)")
    address = f"file://{clip}"
    assert cli("run", address, "-o", "there/", "--limit", 1, "-y", *SMALL).code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("gone.mp4",), "gone.mp4: no such file"),
        (("clip.mp4", "-m", "nosuch"), "nosuch"),
        (("clip.mp4", "--matte", "sky"), "for/it: is a folder, which suits images; for a video"),
        (("clip.mp4", "--codec", "nosuch"), "nosuch"),
        (("clip.mp4", "--save-csv", "no/such.csv"), "no/such.csv: folder "),
    ],
)
def test_a_run_that_is_refused_leaves_no_folder(cli, clip, tmp_path, words, told):
    Path("clip.mp4").symlink_to(clip)
    refused = cli("run", *words, "-o", "for/it/", *(() if "-m" in words else SMALL))
    assert_one_line_error(refused, told)
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["clip.mp4"]


def test_the_home_folder_of_an_output_is_found_wherever_it_is_written(cli, clip, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    Path("file.yaml").write_text("output: ~/c/\nsave_csv: ~/c.csv\n")
    for words in (("-o", "~/a/"), ("-o=~/b/",), ("--config", "file.yaml")):
        assert cli("run", clip, *words, "--limit", 1, *SMALL).code == 0
    assert sorted(os.listdir("home")) == ["a", "b", "c", "c.csv"] and not Path("~").exists()
    assert os.listdir("home/c") == ["clip_annotated.mp4"]


def test_photos_and_folders_alone_become_pictures(cli, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.JPG", "b.webp"):
        cv2.imwrite(str(tmp_path / "in" / name), np.zeros((48, 64, 3), np.uint8))
    assert cli("run", "in/a.JPG", *SMALL).code == 0 and (tmp_path / "a_annotated.jpg").is_file()
    assert cli("run", "in/b.webp", *SMALL).code == 0 and (tmp_path / "b_annotated.png").is_file()
    assert cli("run", "in/", *SMALL).code == 0
    assert len(list((tmp_path / "in_annotated").iterdir())) == 2


def test_a_source_alone_that_is_not_there_is_named(cli):
    result = cli("run", "nofile.mp4")
    assert result.code == 2
    assert_one_line_error(result, "nofile.mp4: no such file")


def test_what_asks_for_data_only_gets_no_video(cli, clip, tmp_path):
    assert cli("run", clip, "--save-csv", "s.csv", *SMALL).code == 0
    assert not list(tmp_path.glob("*_annotated*"))
