"""Ctrl+C, kill -9 and the module entry point need real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

ENDLESS = "test:320x240@50,frames=inf,realtime"


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vidseg", "run", *words, "--imgsz", "64", "--threads", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, size: int, process: subprocess.Popen[str]) -> None:
    """Until the file has grown to `size` bytes, or the process has ended."""
    while not (path.exists() and path.stat().st_size >= size):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_finishes_the_file(tmp_path, number):
    process = start(tmp_path, ENDLESS, "-o", "out.mkv", "--codec", "mjpeg")
    wait_for(tmp_path / "out.mkv.part", 2000, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number and "finishing" in err and "Traceback" not in err
    assert os.listdir(tmp_path) == ["out.mkv"] and frames_in(tmp_path / "out.mkv") > 0


def test_a_killed_run_leaves_nothing_that_looks_finished(tmp_path):
    process = start(tmp_path, ENDLESS, "-o", "out.mkv", "--codec", "mjpeg")
    wait_for(tmp_path / "out.mkv.part", 2000, process)
    process.kill()
    process.communicate(timeout=30)
    assert all(name.endswith(".part") for name in os.listdir(tmp_path))


def test_ctrl_c_before_the_run_has_begun_ends_it_at_once(tmp_path):
    process = start(tmp_path, ENDLESS, "-o", "out.mkv")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode in (130, -signal.SIGINT)  # the second: Python itself was still starting
    assert os.listdir(tmp_path) == []


def test_the_module_is_a_command():
    result = subprocess.run([sys.executable, "-m", "vidseg", "--version"], capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stderr) == (0, "") and result.stdout.startswith("vidseg ")
