"""`benchmarks/gpu.py` on the CPU, as far as it goes: a row for each thing, and a reason where there is none."""

import importlib.util
import sys
import time
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "gpu.py"


@pytest.fixture
def gpu(monkeypatch):
    spec = importlib.util.spec_from_file_location("gpu_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def task(gpu, seconds=100.0):
    return gpu.Task(torch.device("cpu"), time.monotonic() + seconds, side=64, calls=2)


def test_speed_has_a_row_for_each_model_and_batch(gpu, monkeypatch):
    monkeypatch.setattr(gpu, "MEASURED", ("fai-m2f-n-ade",))
    rows = list(gpu.speed(task(gpu), engines=("torch",)))
    assert [row["what"] for row in rows[2:]] == [f"fai-m2f-n-ade, 64x64, batch {batch}, torch" for batch in (1, 8)]
    assert all(row["pictures/s"] > 0 and row["p50 ms"] <= row["p95 ms"] for row in rows[2:])
    assert rows[0]["TFLOP/s"] > 0 and rows[1]["GB/s"] > 0


def test_half_precision_keeps_most_labels(gpu, monkeypatch):
    entries = [entry for entry in gpu.zoo.entries() if entry.name == "fai-m2f-n-ade"]
    monkeypatch.setattr(gpu.zoo, "entries", lambda: entries)
    (row,) = gpu.parity(task(gpu))
    assert 0.8 < row["same labels"] <= 1 and "trained" in row["what"]


def test_what_fails_or_comes_too_late_has_its_reason(gpu, monkeypatch):
    monkeypatch.setattr(gpu, "network", lambda name: 1 / 0)
    (row,) = gpu.measured("parity", task(gpu))
    assert row == {"what": "parity", "not run": "division by zero"}
    assert list(gpu.measured("run", task(gpu, -1))) == [{"what": "run", "not run": "out of time"}]
    assert next(gpu.measured("memory", task(gpu)))["not run"]
