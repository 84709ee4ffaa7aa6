"""How much of the processor the network of a run gets, whose other stages want cores too."""

from __future__ import annotations

import math
from dataclasses import replace

from vidseg.config import RunConfig
from vidseg.cores import usable_cores
from vidseg.frames import VideoInfo
from vidseg.memory import free_memory
from vidseg.wiring.engine import Engine, check_engine, is_watched, load_engine
from vidseg.wiring.reporter import Reporter

MOST_REQUESTS = 8
"""With more cores each gets several: the stages beside the network work at frames one after the other."""
BYTES_PER_REQUEST = 2**29
"""Frames and scores under way of a network that scores each pixel (DeepLab at 512x512: 158 MB a frame)."""


def load_beside(
    config: RunConfig, reporter: Reporter, info: VideoInfo | None = None, *, most: int = MOST_REQUESTS
) -> Engine:
    """As `load_engine`, with the share of the cores that suits a run of this source, or of files not known yet.

    Args:
        most: frames that the network can have at once.
    """
    requests = min(most, requests_beside(config, info))
    return load_engine(beside_other_stages(config), reporter, requests=requests, info=info)


def threads_beside(cores: int) -> int:
    """CPU threads for the network of a run, whose other stages want cores too: half of them, all but three of many.

    With both of two cores the nano takes 1.4 times the CPU time, most of it spent waiting for the other half of a layer
    while that core decodes, smooths or encodes.
    """
    return max(1, cores // 2, cores - 3)


def beside_other_stages(config: RunConfig) -> RunConfig:
    """The configuration with `threads_beside`, unless it says how many threads, or the network is not on the CPU.

    Raises:
        VidsegError: as `check_engine`.
    """
    if config.threads is not None or config.device not in ("auto", "cpu"):
        return config
    if check_engine(config)[0].type != "cpu":
        return config
    return replace(config, threads=threads_beside(usable_cores()))


def requests_beside(config: RunConfig, info: VideoInfo | None = None) -> int:
    """Frames for the network to work on at once, each with its share of the cores: as many as there are cores.

    Hand-overs are bounded, so the busiest stage gets the cores: all of them are the network's where the others wait for
    it, and where it waits for them most requests are idle. Fewer where the network sees only some of the frames. One
    where a number of threads is asked for, where workers share the cores, and where frames come one by one.

    Args:
        info: of the source; None for files that are not known yet.
    """
    one_by_one = info is not None and (info.live or bool(info.tiles) or (info.still and info.frame_count == 1))
    one_by_one = one_by_one or is_watched(config) or config.batch == 1
    if config.threads is not None or (config.workers or 1) > 1 or one_by_one:
        return 1
    cores = usable_cores()
    stride = config.stride or 1
    if isinstance(stride, str) or config.infer_fps is not None:
        stride = cores
    count = cores // math.ceil(cores / MOST_REQUESTS)
    count = max(math.ceil(count / stride), min(count, cores // threads_beside(cores)))
    memory, _ = free_memory() or (count * BYTES_PER_REQUEST, "")
    return max(1, min(count, memory // BYTES_PER_REQUEST))
