"""Decoding on a device, through FFmpeg's hwaccels: which kinds there are, and whether one works here.

Frames come back to system memory, as NV12 or P010. Intel's QSV is not among the kinds: it has decoders of its own,
which PyAV does not choose; an Intel GPU decodes through VAAPI.
"""

from __future__ import annotations

import av
from av.codec.hwaccel import HWAccel, hwdevices_available

KINDS = ("cuda", "videotoolbox", "vaapi")
"""In the order in which "auto" tries them; one that is there is seldom beside another."""
_COMMON_CODEC = "h264"
"""To try a device out with: its decoder knows all of them."""


def open_device(kind: str) -> tuple[HWAccel | None, str]:
    """What `av.open` takes to decode on a device, tried out; None and the reason where it cannot be had.

    Args:
        kind: one of `KINDS`, or "auto" for the first that works.
    """
    if kind == "auto":
        tried = (open_device(each) for each in KINDS)
        return next((found for found in tried if found[0] is not None), (None, "no device here"))
    if kind not in known_kinds():
        return None, "this FFmpeg was built without it"
    device = HWAccel(kind, allow_software_fallback=True)
    try:
        device.create(av.Codec(_COMMON_CODEC, "r"))
    except NotImplementedError:
        return None, "this FFmpeg has no decoders for it"
    except av.FFmpegError as error:
        return None, f"no such device here: {error.strerror}"
    return device, ""


def known_kinds() -> list[str]:
    """Those that this FFmpeg was built with, whether a device is there or not."""
    return [kind for kind in KINDS if kind in hwdevices_available()]


def decodes_on_device(context: av.VideoCodecContext) -> bool:
    """True where the last frame came from a device: FFmpeg leaves it by itself for what a device does not know."""
    return context.is_hwaccel and context.pix_fmt in {
        config.format.name for config in context.codec.hardware_configs if config.format is not None
    }
