"""`vidseg batch` as a user sees it. Uses the bundled weights."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.models import OptionInfo

from tests.limits import file_size_limit
from tests.video.clips import make_clip
from vidseg.batch.board import Board, Row
from vidseg.batch.job import Job
from vidseg.cli.batch import batch
from vidseg.cli.batch_console import BatchConsole, board_table, totals_line, visible_rows
from vidseg.cli.run import run
from vidseg.config import SINGLE_RUN_OPTIONS, RunConfig

SMALL = ("--imgsz", 64, "--threads", 1, "--runtime", "torch")


def test_every_option_of_a_run_is_one_of_a_batch():
    shared = set(inspect.signature(run).parameters) - SINGLE_RUN_OPTIONS
    assert shared < set(inspect.signature(batch).parameters)


def test_no_two_options_share_a_flag():
    flags = []
    for parameter in inspect.signature(batch, eval_str=True).parameters.values():
        option = parameter.annotation.__metadata__[0]
        if isinstance(option, OptionInfo):
            flags += [flag for words in (option.default, *(option.param_decls or ())) for flag in str(words).split("/")]
    assert len(flags) > 40 and len(set(flags)) == len(flags)


def test_a_folder_becomes_annotated_clips_and_a_report(cli, tmp_path):
    (tmp_path / "rec").mkdir()
    make_clip(tmp_path / "rec" / "a.mp4", frames=4)
    make_clip(tmp_path / "rec" / "new\nline ü.mkv", frames=3)
    (tmp_path / "rec" / "bad.mp4").write_bytes(b"\0" * 500)
    words = ("batch", "rec", "-o", "out", "--name", "{index}_{stem}{ext}", "--container", "mkv", "--limit", 3, *SMALL)
    plan = cli(*words, "--dry-run")
    assert plan.code == 0 and plan.err == ""
    assert plan.out.splitlines() == [
        "do    rec/a.mp4 -> out/1_a.mkv",
        "do    rec/bad.mp4 -> out/2_bad.mkv",
        "do    rec/new\\nline ü.mkv -> out/3_new\\nline ü.mkv",
        "3 to do, 0 done before, 0 impossible",
    ]
    assert os.listdir() == ["rec"]

    result = cli(*words)
    assert result.code == 1 and result.out == ""
    assert (
        result.err.count("rec/bad.mp4") == result.err.count("vidseg: error: rec/bad.mp4: not a video that FFmpeg") == 1
    )
    assert result.err.index("rec/bad.mp4") < result.err.index("[3/3] rec/new")
    assert "2 done, 1 failed, in 0:0" in result.err and "wrote out/batch-report.html" in result.err
    assert {"1_a.mkv", "3_new\nline ü.mkv"} < set(os.listdir("out")) and "2_bad.mkv" not in os.listdir("out")
    data = json.loads(Path("out/batch-report.json").read_text())
    assert [item["frames"] for item in data["files"]] == [3, 0, 3] and data["files"][0]["shares"]["classes"]

    result = cli(*words, "--no-report", "-q")
    assert result.code == 1 and result.err.count("\n") == 1 and "not retried, unless with --retry-failed" in result.err
    assert cli(*words, "--dry-run").out.splitlines()[-1] == "0 to do, 2 done before, 1 impossible"


def test_a_list_on_standard_input(cli, tmp_path, monkeypatch):
    make_clip(tmp_path / "a.mp4", frames=2)
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"# mine\na.mp4\n./a.mp4\ngone.mp4\n")))
    result = cli("batch", "-", "-o", "out", *SMALL)
    assert result.code == 1 and "1 input was given more than once" in result.err
    assert "error: gone.mp4: no such file" in result.err and os.path.exists("out/a_annotated.mp4")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a.mp4",), "no output folder given; give -o OUT_DIR, such as -o annotated/"),
        ((".", "a.mp4"), "no output folder given"),
        (("--list", "a.txt"), "no output folder given"),
        ((".", "--list", "a.txt"), "no output folder given"),
        (("-o", "", "."), "-o"),
        (("-o", "out"), "no inputs; give files"),
        (("a.mp4", "-o", "out", "--name", "{foo}"), "unknown field {foo}; known: {stem}"),
        (("a.mp4", "-o", "out", "--archive", "a.mp4"), "is not an archive of `vidseg batch`"),
        (("a.mp4", "-o", "a.mp4/out"), "cannot be used (Not a directory)"),
        (("--list", "gone.txt", "-o", "out"), "gone.txt: cannot read the list"),
        (("a.mp4", "-o", "out", "--crf", 99), "--crf is 99"),
        (("a.mp4", "-o", "out", "--container", "exe"), "--container exe: unknown; known: mp4"),
        (("a.mp4", "-o", "out", "--model", "nothing"), "nothing"),
        (("a.mp4", "-o", "out", "--matte", "car", "--container", "mp4"), "--container mp4: cannot hold transparency"),
        (
            ("a.mp4", "-o", "out", "--matte", "car", "--name", "{stem}.mkv"),
            "--name {stem}.mkv: cannot hold transparency",
        ),
    ],
)
def test_what_cannot_work_is_one_line_and_exit_code_2(cli, tmp_path, words, message):
    make_clip(tmp_path / "a.mp4", frames=2)
    result = cli("batch", *words)
    assert result.code == 2 and result.out == ""
    assert result.err.startswith("vidseg: error: ") and result.err.count("\n") == 1 and message in result.err
    assert os.listdir() == ["a.mp4"]


def test_one_folder_has_an_output_folder_by_default(cli, tmp_path):
    (tmp_path / "films").mkdir()
    make_clip(tmp_path / "films" / "a.mp4", frames=2)
    assert f"films_annotated{os.sep}a_annotated.mp4" in cli("batch", "films/", "--dry-run").out
    assert cli("batch", ".", "--dry-run").out.count(f"{tmp_path.name}_annotated{os.sep}films") == 1
    assert cli("batch", "films", *SMALL).code == 0 and os.path.exists("films_annotated/batch-report.json")
    assert "1 done before" in cli("batch", "films", *SMALL, "--dry-run").out


def test_cut_outs_get_a_container_that_holds_them(cli, tmp_path):
    make_clip(tmp_path / "a.mp4", frames=2)
    words = ("batch", "a.mp4", "-o", "out", "--matte", "car", "--dry-run")
    assert "out/a_annotated.mov" in cli(*words).out
    assert "out/a_annotated.webm" in cli(*words, "--container", "webm").out
    assert "out/a/%05d.png" in cli(*words, "--name", "{stem}/%05d.png").out
    assert cli(*words, "--no-video", "--save-csv", "{stem}.csv").code == 0


def test_a_full_disk_costs_one_output_of_one_file_and_the_next_run_heals_it(cli, tmp_path):
    noise = np.random.default_rng(0)
    make_clip(tmp_path / "big.mp4", frames=20, painter=lambda i, w, h: noise.integers(0, 256, (h, w, 3), np.uint8))
    make_clip(tmp_path / "small.mp4", frames=2)
    words = (
        "batch",
        "big.mp4",
        "small.mp4",
        "-o",
        "out",
        "--save-csv",
        "{stem}.csv",
        "--no-report",
        "--crf",
        0,
        *SMALL,
    )
    with file_size_limit(40_000):
        result = cli(*words, "--jobs", 1)
    assert (
        result.code == 1 and "exceeds the largest file size allowed" in result.err and "1 done, 1 failed" in result.err
    )
    assert sorted(os.listdir("out")) == [".vidseg-batch", "big.csv", "small.csv", "small_annotated.mp4"]
    assert len(Path("out/big.csv").read_text().splitlines()) == 21, "what has its name is whole"
    result = cli(*words)
    assert result.code == 0 and "1 done, 1 skipped" in result.err, result.err
    assert "big_annotated.mp4" in os.listdir("out")


def test_two_signals_to_the_process_abort_it_and_the_next_run_goes_on(tmp_path):
    make_clip(tmp_path / "a.mp4", frames=2)
    make_clip(tmp_path / "long.mp4", size=(64, 48), frames=3000)
    command = [sys.executable, "-m", "vidseg", "batch", "a.mp4", "long.mp4", "-o", "out", "-j", "1", *map(str, SMALL)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    part = tmp_path / "out" / "long_annotated.mp4.part"
    deadline = time.monotonic() + 60
    while not part.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    for line in process.stderr:
        if "stopping" in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "long.mp4: stopped by the user" in err and "1 done, 1 stopped" in err
    assert not part.exists() and (tmp_path / "out" / "a_annotated.mp4").exists()
    last = (tmp_path / "out" / ".vidseg-batch" / "archive.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["state"] == "started" and json.loads(last)["source"].endswith("long.mp4")


# the table


def row(number, state="waiting", size=100, delivered=0, total=None, rate=0.0):
    made = Row(Job(number, f"{number}.mp4", RunConfig(source="x")), size, state)
    made.log.delivered, made.log.total, made.log.rate = delivered, total, rate
    return made


def test_totals_tell_counts_speed_and_the_time_left():
    now = [0.0]
    rows = [row(1, "done"), row(2, "running", delivered=50, total=100, rate=10.0), row(3), row(4, "failed")]
    board = Board(rows, clock=lambda: now[0])
    now[0] = 30.0
    assert totals_line(board) == "1 of 4 done, 1 running, 1 failed, 1 waiting, 10.0 fps, about 0:30 left"
    assert board.rows[2].seconds_left == 5.0
    assert totals_line(Board([row(1)])) == "0 of 1 done, 1 waiting"


def test_a_long_batch_shows_what_runs_and_what_is_around_it():
    states = ["skipped"] * 50 + ["done"] * 50 + ["running", "done", "running"] + ["waiting"] * 100
    rows = [row(number, state) for number, state in enumerate(states)]
    shown = [item.job.number for item in visible_rows(rows, 10)]
    assert len(shown) == 10 and {100, 102} < set(shown) and shown == sorted(shown)
    assert shown[-4:] == [103, 104, 105, 106] and 99 in shown and 0 not in shown
    assert len(visible_rows(rows[:10], 10)) == 10
    board_table(Board(rows), height=24)


def test_on_a_terminal_the_table_stays_with_its_bar_and_reasons_are_told_above_it(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    rows = [row(1, "done", delivered=5), row(2, "running", delivered=50, total=100, rate=10.0)]
    board = Board(rows)
    shown = StringIO()
    with BatchConsole() as console:
        console._console, console._draws = Console(file=shown, force_terminal=True, width=80, height=24), True
        console.batch_progress(board)
        console.input_failed("2.mp4", "disk full")
        rows[1].state = "failed"
    last = shown.getvalue().rpartition("file ")[2].splitlines()
    assert shown.getvalue().count("disk full") == 1 and not any("disk full" in line for line in last)
    assert re.match(r"1.mp4 +\S*done", last[1]) and re.match(r"2.mp4 +\S*failed", last[2])
    assert "\u2501" * 20 in last[3] and "1 of 2 done, 1 failed" in last[3] and "left" not in last[3]
