"""Packets of silence in the codec of a track that is copied, for containers that only count what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

from vidseg.video.pyav import exact

GAP_SECONDS = Fraction(1, 20)
"""Shorter holes in the middle stay: nobody notices them, but everybody hears a correction."""
_ENCODERS = {"mp3": "libmp3lame", "mp3float": "libmp3lame"}
_PRIMED = 4
"""Packets of an encoder after which they say nothing but silence."""
_BLOCK_SAMPLES = 4096


def packet_seconds(context: Any, packet: Any) -> Fraction:
    """How long a packet lasts; its container may have rounded what it says of that.

    Args:
        context: decoder of its track.
    """
    if context.name.startswith("pcm_"):
        return Fraction(packet.size, context.format.bytes * context.channels * context.sample_rate)
    if context.frame_size:
        return Fraction(context.frame_size, context.sample_rate)
    return (packet.duration or 0) * exact(packet.time_base)


def silent_packets(context: Any, seconds: Fraction) -> Iterator[tuple[bytes, Fraction]]:
    """(bytes, seconds) of packets that last as long as asked for, to the nearest whole packet.

    Args:
        context: decoder of the track: its codec, rate and channels.
    Raises:
        av.FFmpegError, ValueError: FFmpeg cannot encode this.
    """
    if context.name.startswith("pcm_"):
        width = context.format.bytes * context.channels
        zero = b"\x80" if context.name == "pcm_u8" else b"\0"
        left = round(seconds * context.sample_rate)
        while left > 0:
            count = min(left, _BLOCK_SAMPLES)
            yield zero * (width * count), Fraction(count, context.sample_rate)
            left -= count
        return
    data, length = _silent_packet(context)
    for _ in range(round(seconds / length)):
        yield data, length


def _silent_packet(context: Any) -> tuple[bytes, Fraction]:
    encoder: Any = av.CodecContext.create(_ENCODERS.get(context.name, context.name), "w")
    encoder.sample_rate, encoder.layout = context.sample_rate, context.layout
    encoder.format = encoder.codec.audio_formats[0]
    encoder.time_base = Fraction(1, context.sample_rate)
    if context.bit_rate:
        encoder.bit_rate = context.bit_rate
    if encoder.codec.name == "libmp3lame":
        encoder.options = {"reservoir": "0"}  # each packet by itself
    encoder.open()
    planes = 1 if encoder.format.is_packed else context.channels
    width = encoder.frame_size * context.channels // planes
    dtype = np.dtype({"s16": "i2", "s32": "i4", "flt": "f4"}[encoder.format.name.removesuffix("p")])
    packets: list[Any] = []
    for number in range(_PRIMED + 2):
        frame = av.AudioFrame.from_ndarray(np.zeros((planes, width), dtype), encoder.format.name, context.layout.name)
        frame.sample_rate, frame.time_base = context.sample_rate, encoder.time_base
        frame.pts = number * encoder.frame_size
        packets += encoder.encode(frame)
    return bytes(packets[_PRIMED]), Fraction(encoder.frame_size, context.sample_rate)
