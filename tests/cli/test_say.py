"""What cannot be printed is dropped, what is printed does nothing to the terminal, and the work goes on."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from tests.sinks.sink_helpers import frame_times
from tests.video.clips import make_clip
from vidseg.cli.console import RunConsole
from vidseg.cli.say import UnbreakableStream, say, tell_lost_output, unbreakable_streams
from vidseg.cli.training_console import TrainingConsole
from vidseg.names import printable

ROOT = Path(__file__).parents[2]
EVIL = "a\x1b[31m\x1b]0;owned\x07b\nvidseg: done\r\x9b2J\u202ec\udcff"
SHOWN = "a\\x1b[31m\\x1b]0;owned\\x07b\\nvidseg: done\\r\\x9b2J\\u202ec\\udcff"


def vidseg(*words: object, cwd: Path, **streams: object) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "VIDSEG_CACHE": str(cwd / "cache")}
    command = [sys.executable, "-m", "vidseg", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment, timeout=120, check=False, **streams)  # type: ignore[call-overload]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", size=(64, 48), frames=12)


def run_words(clip: Path) -> tuple[object, ...]:
    return "run", clip, "-o", "out.mp4", "-v", "--imgsz", 64, "--runtime", "torch"


def test_a_log_on_a_full_disk_costs_no_frame(clip: Path, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = vidseg(*run_words(clip), cwd=tmp_path, stdout=full, stderr=full)
    assert done.returncode == 0 and len(frame_times(tmp_path / "out.mp4")) == 12


def test_a_reader_that_goes_costs_no_frame(clip: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = vidseg(*run_words(clip), cwd=tmp_path, stdout=writing, stderr=writing)
    finally:
        os.close(writing)
    assert done.returncode == 0 and len(frame_times(tmp_path / "out.mp4")) == 12


@pytest.mark.parametrize(
    ("words", "code"), [(["run", "--nope"], 2), (["run", "no.mp4", "-o", "o.mp4"], 2), (["presets"], 0)]
)
def test_exit_codes_are_those_of_the_work(tmp_path: Path, words: list[str], code: int) -> None:
    with open("/dev/full", "w") as full:
        assert vidseg(*words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=full).returncode == code


@pytest.mark.parametrize("words", [["classes"], ["run", "--help"], ["presets"]])
def test_data_that_is_lost_is_told(tmp_path: Path, words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = vidseg(*words, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == (
        b"vidseg: error: cannot write to standard output (No space left on device); some output is lost\n"
    )


def test_a_reader_that_has_enough_is_no_failure(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = vidseg("classes", cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


class Refusing(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_stream_that_comes_back_is_told_again(tmp_path: Path) -> None:
    real = (tmp_path / "log").open("w")
    stream = UnbreakableStream(real)
    stream._stream = Refusing()
    stream.write("lost\n")
    stream.flush()
    assert stream.failure is not None and tell_lost_output(stream)
    stream._stream = real
    stream.write("told\n")
    real.close()
    stream.write("closed\n")
    assert (tmp_path / "log").read_text() == "told\n"


def test_streams_are_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    before = sys.stdout
    with unbreakable_streams():
        say("nobody hears it")
    assert sys.stdout is before and sys.stderr is None


def test_nothing_printed_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable(EVIL) == SHOWN and printable("straße 東京") == "straße 東京"
    say(EVIL)
    with RunConsole(verbose=True) as run, TrainingConsole() as train:
        for tell in (run.note, run.detail, run.address, run.problem, train.note):
            tell(EVIL)
    out, err = capsys.readouterr()
    assert out == "" and err.count(SHOWN) == 6 and len(err.splitlines()) == 6 and err.isascii()


def test_class_names_do_nothing_to_the_terminal(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    import vidseg.wiring.engine

    monkeypatch.setattr(vidseg.wiring.engine, "label_set", lambda config: SimpleNamespace(full_names=[EVIL]))
    monkeypatch.setattr("vidseg.commands.model_info.model_file_facts", lambda name, **_: {"classes": EVIL})
    for words in (["classes", "-m", "net.onnx"], ["models", "info", "net.onnx"]):
        result = cli(*words)
        assert result.code == 0 and SHOWN in result.out and result.out.isascii() and "\x1b" not in result.out


def test_words_with_a_meaning_elsewhere_stay_as_they_are() -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, highlight=False, soft_wrap=True, width=20)
    say("[red]:car: wrote a very long line of words.mp4[/]", console)
    assert shown.getvalue() == "[red]:car: wrote a very long line of words.mp4[/]\n"


def test_names_of_files_and_outputs_do_nothing_to_the_terminal(cli) -> None:
    for words in (["run", f"no{EVIL}.mp4", "-o", "o.mp4"], ["run", "test", "-o", f"o{EVIL}.mpx"]):
        done = cli(*words)
        assert done.code == 2 and done.out == ""
        assert done.err.isascii() and done.err.count("\n") == 1 and "\x1b" not in done.err
