"""Real-time video segmentation: what is where, in every frame.

    import vidseg

    for seg in vidseg.segment("clip.mp4"):
        print(seg.seconds, seg.shares())

`vidseg.api` has the details. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vidseg.version import __version__

if TYPE_CHECKING:
    from vidseg.api import SegmentedFrame, Segmenter, segment
    from vidseg.errors import VidsegError
    from vidseg.frames import Detection, Frame, Segmentation
    from vidseg.wiring.writing import write

__all__ = [
    "Detection",
    "Frame",
    "Segmentation",
    "SegmentedFrame",
    "Segmenter",
    "VidsegError",
    "__version__",
    "segment",
    "write",
]

_HOMES = {
    "Detection": "vidseg.frames",
    "Frame": "vidseg.frames",
    "Segmentation": "vidseg.frames",
    "SegmentedFrame": "vidseg.api",
    "Segmenter": "vidseg.api",
    "VidsegError": "vidseg.errors",
    "segment": "vidseg.api",
    "write": "vidseg.wiring.writing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vidseg' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
