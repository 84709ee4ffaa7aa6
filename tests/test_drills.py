"""The drills' own eyes: what they call half, hung or broken."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.trials import COLUMNS, Ended, Tally, judge, judge_files
from tests.video.clips import make_clip

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "drills.py"


@pytest.fixture(scope="module")
def drills() -> ModuleType:
    spec = importlib.util.spec_from_file_location("drills", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def faults(tally: Tally) -> dict[str, int]:
    return {column: count for column, count in tally.counts.items() if count}


def test_damage_is_the_same_for_the_same_seed_and_never_none(drills):
    data = bytes(range(1, 256)) * 20
    first, second = ([drills.damaged(data, random.Random(seed)) for seed in range(50)] for _ in range(2))
    assert first == second and {kind for kind, _ in first} == {"flips", "cut", "zeros"}
    assert all(broken != data for _, broken in first)


@pytest.mark.parametrize(
    ("ended", "fault"),
    [
        (Ended(0, "", False), {}),
        (Ended(1, "vidseg: error: no space left", False), {}),
        (Ended(None, "", False), {"hangs": 1}),
        (Ended(0, "", True), {"hangs": 1}),
        (Ended(1, "Traceback (most recent call last):", False), {"tracebacks": 1}),
        (Ended(-11, "", False), {"tracebacks": 1}),
        (Ended(2, "", False), {"wrong ends": 1}),
    ],
)
def test_each_bad_end_is_one_fault(ended, fault, capsys):
    tally = Tally()
    judge(tally, "name", SimpleNamespace(words=["run"]), ended, (0, 1))
    assert faults(tally) == {"trials": 1} | fault and set(tally.counts) == set(COLUMNS)
    assert ("name: vidseg run" in capsys.readouterr().out) == bool(fault)


def test_whole_files_are_no_fault_and_half_ones_are(tmp_path, capsys):
    clip = make_clip(tmp_path / "whole.mp4")
    (tmp_path / "whole.csv").write_text("frame,road\n0,0.5\n")
    (tmp_path / "input.mp4").write_bytes(b"")
    tally = Tally()
    judge_files(tally, "name", tmp_path, but=["input.mp4"])
    assert faults(tally) == {}
    (tmp_path / "half.mp4").write_bytes(clip.read_bytes()[:-400])  # the index is at the end
    (tmp_path / "half.csv").write_text("frame,road\n0,0.")
    (tmp_path / "half.json").write_text("{")
    (tmp_path / "half.png").write_bytes(b"\x89PNG")
    (tmp_path / "next.mp4.part").write_bytes(b"")
    (tmp_path / "next.mp4.pieces").mkdir()
    (tmp_path / "next.mp4.pieces" / "0.mp4").write_bytes(b"")
    judge_files(tally, "name", tmp_path, leftovers=True, but=["input.mp4"])
    assert faults(tally) == {"half files": 4}
    judge_files(tally, "name", tmp_path, but=["input.mp4"])
    assert faults(tally) == {"half files": 4 + 6} and "half.csv: its last line is cut off" in capsys.readouterr().out
