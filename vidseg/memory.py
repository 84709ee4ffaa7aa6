"""How much memory is available, whether it is enough, and the one-line error when it ran out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from vidseg.cgroups import MEMBERSHIP, ROOT, folders
from vidseg.errors import MemoryShortError

ADVICE = "give a smaller --imgsz or --batch, fewer --jobs or --workers, a smaller model, or more memory"
_PROC = Path("/proc")
_SIGNS = re.compile(
    r"std::bad_alloc|bad allocation|can't allocate memory|Cannot allocate memory|Insufficient memory|"
    r"Failed to allocate \d+ bytes|failed to map segment from shared object|can't start new thread|out of memory|"
    r"ALLOC(ATION)?_FAILED",
    re.IGNORECASE,
)
"""How libraries say it: C++, torch, FFmpeg and the system, OpenCV, the loader, Python, GPUs."""


def free_memory(root: Path = ROOT, membership: Path = MEMBERSHIP, proc: Path = _PROC) -> tuple[int, str] | None:
    """Bytes that this process can still have, and what sets that limit; None where the system does not say.

    Args:
        root, membership: as in `cgroups.folders`.
        proc: where Linux tells of itself.
    """
    found = [*_machine(proc), *_address_space(proc)]
    for folder in folders("memory", root, membership):
        found += _group(folder)
    return min(found, default=None)


def require(needed: int, what: str) -> None:
    """Raises MemoryShortError if `what` surely needs more bytes than can be had."""
    free = free_memory()
    if free is not None and needed > free[0]:
        raise MemoryShortError(
            f"not enough memory: {what} needs {_size(needed)} or more, {_size(free[0])} is free ({free[1]}); {ADVICE}"
        )


def memory_problem(error: BaseException) -> str | None:
    """One line about an error that says that memory ran out, in whatever library; None for all others."""
    text = str(error).strip()
    if not isinstance(error, MemoryError) and _SIGNS.search(text) is None:
        return None
    said = text.splitlines()[0].partition(". ")[0][:200] if text else "no size given"
    on_gpu = re.search(r"CUDA|HIP|MPS|CUBLAS|CUDNN", said)
    return f"out of memory: {said}; {'give a smaller --imgsz or --batch, or -d cpu' if on_gpu else ADVICE}"


def _machine(proc: Path) -> Iterator[tuple[int, str]]:
    try:
        lines = (proc / "meminfo").read_text(encoding="ascii").splitlines()
        kinds = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
        yield kinds["MemAvailable"] + kinds.get("SwapFree", 0), "of this machine"
    except (OSError, ValueError, IndexError, KeyError):
        return


def _address_space(proc: Path) -> Iterator[tuple[int, str]]:
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            used = int((proc / "self" / "statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
            yield max(0, limit - used), "a limit of the process, `ulimit -v`"
    except (ImportError, OSError, ValueError, IndexError):
        return


def _group(folder: Path) -> Iterator[tuple[int, str]]:
    """Of version 2 or 1; cached files give way."""
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            text = (folder / limit).read_text(encoding="ascii").strip()
            if text == "max":
                continue
            taken = int((folder / used).read_text(encoding="ascii"))
            lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
            kinds = dict(line.split() for line in lines)
            yield max(0, int(text) - taken + int(kinds[cached])), "the limit of this container or group"
        except (OSError, ValueError, KeyError):
            continue


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
