"""The parts of `vidseg.app.run` that a run from the command line does not show."""

import os
import re
import shutil
import threading
from fractions import Fraction

import pytest

from tests.fakes import TIME_BASE
from tests.video.clips import make_clip
from vidseg.app.run import expected_frames, run
from vidseg.commands import doctor
from vidseg.config import RunConfig
from vidseg.errors import CheckpointError, ConfigError, SinkError, WriteError
from vidseg.frames import VideoInfo
from vidseg.labels import ade20k
from vidseg.pipeline import pipeline as pipeline_module
from vidseg.pipeline.policy import RateLimit
from vidseg.pipeline.stats import RunStats
from vidseg.sinks.av_sink import AvSink
from vidseg.wiring import outputs as outputs_module
from vidseg.wiring import reporter
from vidseg.wiring.effects import render_options
from vidseg.wiring.outputs import open_sinks, with_usable_encoder
from vidseg.wiring.stats_file import StatsFile


class SilentReporter(reporter.SilentReporter):
    def __init__(self):
        self.ticks = 0

    def progress(self, progress, total):
        self.ticks += 1


def test_run_from_python_gives_the_stats_and_reports_progress(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", frames=5)
    reporter = SilentReporter()
    outcome = run(RunConfig(source=str(clip), output=str(tmp_path / "out.mp4"), imgsz=64, threads=1), reporter)
    assert (outcome.stats.delivered, outcome.exit_code, outcome.aborted) == (5, 0, False)
    assert outcome.outputs == (str(tmp_path / "out.mp4"),) and reporter.ticks > 0


@pytest.mark.timeout(60)
def test_an_encoder_that_blocks_costs_its_own_output_only_and_the_run_fails(tmp_path, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(pipeline_module, "SINK_STALL_SECONDS", 0.5)
    monkeypatch.setattr(AvSink, "close", lambda sink: release.wait())
    clip = make_clip(tmp_path / "clip.mp4", frames=3)
    reporter = SilentReporter()
    reporter.problem = (problems := []).append
    output, table = str(tmp_path / "out.mp4"), str(tmp_path / "t.csv")
    try:
        outcome = run(RunConfig(source=str(clip), output=output, save_csv=table, imgsz=64, threads=1), reporter)
        assert sorted(os.listdir(tmp_path)) == ["clip.mp4", "out.mp4.part", "t.csv"]
    finally:
        release.set()
    assert (outcome.exit_code, outcome.aborted, outcome.outputs) == (1, False, (table,))
    assert problems == [
        f"{output}: was blocked for 0.5 seconds and is left unfinished; the other outputs were finished"
    ]


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"workers": 2}])
def test_the_preset_reaches_the_encoder(tmp_path, monkeypatch, options):
    """x264 writes its settings into the stream: subme=0 is that of ultrafast alone."""
    from tests.cli.test_workers import HereInstead

    monkeypatch.setattr("vidseg.chunks.split.run.Workers", HereInstead)
    clip = make_clip(tmp_path / "clip.mp4", frames=4)
    made = {}
    for preset in (None, "ultrafast"):
        output = tmp_path / f"{preset}.mp4"
        config = RunConfig(source=str(clip), output=str(output), encoder_preset=preset, imgsz=64, threads=1, **options)
        run(config, SilentReporter())
        made[preset] = re.findall(rb" subme=(\d+) ", output.read_bytes())[0]
    assert made["ultrafast"] == b"0" != made[None]


def test_classes_are_looked_up_by_name_and_id():
    options = render_options(RunConfig(classes=("sky", "20"), blur_classes=("person",)), ade20k())
    assert options.classes == (2, 20) and options.blur_classes == (12,)
    with pytest.raises(ConfigError, match="unknown class 'skyy'"):
        render_options(RunConfig(ignore_classes=("skyy",)), ade20k())


def test_a_second_output_that_fails_leaves_nothing_of_the_first(tmp_path):
    (tmp_path / "taken").touch()
    info = VideoInfo(64, 48, TIME_BASE)
    config = RunConfig(source="x", output=str(tmp_path / "out.mp4"), save_masks=str(tmp_path / "taken"))
    with pytest.raises(SinkError, match="taken"):
        open_sinks(config, info, ade20k())
    assert os.listdir(tmp_path) == ["taken"]


@pytest.mark.parametrize(
    ("words", "sizes"),
    [
        ({"output": "a.mp4"}, [(64, 48)]),
        ({"output": "rtsp://host/x", "view": "side"}, [(128, 48)]),
        ({"output": "a.m3u8", "view": "side"}, [(128, 48)]),
        ({"output": "a_%02d.png"}, []),
        ({"save_masks": "masks"}, []),
    ],
)
def test_a_hardware_encoder_is_tried_at_the_size_of_what_is_written(monkeypatch, words, sizes):
    tried = []
    monkeypatch.setattr(outputs_module, "software_instead", lambda codec, preset, size: tried.append(size))
    config = RunConfig(source="x", codec="h264_nvenc", **words)
    assert with_usable_encoder(config, VideoInfo(64, 48, TIME_BASE), print) == config and tried == sizes


