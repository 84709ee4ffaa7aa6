"""`--split`: long recordings in files."""

from __future__ import annotations

import csv
import os
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.cli.test_run import SMALL, assert_one_line_error, pictures, video_pts
from tests.sinks.sink_helpers import audio_packets, make_frame, video_info
from tests.video.clips import make_clip, read_counter
from vidseg.audio import AUDIO_RATE, AudioBlock, AudioQueue
from vidseg.errors import SinkError, WriteError
from vidseg.sinks.av_sink import AvSink
from vidseg.sinks.split_output import SplitOutput, SplitRule, Splitter
from vidseg.video.encoders import EncodeOptions

PLAIN = ("--opacity", 0, "--crf", 4)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """75 frames of 96x64 at 25 fps with sound."""
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", size=(96, 64), frames=75, audio_seconds=3)


def test_a_file_is_cut_by_its_time_and_no_frame_is_lost(cli, film):
    kinds = ("masks=m.mkv", "confidence=c.mkv", "csv=t.csv", "json=j.jsonl", "plot=p.png")
    saved = [word for kind in kinds for word in ("--save-" + kind.replace("=", " ").replace(".", "_%H%M%S.")).split()]
    result = cli("run", film, "-o", "rec_%H%M%S.mp4", "--split", 1, *saved, *PLAIN, *SMALL)
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
    times = [path.stem[4:] for path in made]
    for kind in ("m_*.mkv", "c_*.mkv", "j_*.jsonl", "p_*.png"):
        assert [path.stem[2:] for path in sorted(Path().glob(kind))] == times, "every output is split alike"
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
        self.state = "aborted" if self.state == "open" else self.state


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


@pytest.mark.parametrize("late", [0, 1])
def test_audio_that_comes_after_its_pictures_is_in_the_file_of_its_time(tmp_path, late):
    """A second after them; a tone of its own height in each second."""
    queue = AudioQueue()
    info = video_info(time_base=Fraction(1, 25), live=True, has_audio=True, audio=queue)
    splitter = Splitter(SplitRule(seconds=2), live=False, clock=lambda: 0.0)
    output = SplitOutput(
        str(tmp_path / "rec_%S.mkv"),
        lambda path: AvSink(path, info, overwrite=False, encode=EncodeOptions(threads=1)),
        splitter,
        video=True,
    )
    block = AUDIO_RATE // 25
    for index in range(150):
        heard = index - late * 25
        if heard >= 0:
            turns = 2 * np.pi * (500 + 500 * (heard // 25)) * np.arange(heard * block, (heard + 1) * block) / AUDIO_RATE
            wave = (9000 * np.sin(turns)).astype(np.int16)
            queue.put(AudioBlock(np.stack((wave, wave), 1), Fraction(heard, 25)))
        frame = make_frame(index, size=(32, 32))
        output.write(frame, None, frame.image)  # type: ignore[arg-type]
    output.close()
    made = sorted(tmp_path.iterdir())
    assert [path.name for path in made] == ["rec_00.mkv", "rec_02.mkv", "rec_04.mkv"]
    heights = [heights_of(path) for path in made]
    assert heights[:2] == [[500, 1000], [1500, 2000]] and heights[2][0] == 2500, "to the end of what came in time"


def test_what_is_recorded_stays_when_the_next_file_cannot_be_had(utc):
    parts: list[Part] = []

    def opened(path: str) -> Part:
        if parts:
            raise SinkError("no permission")
        parts.append(Part(path))
        return parts[-1]

    output = SplitOutput("v_%S.mkv", opened, Splitter(SplitRule(seconds=1), live=False), video=True)
    with pytest.raises(WriteError, match="no permission"):
        for index in range(60):
            output.write(make_frame(index), None, None)  # type: ignore[arg-type]
    output.abort()
    assert parts[0].state == "closed" and parts[0].frames == list(range(25))


def heights_of(path: Path) -> list[int]:
    """Of the tone, from 0.2 to 0.9 s of each second, to 100 Hz; and that nothing is silent there."""
    with av.open(str(path)) as container:
        blocks = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    wave = np.concatenate(blocks)
    found = []
    for second in range(round(len(wave) / AUDIO_RATE)):
        part = wave[round((second + 0.2) * AUDIO_RATE) : round((second + 0.95) * AUDIO_RATE)]
        quiet = np.abs(part[: len(part) // 480 * 480].reshape(-1, 480)).max(axis=1).min() < 0.05
        strength = np.abs(np.fft.rfft(part))
        found.append(0 if quiet else round(int(strength.argmax()) * AUDIO_RATE / len(part), -2))
    return found
