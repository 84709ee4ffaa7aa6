"""The folder of torch's kernels: what is damaged goes, what is good stays, and nobody's work is taken away."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vidseg.runtimes import kernel_cache
from vidseg.runtimes.kernel_cache import KernelCache


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[KernelCache]:
    """Two kernels, listed."""
    folder = tmp_path / "kernels"
    for name in ("ab/a.so", "cd/b.cpp"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 10)
    KernelCache(folder).record()
    yield KernelCache(folder)
    next_process()


def next_process() -> None:
    """Give up the locks, as the end of a process does."""
    for lock in kernel_cache._held.values():
        os.close(lock)
    kernel_cache._held.clear()


def files(cache: KernelCache) -> list[str]:
    return sorted(path.relative_to(cache.folder).as_posix() for path in cache.folder.rglob("*") if path.is_file())


def test_whole_kernels_stay(cache: KernelCache) -> None:
    assert cache.check() is None and files(cache) == ["ab/a.so", "cd/b.cpp"]


@pytest.mark.parametrize("how", ["flipped", "cut", "missing"])
def test_all_kernels_go_where_one_is_damaged(cache: KernelCache, how: str) -> None:
    path = cache.folder / "ab" / "a.so"
    if how == "missing":
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(content[:-1] if how == "cut" else bytes([content[0] ^ 1]) + content[1:])
    assert "is damaged; compiling again" in (cache.check() or "")
    assert files(cache) == []
    next_process()
    assert cache.check() is None


def test_what_a_killed_run_left_goes_alone(cache: KernelCache) -> None:
    (cache.folder / "ab" / "half.so").write_bytes(b"ELF")
    assert cache.check() is None and files(cache) == ["ab/a.so", "cd/b.cpp"]


def test_without_a_readable_list_all_is_compiled_again(cache: KernelCache) -> None:
    cache.folder.with_suffix(".json").write_bytes(b"{")
    assert cache.check() is None and files(cache) == []


def test_what_changes_by_itself_is_no_damage(cache: KernelCache) -> None:
    for name in ("locks/a.lock", "dynamo/state.pkl"):
        (cache.folder / name).parent.mkdir()
        (cache.folder / name).touch()
    cache.record()
    (cache.folder / "dynamo" / "state.pkl").write_bytes(b"new")
    assert cache.check() is None and len(files(cache)) == 4


def test_kernels_that_another_process_uses_stay(cache: KernelCache) -> None:
    (cache.folder / "ab" / "its.so").write_bytes(b"half of it")
    with cache.folder.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as if by another process
        assert cache.check() is None and "ab/its.so" in files(cache)
    next_process()
    cache.check()
    assert "ab/its.so" not in files(cache)


def test_a_process_checks_once(cache: KernelCache) -> None:
    cache.check()
    (cache.folder / "ab" / "mine.so").write_bytes(b"compiled now")
    assert cache.check() is None and "ab/mine.so" in files(cache)
