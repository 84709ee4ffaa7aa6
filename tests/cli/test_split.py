"""`--split`: long recordings in files."""

from __future__ import annotations

import csv
import os
import time
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_run import SMALL, assert_one_line_error, pictures, video_pts
from tests.sinks.sink_helpers import audio_packets, make_frame
from tests.video.clips import make_clip, read_counter
from vidseg.sinks.split_output import SplitOutput, SplitRule, Splitter

PLAIN = ("--opacity", 0, "--crf", 4)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """75 frames of 96x64 at 25 fps with sound."""
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", size=(96, 64), frames=75, audio_seconds=3)


def test_a_file_is_cut_by_its_time_and_no_frame_is_lost(cli, film):
    result = cli("run", film, "-o", "rec_%H%M%S.mp4", "--split", 1, "--save-csv", "t_%H%M%S.csv", *PLAIN, *SMALL)
    assert result.code == 0, result.err
    made = sorted(Path().glob("rec_*.mp4"))
    assert len(made) == 3 and "3 files, " in result.err
    assert [[read_counter(picture) for picture in pictures(path)] for path in made] == [
        list(range(start, start + 25)) for start in (0, 25, 50)
    ]
    for path in made:
        assert video_pts(path) == pytest.approx([n / 25 for n in range(25)], abs=1e-4)
        assert float(audio_packets(path)[-1][0]) == pytest.approx(0.98, abs=0.05), "its own second of sound"
    tables = [list(csv.DictReader(path.open())) for path in sorted(Path().glob("t_*.csv"))]
    assert [[int(row["frame"]) for row in table] for table in tables] == [
        list(range(start, start + 25)) for start in (0, 25, 50)
    ]
    assert not list(Path().glob("*.part"))


def noise(index: int, width: int, height: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 255, (height, width, 3), np.uint8)


def test_a_size_begins_a_new_file_too(cli, tmp_path):
    kind = {"codec": "mjpeg", "pix_fmt": "yuvj420p"}
    film = make_clip(tmp_path / "film.mov", size=(256, 192), frames=60, painter=noise, **kind)
    words = ("--codec", "mjpeg", "--split", "200kB", "--stride", 60, *SMALL)
    result = cli("run", film, "-o", "rec_%H%M%S.mov", *words)
    assert result.code == 0, result.err
    made = sorted(Path().glob("rec_*.mov"), key=lambda path: path.stat().st_mtime_ns)
    assert len(made) > 1 and sum(len(pictures(path)) for path in made) == 60
    assert all(200_000 < os.path.getsize(path) < 500_000 for path in made[:-1])


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (("-o", "rec.mp4", "--split", "1h"), ["rec.mp4", "rec_%Y%m%d_%H%M%S.mp4"]),
        (("-o", "rec_%H.gif", "--split", "1h"), ["--split", "video files"]),
        (("--save-csv", "t_%H.csv", "--split", "1h"), ["--split", "not given"]),
        (("-o", "rec_%H.mp4", "--split", "often"), ["--split", "1h", "2GB"]),
        (("-o", "rec_%H.mp4", "--split", "0MB"), ["--split", "1h", "2GB"]),
        (("-o", "rec_%H.mp4", "--split", "1h", "--resume"), ["--split", "--resume"]),
    ],
)
def test_what_cannot_be_split_is_told_in_one_line(cli, film, words, texts):
    assert_one_line_error(cli("run", film, *words, *SMALL), *texts)


class Part:
    """One file; remembers its frames."""

    needs_picture = True
    notes = ()

    def __init__(self, path: str) -> None:
        self.path, self.frames, self.state = path, [], "open"

    def write(self, frame, segmentation, picture) -> None:
        self.frames.append(frame.index)

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"


@pytest.fixture
def utc():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def test_a_live_source_is_cut_at_full_hours_and_all_outputs_alike(utc):
    now = [0.0]
    splitter = Splitter(SplitRule(seconds=3600), live=True, clock=lambda: now[0])
    parts: list[Part] = []

    def opened(path: str) -> Part:
        parts.append(Part(path))
        return parts[-1]

    now[0] = splitter.began = splitter.stamp = 1_700_000_000.0  # 22:13:20
    outputs = [SplitOutput(f"{name}_%H%M%S.mkv", opened, splitter, video=name == "v") for name in "vt"]
    for index, passed in enumerate((0, 2799, 2800, 2801, 6399, 6400)):
        now[0] = 1_700_000_000.0 + passed
        for output in outputs:
            output.write(make_frame(index), None, None)  # type: ignore[arg-type]
    outputs[0].close()
    outputs[1].abort()
    assert [(part.path, part.frames, part.state) for part in parts] == [
        ("v_221320.mkv", [0, 1], "closed"),
        ("t_221320.mkv", [0, 1], "closed"),
        ("v_230000.mkv", [2, 3, 4], "closed"),
        ("t_230000.mkv", [2, 3, 4], "closed"),
        ("v_000000.mkv", [5], "closed"),
        ("t_000000.mkv", [5], "aborted"),
    ]
    assert outputs[0].notes == ("3 files, v_221320.mkv to v_000000.mkv",)
