"""Sound out of FFmpeg's streams, in the one format that all of vidseg uses for what it does not copy."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

from vidseg.sound import CHANNELS, SOUND_RATE, Sound


class SoundDecoder:
    """Decodes the packets of one stream. Remembers where the last piece ended; a format that changes is followed.

    What cannot be decoded is left out.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._resampler: av.AudioResampler | None = None
        self._end = Fraction(0)

    def decode(self, packet: Any) -> list[Sound]:
        """The pieces of a packet, with the times of the stream."""
        try:
            return [sound for frame in self._stream.decode(packet) for sound in self._convert(frame)]
        except (av.FFmpegError, ValueError):
            return []

    def _convert(self, frame: av.AudioFrame) -> Iterator[Sound]:
        if frame.pts is None or frame.time_base is None:
            frame.pts, frame.time_base = round(self._end * SOUND_RATE), Fraction(1, SOUND_RATE)
        try:
            converted = self._resample(frame)
        except ValueError:  # the format has changed
            self._resampler = None
            converted = self._resample(frame)
        for piece in converted:
            assert piece.pts is not None and piece.time_base is not None
            seconds = piece.pts * piece.time_base
            interleaved: Any = piece.to_ndarray()
            samples = np.repeat(interleaved.reshape(piece.samples, -1), CHANNELS // piece.layout.nb_channels, axis=1)
            self._end = seconds + Fraction(len(samples), SOUND_RATE)
            yield Sound(samples, seconds)

    def _resample(self, frame: av.AudioFrame) -> list[av.AudioFrame]:
        if self._resampler is None:
            # FFmpeg would make mono quieter on its way to stereo
            layout = "mono" if frame.layout.nb_channels == 1 else "stereo"
            self._resampler = av.AudioResampler("s16", layout, SOUND_RATE)
        return self._resampler.resample(frame)
