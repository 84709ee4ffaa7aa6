"""`benchmarks/gpu.py` on the CPU, as far as it goes: a row for each thing, and a reason where there is none."""

import importlib.util
import json
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

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
    assert 0.8 < row["same labels"] <= 1 and "trained" in row["what"] and 0 < row["mask logits off"] < 0.1


def test_random_weights_keep_numbers_small(gpu):
    model, weights = gpu.network("fai-m2f-s-ade")
    norms = [each for each in model.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    assert weights == "random" and not model.training and norms
    assert all(each.running_mean.any() for each in norms)
    row = gpu.parity_of("fai-m2f-s-ade", task(gpu), gpu.sample(64))
    assert row["all numbers finite"] is True and "same labels" not in row


def test_one_model_that_fails_keeps_the_rows_of_the_others(gpu, monkeypatch):
    entries = [entry for entry in gpu.zoo.entries() if entry.name in ("fai-m2f-n-ade", "fai-m2f-s-ade")]
    monkeypatch.setattr(gpu.zoo, "entries", lambda: entries)
    real = gpu.network

    def network(name):
        if name == entries[0].name:
            raise torch.OutOfMemoryError("CUDA out of memory\nmore")
        return real("fai-m2f-n-ade")

    monkeypatch.setattr(gpu, "network", network)
    first, second = gpu.parity(task(gpu))
    assert first["not run"] == "CUDA out of memory" and second["same labels"] > 0.8


def test_with_an_older_torch_graphs_are_not_run(gpu, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.12.1+cu130")
    monkeypatch.setattr(gpu, "limits", lambda task: iter(()))
    on_gpu = gpu.Task(torch.device("cuda"), time.monotonic() + 100, side=64, calls=2)
    rows = list(gpu.speed(on_gpu, engines=("torch-compile",)))
    assert len(rows) == 6 and all(row["not run"].startswith("torch 2.12.1+cu130 runs no CUDA graphs") for row in rows)


@pytest.mark.parametrize(
    ("code", "said", "reason"),
    [
        (
            0,
            "vidseg: --hwaccel cuda: no such device here; decoding in software\nvidseg: wrote out.mp4",
            "--hwaccel cuda",
        ),
        (2, "vidseg: error: no such file", "error: no such file"),
        (0, "vidseg: wrote out.mp4", None),
    ],
)
def test_a_run_that_is_not_what_its_row_says_is_not_run(gpu, monkeypatch, code, said, reason):
    def run(command, **_):
        Path(command[command.index("--stats") + 1]).write_text('{"delivered": 30, "elapsed_seconds": 2.0}')
        return SimpleNamespace(returncode=code, stderr=said)

    monkeypatch.setattr(gpu.subprocess, "run", run)
    on_gpu = gpu.Task(torch.device("cuda"), time.monotonic() + 100)
    for row in gpu.end_to_end(on_gpu):
        assert (row["frames/s"] == 15) if reason is None else (reason in row["not run"])


def test_the_tests_of_cuda_are_found_without_the_options_of_the_project(gpu, monkeypatch):
    commands = []

    def run(command, **_):
        commands.append(command)
        return SimpleNamespace(returncode=4, stdout="", stderr="usage\nERROR: no pytest here\n")

    monkeypatch.setattr(gpu.subprocess, "run", run)
    assert next(gpu.tests(task(gpu))) == {"what": "pytest -m cuda", "result": "ERROR: no pytest here", "exit": 4}
    files = [Path(word).name for word in commands[0] if word.endswith(".py")]
    assert files == ["test_devices.py", "test_compiled_runtime.py", "test_trainer.py"] and "addopts=" in commands[0]


def test_rows_are_kept_when_the_time_is_over(gpu, monkeypatch, tmp_path):
    def endless(task):
        yield {"what": "first"}
        signal.raise_signal(signal.SIGALRM)
        yield {"what": "never"}

    before = signal.getsignal(signal.SIGALRM)
    monkeypatch.setattr(gpu, "parity", endless)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--parts", "parity", "--json", str(tmp_path / "j")])
    try:
        gpu.main()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    rows = json.loads((tmp_path / "j").read_text())["rows"]
    assert rows == [{"what": "first"}, {"what": "parity", "not run": "out of time"}]


def test_what_fails_or_comes_too_late_has_its_reason(gpu, monkeypatch):
    monkeypatch.setattr(gpu, "network", lambda name: 1 / 0)
    (row,) = gpu.measured("parity", task(gpu))
    assert row == {"what": "parity", "not run": "division by zero"}
    assert list(gpu.measured("run", task(gpu, -1))) == [{"what": "run", "not run": "out of time"}]
    assert next(gpu.measured("memory", task(gpu)))["not run"]
