"""`-` as source and as output."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import av
import pytest

from tests.cli.conftest import Cli
from tests.video.clips import make_clip

SMALL = ("--imgsz", "64", "--threads", "1")


@pytest.mark.timeout(120)
def test_a_video_goes_through_two_pipes_and_nothing_else_is_on_stdout(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", frames=12, audio_seconds=0.48)
    command = [sys.executable, "-m", "vidseg", "run", "-", "-o", "-", "--format", "nut", "--save-csv", "t.csv", *SMALL]
    done = subprocess.run(command, input=clip.read_bytes(), capture_output=True, cwd=tmp_path, timeout=110, check=True)
    assert b"sent to standard output" in done.stderr
    (tmp_path / "out.nut").write_bytes(done.stdout)
    with av.open(str(tmp_path / "out.nut")) as container:
        assert container.format.name == "nut" and container.streams.audio
        assert sum(1 for _ in container.decode(video=0)) == 12
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 13


@pytest.fixture
def stdin_from(request: pytest.FixtureRequest):
    """Puts a descriptor in the place of standard input for the test."""
    kept = os.dup(0)

    def put(descriptor: int) -> None:
        os.dup2(descriptor, 0)
        os.close(descriptor)

    yield put
    os.dup2(kept, 0)
    os.close(kept)


def test_a_file_behind_stdin_is_read_as_a_file_with_its_index_at_the_end(cli: Cli, clip: Path, stdin_from) -> None:
    stdin_from(os.open(clip, os.O_RDONLY))
    result = cli("run", "-", "-o", "out.mp4", *SMALL)
    assert result.code == 0, result.err
    with av.open("out.mp4") as container:
        assert container.streams.video[0].frames == 12 and container.streams.audio


def test_a_pipe_that_holds_no_video_says_what_can_be_piped(cli: Cli, stdin_from) -> None:
    reader, writer = os.pipe()
    stdin_from(reader)
    thread = threading.Thread(target=lambda: (os.write(writer, b"no video" * 99), os.close(writer)))
    thread.start()
    result = cli("run", "-", "-o", "out.mp4", *SMALL)
    thread.join(10)
    assert result.code == 2 and "standard input: " in result.err and "accepted through a pipe" in result.err


def test_a_terminal_is_neither_read_nor_written(cli: Cli, monkeypatch, stdin_from) -> None:
    master, slave = pty.openpty()
    with os.fdopen(os.dup(slave), "w") as terminal:
        monkeypatch.setattr(sys, "__stdout__", terminal)
        result = cli("run", "test", "-o", "-")
    assert (result.code, result.err.count("\n")) == (2, 1) and "standard output is a terminal" in result.err
    stdin_from(slave)
    result = cli("run", "-", "-o", "out.mp4")
    assert (result.code, result.err.count("\n")) == (2, 1) and "standard input: this is a terminal" in result.err
    os.close(master)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-o", "out.mkv", "--format", "nut"), "--format is for -o -"),
        (("-o", "-", "--resume"), "--resume cannot be used with a pipe"),
        (("-o", "-", "--matte", "person"), "--matte cannot be used with a pipe"),
    ],
)
def test_what_does_not_go_with_a_pipe_is_refused_before_anything_is_written(cli: Cli, clip, words, message) -> None:
    result = cli("run", clip, *words)
    assert (result.code, result.out) == (2, "") and message in result.err


def test_stdin_alone_still_asks_where_to_write(cli: Cli) -> None:
    result = cli("run", "-")
    assert result.code == 2 and "give -o FILE" in result.err
