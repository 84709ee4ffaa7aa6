"""How many files are done at once, and where the networks go."""

from __future__ import annotations

from pathlib import Path

import torch

from vidseg.config import RunConfig

CORES_PER_JOB = 4
"""Decoding, drawing and encoding keep about so many busy while the network works on another file."""
BYTES_PER_JOB = 2 * 2**30
"""Frames under way and the encoder's of a 4K video, and room for others."""
MOST_JOBS_PER_NETWORK = 6
"""More only wait for the network."""


def automatic_jobs(cores: int, memory: int | None, networks: int) -> int:
    """How many jobs at once suit a machine; at least one.

    Args:
        memory: bytes that are free; None where unknown.
        networks: copies of the network, one per GPU.
    """
    most = min(cores // CORES_PER_JOB, MOST_JOBS_PER_NETWORK * networks)
    if memory is not None:
        most = min(most, memory // BYTES_PER_JOB)
    return max(1, most)


def free_memory() -> int | None:
    """Bytes that can be had now, heeding the limit of a container; None where the system does not say."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        if limit != "max":
            used = int((group / "memory.current").read_text(encoding="ascii"))
            kinds = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
            found.append(int(limit) - used + int(kinds["inactive_file"]))  # cached files give way
    except (OSError, ValueError, IndexError, KeyError):
        pass
    return max(0, min(found)) if found else None


def devices_for(config: RunConfig) -> list[str]:
    """The devices that get a network each: all CUDA devices where none was named, else the one that was."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if config.device in ("auto", "cuda") and config.runtime in ("auto", "torch") and count > 1:
        return [f"cuda:{index}" for index in range(count)]
    return [config.device]
