"""Memory that is short is one line: before a network is loaded, or when it runs out."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from vidseg import memory
from vidseg.config import RunConfig
from vidseg.errors import MemoryShortError
from vidseg.memory import free_memory, memory_problem, require
from vidseg.wiring.engine import load_engine

ROOT = Path(__file__).parent.parent
MB = 10**6


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A machine of 8 GB of which 4 are free, in no group, with no limit on the process."""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\nSwapFree: 0 kB\n")
    (tmp_path / "proc" / "self" / "statm").write_text("1000 500 1 1 0 1 0\n")
    (tmp_path / "groups" / "memory").mkdir(parents=True)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return tmp_path


def free_in(system: Path) -> tuple[int, str] | None:
    return free_memory(system / "groups", system / "membership", system / "proc")


def test_without_limits_it_is_what_the_machine_has(system):
    assert free_in(system) == (4000000 * 1024, "of this machine")
    (system / "proc" / "meminfo").write_text("nonsense")
    assert free_in(system) is None


def test_a_group_of_version_2_limits_and_its_cached_files_give_way(system):
    groups = system / "groups"
    (groups / "memory.max").write_text("max\n")
    (groups / "memory.current").write_text(str(300 * MB))
    (groups / "memory.stat").write_text(f"anon 1\ninactive_file {50 * MB}\n")
    assert free_in(system)[1] == "of this machine"
    (groups / "memory.max").write_text(str(500 * MB))
    assert free_in(system) == (250 * MB, "the limit of this container or group")


def test_a_group_of_version_1_limits_too(system):
    folder = system / "groups" / "memory"
    (folder / "memory.limit_in_bytes").write_text(str(500 * MB))
    (folder / "memory.usage_in_bytes").write_text(str(450 * MB))
    (folder / "memory.stat").write_text("total_inactive_file 0\n")
    assert free_in(system) == (50 * MB, "the limit of this container or group")


def test_a_limit_of_the_process_counts_what_it_has_mapped(system, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100 * MB, 100 * MB))
    assert free_in(system) == (100 * MB - 1000 * resource.getpagesize(), "a limit of the process, `ulimit -v`")


def test_what_surely_does_not_fit_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: (90 * MB, "of this machine"))
    require(90 * MB, "all that there is")
    with pytest.raises(MemoryShortError, match=r"^not enough memory: it needs 1.5 GB or more, 90 MB") as e:
        require(1500 * MB, "it")
    assert "\n" not in str(e.value) and e.value.exit_code == 1


def test_a_network_is_not_loaded_where_it_does_not_fit(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: (100 * MB, "of this machine"))
    monkeypatch.setattr("vidseg.wiring.engine.load_model", lambda *_, **__: pytest.fail("was loaded"))
    with pytest.raises(MemoryShortError, match="m2f-mobile-ade on cpu needs 120 MB or more, 100 MB is free"):
        load_engine(RunConfig(source="test", device="cpu"), None)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("std::bad_alloc"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("(-4:Insufficient memory) Failed to allocate 1200000000 bytes in function 'OutOfMemoryError'"),
        OSError(12, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
)
def test_every_library_that_runs_out_of_memory_is_one_line(error):
    told = memory_problem(error)
    assert told.startswith("out of memory: ") and "\n" not in told and told.endswith(memory.ADVICE)


def test_real_allocations_that_fail_are_known():
    for allocate in (lambda: np.empty(1 << 60, np.uint8), lambda: torch.empty(1 << 60, dtype=torch.uint8)):
        with pytest.raises((MemoryError, RuntimeError)) as caught:
            allocate()
        assert memory_problem(caught.value) is not None


def test_other_errors_are_not_taken_for_it():
    assert memory_problem(RuntimeError("a bug")) is None and memory_problem(KeyError("memory")) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_process_with_little_memory_ends_with_one_line_and_no_half_file(tmp_path):
    """The limit is this much above what is mapped when the libraries are loaded."""
    spare = 95 * MB
    code = f"""
import resource, sys
import torch
import vidseg.app.run, vidseg.runtimes.loading, vidseg.sources.factory
from vidseg.cli import main
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {spare}, used + {spare}))
sys.argv = ["vidseg", "run", "test:320x240@30,frames=30", "-o", "out.mp4", "-m", "fai-m2f-n-ade", "--runtime", "torch"]
main()
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert result.returncode == 1, result.stderr
    assert result.stderr.count("\n") == 1 and "memory" in result.stderr, result.stderr
    assert not (tmp_path / "out.mp4").exists()
