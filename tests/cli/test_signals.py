"""Ctrl+C, kill -9 and the module entry point need real processes."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pyarrow.parquet
import pytest

ROOT = Path(__file__).parents[2]
ENDLESS = "test:320x240@50,frames=inf,realtime"
FILES = ["d.jsonl", "out.mkv", "s.csv", "s.parquet"]
OUTPUTS = (
    "--save-json",
    "d.jsonl",
    "--save-csv",
    "s.csv",
    "--save-parquet",
    "s.parquet",
    "-o",
    "out.mkv",
    "--codec",
    "mjpeg",
)


@contextmanager
def started(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A run, which does not outlive the block."""
    command = [sys.executable, "-m", "vidseg", "run", *words, "--imgsz", "64", "--threads", "1", "--runtime", "torch"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(path: Path, size: int, process: subprocess.Popen[str]) -> None:
    """Until the file has grown to `size` bytes; fails when the process ends, or after a minute."""
    deadline = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size >= size):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "the file does not grow"
        time.sleep(0.02)


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_finishes_the_files(tmp_path, number):
    with started(tmp_path, ENDLESS, *OUTPUTS) as process:
        wait_for(tmp_path / "out.mkv.part", 2000, process)
        wait_for(tmp_path / "s.csv.part", 6000, process)  # followed while it grows
        assert all(line.count(",") == 155 for line in (tmp_path / "s.csv.part").read_text().split("\n")[:-1])
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number and "finishing" in err and "Traceback" not in err
    assert sorted(os.listdir(tmp_path)) == FILES and frames_in(tmp_path / "out.mkv") > 0
    frames = [json.loads(line)["frame"] for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    with open(tmp_path / "s.csv", newline="") as file:
        assert frames == [int(row["frame"]) for row in csv.DictReader(file)] and len(frames) > 5
    assert pyarrow.parquet.read_table(tmp_path / "s.parquet")["frame"].to_pylist() == frames


def test_a_killed_run_leaves_nothing_that_looks_finished(tmp_path):
    with started(tmp_path, ENDLESS, *OUTPUTS) as process:
        wait_for(tmp_path / "out.mkv.part", 2000, process)
        wait_for(tmp_path / "s.csv.part", 3000, process)
    assert sorted(os.listdir(tmp_path)) == [f"{name}.part" for name in FILES]


def is_bound(port: int) -> bool:
    """True when a process listens on this UDP port."""
    return f":{port:04X} " in Path("/proc/net/udp").read_text()


@pytest.mark.skipif(not Path("/proc/net/udp").exists(), reason="sees the waiting process through Linux's /proc")
def test_ctrl_c_while_a_stream_does_not_answer_ends_at_once(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with started(tmp_path, f"udp://127.0.0.1:{port}", "-o", "out.mkv", "--timeout", "100") as process:
        deadline = time.monotonic() + 60
        while not is_bound(port):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT  # which a shell reports as 130
    assert os.listdir(tmp_path) == []


INTERRUPT_AT_IMPORT = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.{number})

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("name", ["torch._C", "numpy.linalg", "vidseg.zoo.checkpoint", "vidseg.models"])
def test_a_signal_while_starting_ends_at_once_and_leaves_nothing(tmp_path, name, number):
    """Given a signal at a certain import: of libraries that swallow KeyboardInterrupt, and once outputs are claimed."""
    hook, work = tmp_path / "hook", tmp_path / "work"
    hook.mkdir()
    work.mkdir()
    (hook / "sitecustomize.py").write_text(INTERRUPT_AT_IMPORT.format(name=name, number=number))
    command = [
        sys.executable,
        "-m",
        "vidseg",
        "run",
        ENDLESS,
        "-o",
        "out.mp4",
        "--save-masks",
        "m",
        "--stats",
        "s.json",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{hook}{os.pathsep}{ROOT}"}
    result = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=60)
    code = getattr(signal, number)
    if result.returncode == -code:  # SIGTERM before anything was claimed: the system's own way
        assert number == "SIGTERM" and result.stderr == ""
    else:
        assert (result.returncode, result.stderr) == (128 + code, "vidseg: interrupted\n")
    assert os.listdir(work) == []


def test_the_module_is_a_command():
    result = subprocess.run([sys.executable, "-m", "vidseg", "--version"], capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stderr) == (0, "") and result.stdout.startswith("vidseg ")
