"""How many cores this process may use; everything that starts threads or processes asks here."""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path

from vidseg.cgroups import MEMBERSHIP, ROOT, folders


def usable_cores(root: Path = ROOT, membership: Path = MEMBERSHIP) -> int:
    """The cores that the process may run on, or the time that its container may use of them, whichever is less.

    Args:
        root, membership: as in `cgroups.folders`.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in folders("cpu", root, membership) if (quota := _quota(folder)) is not None]
    return max(1, min([affinity, *map(math.ceil, quotas)]))


def all_cores() -> int:
    """The cores of the machine."""
    return os.cpu_count() or 1


def limited_cores() -> int | None:
    """`usable_cores` where that is fewer than the machine has; None where a library may choose by itself."""
    cores = usable_cores()
    return cores if cores < all_cores() else None


@cache
def computes_bfloat16(facts: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor has instructions for bfloat16. False where it does not say; elsewhere they are emulated."""
    try:
        flags = facts.read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)


def _quota(folder: Path) -> float | None:
    """Cores' worth of time that one group allows; None for as much as there is."""
    try:
        if (both := folder / "cpu.max").exists():  # version 2: "150000 100000", or "max 100000"
            quota, period = both.read_text(encoding="ascii").split()[:2]
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii")
        return int(quota) / int(period) if int(quota) > 0 else None  # version 1: -1 for no limit
    except (OSError, ValueError, ZeroDivisionError):
        return None
