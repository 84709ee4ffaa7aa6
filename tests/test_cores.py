"""Threads and processes follow what a process may use, not what the machine has."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from vidseg import cores
from vidseg.cores import limited_cores, usable_cores
from vidseg.frames import Frame, Segmentation, VideoInfo
from vidseg.sinks.av_sink import AvSink
from vidseg.wiring.engine import set_threads

ROOT = Path(__file__).parent.parent
NATIVE_BFLOAT16 = cores.computes_bfloat16  # before a fixture of all tests puts another in its place


@pytest.fixture
def machine(monkeypatch):
    """16 cores, of which 8 may be used; in no group but the tree's root."""
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu avx512_bf16 avx", True), ("amx_bf16", True), ("avx512_bf16x", False), (None, False)],
)
def test_a_processor_says_whether_it_computes_in_bfloat16(tmp_path, flags, expected):
    if flags is not None:
        write(tmp_path, cpuinfo=f"flags : {flags}\n")
    assert NATIVE_BFLOAT16(tmp_path / "cpuinfo") is expected


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000\n", 8), ("200000 100000\n", 2), ("150000 100000\n", 2), ("50000 100000", 1), ("1600000 100000", 8)],
)
def test_a_quota_of_version_2_counts_as_whole_cores(tmp_path, quota, expected):
    assert usable_cores(write(tmp_path, cpu_max=quota)) == expected


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("300000", 3), ("250001", 3), ("10000", 1)])
@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
def test_a_quota_of_version_1_counts_as_whole_cores(tmp_path, folder, quota, expected):
    (tmp_path / "membership").write_text(f"3:memory:/x\n2:{folder}:/docker/4711\n")
    write(tmp_path / folder, cpu_cfs_quota_us=quota, cpu_cfs_period_us="100000\n")
    assert usable_cores(tmp_path, tmp_path / "membership") == expected


@pytest.mark.usefixtures("machine")
def test_the_tightest_group_above_the_process_decides(tmp_path):
    (tmp_path / "membership").write_text("0::/system.slice/vidseg.service\n")
    write(tmp_path / "system.slice", cpu_max="300000 100000")
    write(tmp_path / "system.slice" / "vidseg.service", cpu_max="500000 100000")
    assert usable_cores(tmp_path, tmp_path / "membership") == 3
    write(tmp_path / "system.slice" / "vidseg.service", cpu_max="100000 100000")
    assert usable_cores(tmp_path, tmp_path / "membership") == 1


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("text", ["", "nonsense", "1 0", "max"])
def test_a_quota_that_cannot_be_read_is_none(tmp_path, text):
    assert usable_cores(write(tmp_path, cpu_max=text)) == 8
    assert usable_cores(tmp_path / "not there") == 8


def test_a_library_chooses_by_itself_only_where_nothing_is_limited(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(cores, "usable_cores", lambda: 4)
    assert limited_cores() is None
    monkeypatch.setattr(cores, "usable_cores", lambda: 3)
    assert limited_cores() == 3


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is Linux's")
def test_a_process_bound_to_one_core_counts_one():
    bind = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    code = f"{bind}\nfrom vidseg.cores import usable_cores\nprint(usable_cores())"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60)
    assert said.stdout.strip() == b"1"


@pytest.fixture
def three_of_sixteen(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(cores, "usable_cores", lambda: 3)


@pytest.mark.usefixtures("three_of_sixteen")
@pytest.mark.parametrize(("asked", "before", "set_to", "handed_on"), [(None, 8, 3, 3), (5, 8, 5, 5), (None, 1, 1, 3)])
def test_networks_take_no_more_than_the_process_may_use(monkeypatch, asked, before, set_to, handed_on):
    """`before` is 1 where OMP_NUM_THREADS says so, which stays."""
    told = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: before)
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    assert set_threads(asked) == handed_on
    assert told == [set_to]


@pytest.mark.usefixtures("three_of_sixteen")
@pytest.mark.parametrize(("name", "threads"), [("out.mp4", 4), ("out.webm", 3)])
def test_an_encoder_takes_no_more_than_the_process_may_use(tmp_path, name, threads):
    info = VideoInfo(64, 48, Fraction(1, 25), frame_rate=Fraction(25))
    image = np.zeros((48, 64, 3), np.uint8)
    sink = AvSink(tmp_path / name, info, overwrite=False)
    sink.write(Frame(image, 0, 0, info.time_base), Segmentation(image[..., 0], 0), image)
    assert sink._stream.codec_context.thread_count == threads
    sink.abort()


def test_nothing_else_counts_cores():
    for path in (ROOT / "vidseg").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert path.name == "cores.py" or ("cpu_count" not in text and "sched_getaffinity" not in text), path
