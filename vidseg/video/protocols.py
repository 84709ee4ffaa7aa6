"""Which network protocols the FFmpeg in this PyAV was built with."""

from __future__ import annotations

import functools

import av


@functools.cache
def has_protocol(scheme: str) -> bool:
    """Whether this FFmpeg knows the protocol. (To open nothing fails in another way where it does.)"""
    try:
        av.open(f"{scheme}://", "r", timeout=1.0).close()
    except av.error.ProtocolNotFoundError:
        return False
    except (av.FFmpegError, OSError, ValueError):
        pass
    return True