@pytest.mark.parametrize(
    "names",
    [{"output": "a.mp4", "stats": "a.mp4"}, {"output": "a", "save_masks": "./a"}, {"save_masks": "a", "stats": "a"}],
)
def test_two_outputs_of_one_name_are_refused(tmp_path, monkeypatch, names):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="is used for two outputs"):
        open_sinks(RunConfig(source="x", **names), VideoInfo(64, 48, TIME_BASE, still=True), ade20k())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("option", ["save_masks", "save_json", "stats"])
def test_other_outputs_than_the_video_cannot_go_to_standard_output(tmp_path, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"^--{option.replace('_', '-')}: only OUT can go to standard output"):
        open_sinks(RunConfig(source="x", **{option: "-"}), VideoInfo(64, 48, TIME_BASE), ade20k())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("option", ["save_json", "save_csv", "save_parquet", "stats"])
def test_a_folder_name_for_an_output_of_one_file_is_refused(tmp_path, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^data/: is a folder; this output is a single file"):
        open_sinks(RunConfig(source="x", **{option: "data/"}), VideoInfo(64, 48, TIME_BASE), ade20k())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 100),
        ({"limit": 7}, 7),
        ({"max_fps": 10.0}, 40),
        ({"max_fps": 60.0}, 100),
        ({"max_fps": 10.0, "limit": 60}, 40),
    ],
)
def test_expected_frames_heed_limit_and_max_fps(options, expected):
    info = VideoInfo(64, 48, TIME_BASE, Fraction(25), frame_count=100)
    assert expected_frames(RunConfig(**options), info) == expected
    assert expected_frames(RunConfig(), VideoInfo(64, 48, TIME_BASE)) is None


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001)])
@pytest.mark.parametrize("max_fps", [1.0, 7.0, 10.0, 24.0, 25.0, 30.0])
def test_expected_frames_are_those_that_the_limit_of_the_rate_keeps(rate, max_fps):
    for count in range(1, 61):
        limit = RateLimit(max_fps)
        kept = sum(limit.keep(float(number / rate)) for number in range(count))
        info = VideoInfo(64, 48, TIME_BASE, rate, frame_count=count)
        assert expected_frames(RunConfig(max_fps=max_fps), info) == kept, count


def test_stats_hide_the_password_of_the_source(tmp_path):
    path = tmp_path / "stats.json"
    config = RunConfig(source="rtsp://user:secret@camera/1")
    StatsFile(path, overwrite=False).write(RunStats(), config, "m", "r", {"imgsz": 64})
    assert "camera" in path.read_text() and "secret" not in path.read_text()


def test_weights_that_fail_to_load_leave_no_output_behind(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", frames=2)
    bad = tmp_path / "bad.pth"
    bad.write_bytes(b"garbage")
    config = RunConfig(
        source=str(clip),
        output=str(tmp_path / "out.mp4"),
        save_masks=str(tmp_path / "masks"),
        stats=str(tmp_path / "stats.json"),
        weights=str(bad),
    )
    with pytest.raises(CheckpointError):
        run(config, SilentReporter())
    assert sorted(os.listdir(tmp_path)) == ["bad.pth", "clip.mp4"]


def test_stats_file_is_claimed_early_and_written_whole(tmp_path):
    path = tmp_path / "stats.json"
    StatsFile(path, overwrite=False).write(RunStats(delivered=3), RunConfig(), "m", "r", {"imgsz": 64})
    assert '"delivered": 3' in path.read_text() and os.listdir(tmp_path) == ["stats.json"]
    with pytest.raises(SinkError, match="exists; overwrite it with -y"):
        StatsFile(path, overwrite=False)
    with pytest.raises(SinkError, match="does not exist; create it first"):
        StatsFile(tmp_path / "none" / "stats.json", overwrite=False)
    with pytest.raises(SinkError, match="is a folder"):
        StatsFile(tmp_path, overwrite=True)


def test_stats_file_whose_folder_goes_away_says_so(tmp_path):
    (tmp_path / "sub").mkdir()
    stats = StatsFile(tmp_path / "sub" / "stats.json", overwrite=False)
    shutil.rmtree(tmp_path / "sub")
    with pytest.raises(WriteError, match="cannot be written"):
        stats.write(RunStats(), RunConfig(), "m", "r", {"imgsz": 64})


def test_doctor_reports_a_broken_part_and_goes_on(monkeypatch):
    def broken():
        raise ImportError("libGL.so.1: cannot open shared object file", name="cv2")

    monkeypatch.setattr(doctor, "_opencv", broken)
    findings = doctor.examine()
    assert any(f.topic == "opencv" and f.good is False and "libGL.so.1" in f.text for f in findings)
    assert findings[-1].topic == "presets"


@pytest.mark.parametrize(
    ("packages", "good", "text"),
    [
        ({"opencv-python-headless": "5.0"}, True, "(opencv-python-headless, opens "),
        ({"opencv-python-headless": "5.0", "opencv-python": "4.9"}, False, "overwrite each other: `pip uninstall -y "),
    ],
)
def test_doctor_names_the_package_that_brings_opencv(monkeypatch, packages, good, text):
    monkeypatch.setattr(doctor, "installed_packages", lambda: packages)
    (finding,) = (each for each in doctor.examine() if each.topic == "opencv")
    assert finding.good is good and text in finding.text
