"""Keeps memory freed by one frame for the next."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of <malloc.h>
_LARGEST_ARRAY_BYTES = 32 * 2**20  # a frame of 3840x2160 has 24; older ones of glibc take no more
_KEPT_BYTES = 512 * 2**20


def keep_freed_memory() -> bool:
    """Let the process keep memory that it has freed. True where that can be said: with glibc.

    Arrays of frames come and go at the same sizes. Left alone, glibc gives them back to the system and asks for them
    again, as the addresses happen to fall: none or hundreds of page faults a frame, up to a tenth of a run's time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_ARRAY_BYTES) and mallopt(_TRIM_THRESHOLD, _KEPT_BYTES))
