"""Streams and playlists as outputs of `vidseg run`, as a user sees them. Servers: `tests/servers/test_sending.py`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from tests.cli.test_run import SMALL, assert_one_line_error, video_pts
from tests.servers.processes import free_port
from tests.sources.graph_camera import plug_in
from tests.video.clips import make_clip
from vidseg.video import srt_tool
from vidseg.video.protocols import has_protocol


@pytest.fixture
def udp() -> str:
    """An address at which nobody listens; UDP does not mind."""
    return f"udp://joe:s3cret@127.0.0.1:{free_port(socket.SOCK_DGRAM)}"


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["-o", "ftp://joe:s3cret@x/y"], ["ftp://***@x/y: video cannot be sent to ftp://", "rtsp://", "a file name"]),
        (["-o", "rtsp://"], ["rtsp://: names no host", "such as rtsp://host/live/name"]),
        (["-o", "udp://127.0.0.1"], ["has no port"]),
        (
            ["-o", "rtmp://joe:s3cret@127.0.0.1:1/live/x"],
            ["no receiver answers (connection refused)", "--reconnect always"],
        ),
        (["-o", "rtsp://127.0.0.1:1/x", "--resume"], ["--resume cannot be used with a stream", "out.mp4"]),
        (["-o", "rtsp://127.0.0.1:1/x", "--workers", 2], ["--workers cannot be used with a stream"]),
        (["-o", "rtsp://127.0.0.1:1/x", "--matte", "person"], ["--matte cannot be used with a stream"]),
        (["-o", "rtmp://127.0.0.1:1/x", "--codec", "vp9"], ["codec vp9 cannot be used in"]),
        (["-o", "udp://127.0.0.1:9", "--crf", 60], ["crf 60 is out of range"]),
        (["-o", "a.m3u8", "--resume"], ["a.m3u8: --resume cannot be used with a playlist"]),
        (["-o", "a.m3u8", "--workers", 2], ["--workers cannot be used with a playlist"]),
        (["-o", "a.m3u8", "--codec", "vp9"], ["codec vp9 cannot be used in"]),
        (["-o", "nowhere/a.m3u8"], ["nowhere"]),
    ],
)
def test_what_cannot_be_sent_gets_one_line_and_exit_code_2_and_leaves_nothing(cli, clip, tmp_path, words, texts):
    result = cli("run", clip, *words, *SMALL)
    assert result.code == 2
    assert_one_line_error(result, *texts)
    assert "s3cret" not in result.err and os.listdir(tmp_path) == []


@pytest.mark.skipif(has_protocol("srt"), reason="this PyAV has SRT")
def test_srt_that_nothing_here_knows_is_said_in_one_line(cli, clip, monkeypatch):
    monkeypatch.setattr(srt_tool, "find_tool", lambda: None)
    result = cli("run", clip, "-o", "srt://127.0.0.1:9", *SMALL)
    assert result.code == 2
    assert_one_line_error(result, "srt://127.0.0.1:9: the FFmpeg in this PyAV was built without srt; use", "srt-tools")


def test_a_file_is_sent_at_its_own_speed_and_the_password_is_never_told(cli, clip, udp):
    result = cli("run", clip, "-o", udp, "--stats", "stats.json", *SMALL)
    assert result.code == 0, result.err
    assert "sent to udp://***@127.0.0.1" in result.err and "sound" not in result.err
    text = Path("stats.json").read_text()
    assert "s3cret" not in text + result.err and "joe" not in text + result.err
    stats = json.loads(text)
    assert stats["delivered"] == 12 and stats["elapsed_seconds"] >= 11 / 25


def test_without_pace_a_file_is_sent_as_fast_as_it_goes(cli, tmp_path, udp):
    make_clip(tmp_path / "long.mp4", frames=30, rate=1)
    result = cli("run", "long.mp4", "-o", udp, "--no-pace", "--stats", "stats.json", *SMALL)
    assert result.code == 0, result.err
    assert json.loads(Path("stats.json").read_text())["elapsed_seconds"] < 29


def test_other_outputs_are_written_beside_a_stream(cli, clip, udp):
    result = cli("run", clip, "-o", udp, "--save-csv", "shares.csv", *SMALL)
    assert result.code == 0, result.err
    assert len(Path("shares.csv").read_text().splitlines()) == 13


def test_a_file_becomes_a_whole_playlist_with_its_audio(cli, clip, tmp_path):
    result = cli("run", clip, "-o", "out/a.m3u8", *SMALL)
    assert result.code == 2, "the folder has to be there, as for every output"
    (tmp_path / "out").mkdir()
    result = cli("run", clip, "-o", "out/a.m3u8", *SMALL)
    assert result.code == 0 and "wrote out/a.m3u8" in result.err, result.err
    assert video_pts("out/a.m3u8") == video_pts(clip)
    with av.open("out/a.m3u8") as playlist:
        assert len(playlist.streams.audio) == 1
    assert sorted(os.listdir("out")) == ["a.m3u8", "a_00000.ts"]
    assert "exists; overwrite it with -y" in cli("run", clip, "-o", "out/a.m3u8", *SMALL).err
    assert cli("run", clip, "-o", "out/a.m3u8", "-y", *SMALL).code == 0


def test_a_live_source_becomes_a_rolling_playlist_that_ends_properly(cli, monkeypatch):
    camera = plug_in(monkeypatch, "testsrc=size=64x48:rate=25")
    result = cli("run", camera, "-o", "a.m3u8", "--limit", 20, *SMALL)
    assert result.code == 0, result.err
    text = Path("a.m3u8").read_text()
    assert text.rstrip().endswith("#EXT-X-ENDLIST") and "VOD" not in text


def test_saved_masks_are_drawn_into_a_stream_and_a_playlist(cli, clip, udp):
    assert cli("run", clip, "--save-masks", "masks.mkv", *SMALL).code == 0
    result = cli("render", clip, "masks.mkv", "-o", udp)
    assert result.code == 0 and "sent to udp://***@" in result.err, result.err
    assert cli("render", clip, "masks.mkv", "-o", "a.m3u8").code == 0
    assert video_pts("a.m3u8") == video_pts(clip)


def test_what_was_lost_is_in_the_stats_of_a_run_whose_receiver_never_came(cli, clip):
    away = f"rtmp://joe:s3cret@127.0.0.1:{free_port()}/live/x"
    result = cli("run", clip, "-o", away, "--reconnect", 1, "--stats", "stats.json", "--save-csv", "a.csv", *SMALL)
    assert result.code == 1 and result.err.count("error") == 1, result.err
    stats = json.loads(Path("stats.json").read_text())
    assert stats["lost_in_sending"] == stats["delivered"] > 0
    assert sorted(os.listdir()) == ["a.csv", "stats.json"]


def test_a_drawn_clip_is_sent_with_the_patience_and_the_pace_of_a_run(cli, tmp_path, udp):
    make_clip(tmp_path / "long.mp4", frames=30, rate=1)
    assert cli("run", "long.mp4", "--save-masks", "masks.mkv", *SMALL).code == 0
    begin = time.monotonic()
    assert cli("render", "long.mp4", "masks.mkv", "-o", udp, "--no-pace").code == 0
    assert time.monotonic() - begin < 25
    away = f"rtmp://joe:s3cret@127.0.0.1:{free_port()}/live/x"
    result = cli("render", "long.mp4", "masks.mkv", "-o", away, "--reconnect", "0")
    assert result.code == 2
    assert_one_line_error(result, "no receiver answers", "--reconnect always")
    result = cli("render", "long.mp4", "masks.mkv", "-o", away, "--reconnect", 1, "--timeout", 2)
    assert result.code == 1 and "s3cret" not in result.err
    assert "did not get everything: cannot connect to it (connection refused)" in result.err
    result = cli("render", "long.mp4", "masks.mkv", "-o", away, "--reconnect", "often")
    assert result.code == 2
    assert_one_line_error(result, "--reconnect is 'often'", "or always")


def test_a_batch_writes_neither_streams_nor_playlists(cli, clip, tmp_path):
    result = cli("batch", clip, "-o", "rtsp://joe:s3cret@127.0.0.1:1/x", *SMALL)
    assert result.code == 2
    assert_one_line_error(result, "rtsp://***@127.0.0.1:1/x: only single runs can send streams; give a folder as -o")
    result = cli("batch", clip, "-o", "out", "--name", "{stem}.m3u8", *SMALL)
    assert result.code == 2
    assert_one_line_error(result, "--name {stem}.m3u8: only single runs can write playlists")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_the_counts_are_written_where_another_output_failed(udp, tmp_path):
    import resource

    words = [
        "run",
        "test:64x48@200,frames=100",
        "--stride",
        "9",
        "-o",
        udp,
        "--no-pace",
        "--save-csv",
        "a.csv",
        "--stats",
        "s.json",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "vidseg", *words, *map(str, SMALL)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000)),
    )
    assert done.returncode == 1 and "a.csv" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert os.listdir(tmp_path) == ["s.json"]
