"""`--start`, `--end` and `--duration` as a user sees them: which frames, when, with what audio."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import av
import numpy as np
import pytest

import vidseg
from tests.cli.test_run import SMALL, assert_one_line_error, pictures, video_pts
from tests.sinks.sink_helpers import audio_packets, frame_times
from tests.video.clips import make_clip, read_counter
from vidseg.app.run import run
from vidseg.configure import merge

LOSSLESS = ("--opacity", 0, "--crf", 4)
PACKET = 1024 / 48_000
"""Seconds of audio in a packet of AAC."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 frames of 96x64 at 25 fps with B-frames and audio; a key frame every 20."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return make_clip(path, size=(96, 64), frames=150, bframes=2, gop=20, audio_seconds=6)


def numbers(path) -> list[int]:
    return [read_counter(picture) for picture in pictures(path)]


def audio_span(path) -> tuple[float, float]:
    """Where the audio of a file begins, as its packets say, and where it ends."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    return float(packets[0].pts * packets[0].time_base), float(
        (packets[-1].pts + packets[-1].duration) * packets[-1].time_base
    )


@pytest.mark.parametrize(
    ("flags", "first", "last"),
    [
        (("--start", "5", "--end", "5.4"), 125, 135),
        (("--ss", "0:05.01", "-t", "0.4"), 126, 136),
        (("--start", "-1", "--to", "-0.2"), 125, 145),
        (("--start", "00:00:03", "--limit", 4), 75, 79),
        (("--duration", "0.2"), 0, 5),
    ],
)
def test_the_frames_asked_for_are_written_from_zero_with_their_audio(cli, film, flags, first, last):
    assert cli("run", film, "-o", "out.mp4", *flags, *LOSSLESS, *SMALL).code == 0
    assert numbers("out.mp4") == list(range(first, last))
    assert video_pts("out.mp4") == pytest.approx([n / 25 for n in range(last - first)], abs=1e-6)
    begins, ends = audio_span("out.mp4")
    assert -PACKET - 1e-3 < begins <= 1e-3, "the sound begins within a packet of the picture"
    assert abs(ends - (last - first) / 25) <= PACKET + 1e-3


def test_the_audio_is_that_of_the_pictures(cli, tmp_path):
    """A click at 4 s: it lies at 1 s of what begins at 3 s."""
    clip = make_clip(tmp_path / "click.mov", frames=150, gop=20, codec="mjpeg", pix_fmt="yuvj420p")
    with av.open(str(clip)) as pictures_in, av.open("whole.mov", "w") as whole:
        video = whole.add_stream_from_template(pictures_in.streams.video[0])
        tone = whole.add_stream("pcm_s16le", rate=48_000, layout="mono")
        for packet in pictures_in.demux(video=0):
            if packet.size:
                packet.stream = video
                whole.mux(packet)
        samples = np.zeros((1, 6 * 48_000), np.int16)
        samples[0, 4 * 48_000 : 4 * 48_000 + 480] = 20_000
        for at in range(0, samples.shape[1], 1024):
            chunk = av.AudioFrame.from_ndarray(samples[:, at : at + 1024], "s16", "mono")
            chunk.rate, chunk.pts = 48_000, at
            whole.mux(tone.encode(chunk))
        whole.mux(tone.encode(None))
    assert cli("run", "whole.mov", "-o", "out.mov", "--start", 3, "--end", 5, *SMALL).code == 0
    with av.open("out.mov") as out:
        heard = [
            (float(frame.pts * frame.time_base) + int(np.argmax(np.abs(frame.to_ndarray()))) / 48_000)
            for frame in out.decode(audio=0)
            if np.abs(frame.to_ndarray()).max() > 10_000
        ]
    assert heard[0] == pytest.approx(1, abs=0.002)


def test_saved_data_keep_numbers_and_times_and_masks_are_drawn_without_flags(cli, film):
    part = ("--start", "4.2", "--end", "5")
    saves = ("--save-masks", "masks.mkv", "--save-csv", "shares.csv", "--save-json", "found.jsonl")
    assert cli("run", film, "-o", "a.mp4", *part, *saves, *LOSSLESS, *SMALL).code == 0
    rows = list(csv.DictReader(Path("shares.csv").read_text().splitlines()))
    assert sorted({int(row["frame"]) for row in rows}) == list(range(105, 125))
    lines = [json.loads(line) for line in Path("found.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines if "frame" in line][:1] == [105]
    result = cli("render", film, "masks.mkv", "-o", "b.mp4", *LOSSLESS)
    assert result.code == 0, result.err
    assert "20 frames" in result.err and "without a mask" not in result.err
    assert numbers("b.mp4") == numbers("a.mp4") == list(range(105, 125))
    assert frame_times(Path("b.mp4"))[0] == 0 and audio_span("b.mp4") == audio_span("a.mp4")


def test_masks_of_all_are_drawn_in_part(cli, film):
    assert cli("run", film, "--save-masks", "masks.mkv", *SMALL).code == 0
    result = cli("render", film, "masks.mkv", "-o", "b.mp4", "--start", 4, "-t", 0.2, *LOSSLESS)
    assert result.code == 0 and numbers("b.mp4") == list(range(100, 105)) and video_pts("b.mp4")[0] == 0
    assert "masks" not in result.err, "what was not asked for is not missed"


@pytest.mark.parametrize("more", [("--resume", "--segment-seconds", 0.4), ("--stride", 4), ("--workers", 2)])
def test_in_chunks_and_with_left_out_frames_the_same_part_comes_out(cli, film, more):
    part = ("--start", "3.5", "--end", "5", *LOSSLESS, *SMALL, "--runtime", "torch")
    assert cli("run", film, "-o", "a.mp4", *part).code == 0
    assert cli("run", film, "-o", "b.mp4", *part, *more).code == 0
    assert numbers("b.mp4") == numbers("a.mp4") == list(range(88, 125))
    assert video_pts("b.mp4") == video_pts("a.mp4") and audio_packets(Path("b.mp4")) == audio_packets(Path("a.mp4"))


def test_a_batch_takes_the_part_of_each_file(cli, film, tmp_path):
    assert cli("batch", film, "-o", "out", "--start", -1, "-t", 0.2, *LOSSLESS, *SMALL).code == 0
    assert numbers("out/film_annotated.mp4") == list(range(125, 130))


def test_python_takes_a_part(film):
    taken = list(vidseg.segment(film, start="0:04", end=-1.8, imgsz=64, threads=1))
    assert [each.index for each in taken] == list(range(100, 105)) and taken[0].seconds == 4


def test_a_live_run_ends_after_its_duration(tmp_path):
    from tests.app.test_run import SilentReporter

    given = {"source": "test:64x48@50,realtime", "save_csv": str(tmp_path / "a.csv"), "duration": 0.5, "imgsz": 64}
    stats = run(merge(("test", given)), SilentReporter()).stats
    assert 0.3 < stats.last_pts_seconds < 0.5 and not stats.stopped_early


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("film.mp4", "--start", "9"), ("--start is at 9 s", "6 s long")),
        (("film.mp4", "--start", "2", "--end", "1"), ("--end is at 1 s", "--start at 2 s")),
        (("film.mp4", "--end", "2", "-t", "1"), ("--end and --duration", "give one")),
        (("film.mp4", "--start", "1:75"), ("--start is '1:75'", "[HH:]MM:SS.mmm")),
        (("film.mp4", "-t", "0"), ("--duration is '0'", "above 0")),
        (("photo.png", "--start", "1"), ("photo.png", "these are images", "--limit N")),
        (("test:realtime", "--start", "1"), ("is live", "--duration ends")),
    ],
)
def test_what_cannot_be_is_said_in_one_line(cli, film, tmp_path, arguments, said):
    Path("film.mp4").symlink_to(film)
    import cv2

    cv2.imwrite("photo.png", np.zeros((32, 32, 3), np.uint8))
    result = cli("run", *arguments, "--save-csv", "a.csv", *SMALL)
    assert result.code == 2
    assert_one_line_error(result, *said)
