"""The control groups of this process, of version 2 or 1: where a container's limits are written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def folders(controller: str, root: Path = ROOT, membership: Path = MEMBERSHIP) -> Iterator[Path]:
    """The folders whose limits hold for this process, the innermost first; none where there are no control groups.

    Args:
        controller: of version 1, such as "cpu"; version 2 has one tree for all.
        root: of the tree. In a container it often is the process's own group, whatever `membership` says.
        membership: what the kernel says of the process, lines such as `4:cpu,cpuacct:/system.slice`.
    """
    try:
        lines = membership.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    seen = set[Path]()
    for line in [*lines, "0::/", f"0:{controller}:/"]:
        names, _, place = line.partition(":")[2].partition(":")
        if names and controller not in names.split(","):
            continue
        for top in [root / names, root / controller] if names else [root]:
            inner = top / place.strip("/")
            for folder in (inner, *inner.parents):
                if folder not in seen and ".." not in folder.parts:
                    seen.add(folder)
                    yield folder
                if folder == top:
                    break
