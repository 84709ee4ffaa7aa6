"""How many files are processed at once, and on which devices the networks run."""

from __future__ import annotations

import torch

from vidseg.config import RunConfig
from vidseg.runtimes.torch_runtime import has_cuda

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


def devices_for(config: RunConfig) -> list[str]:
    """The devices that get a network each: all CUDA devices where none was named, else the one that was."""
    count = torch.cuda.device_count() if has_cuda() else 0
    if config.device in ("auto", "cuda") and config.runtime in ("auto", "torch") and count > 1:
        return [f"cuda:{index}" for index in range(count)]
    return [config.device]
