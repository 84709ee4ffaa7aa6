"""Audio out of FFmpeg's streams, in the one format that all of vidseg uses for what it does not copy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.stream import Discard

from vidseg.audio import AUDIO_RATE, CHANNELS, AudioBlock
from vidseg.video.audio_copy import SEEK_FROM_SECONDS, open_audio
from vidseg.video.counted_audio import CountedAudio
from vidseg.video.pyav import exact
from vidseg.video.timeline import Timeline


class AudioDecoder:
    """Decodes the packets of one stream. Remembers where the last block ended; a format that changes is followed.

    What cannot be decoded is left out.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._resampler: av.AudioResampler | None = None
        self._end = Fraction(0)

    def decode(self, packet: Any) -> list[AudioBlock]:
        """The blocks of a packet, with the times of the stream."""
        try:
            return [audio for frame in self._stream.decode(packet) for audio in self._convert(frame)]
        except (av.FFmpegError, ValueError):
            return []

    def _convert(self, frame: av.AudioFrame) -> Iterator[AudioBlock]:
        if frame.pts is None or not frame.time_base:
            frame.pts, frame.time_base = round(self._end * AUDIO_RATE), Fraction(1, AUDIO_RATE)
        try:
            converted = self._resample(frame)
        except ValueError:  # the format has changed
            self._resampler = None
            converted = self._resample(frame)
        for block in converted:
            assert block.pts is not None
            seconds = block.pts * exact(block.time_base)
            interleaved: Any = block.to_ndarray()
            # (1, n * c) -> (n, c) -> (n, 2): mono is heard on both sides
            samples = np.repeat(interleaved.reshape(block.samples, -1), CHANNELS // block.layout.nb_channels, axis=1)
            self._end = seconds + Fraction(len(samples), AUDIO_RATE)
            yield AudioBlock(samples, seconds)

    def _resample(self, frame: av.AudioFrame) -> list[av.AudioFrame]:
        if self._resampler is None:
            # FFmpeg would make mono quieter on its way to stereo
            layout = "mono" if frame.layout.nb_channels == 1 else "stereo"
            self._resampler = av.AudioResampler("s16", layout, AUDIO_RATE)
        return self._resampler.resample(frame)


class FileAudio:
    """The main audio track of a file, read as far as it is wanted. Satisfies `vidseg.audio.AudioSupply`.

    Args:
        path: file or URL.
        start: where the pictures begin, in seconds; what comes much before is not read.
    Raises:
        av.FFmpegError, OSError, ValueError: it cannot be read, or has no audio.
    """

    lost_seconds = 0.0

    def __init__(self, path: str, start: Fraction) -> None:
        self._container = open_audio(path)
        self._pending: AudioBlock | None = None
        stream = self._container.streams.best("audio")
        if stream is None or stream.codec_context is None:
            self._container.close()
            raise ValueError("no audio that can be decoded")
        for other in self._container.streams:
            if other is not stream:
                other.discard = Discard.all
        if start > SEEK_FROM_SECONDS:
            with contextlib.suppress(av.FFmpegError):  # then it is read from the start
                self._container.seek(int((start - 1) * av.time_base))
        self._blocks = self._read(stream)

    def take(self, until: Fraction) -> Iterator[AudioBlock]:
        """The blocks not taken yet that begin before `until`."""
        while (block := self._pending or next(self._blocks, None)) is not None:
            self._pending = None
            if block.seconds >= until:
                self._pending = block
                return
            yield block

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._blocks, self._pending = iter(()), None
        self._container.close()

    def _read(self, stream: Any) -> Iterator[AudioBlock]:
        """All of it; the times follow a counter that starts anew, as those of the pictures do."""
        decoder, timeline, counted = AudioDecoder(stream), None, CountedAudio(self._container)
        with contextlib.suppress(av.FFmpegError, OSError, ValueError):  # it ends early
            for packet in self._container.demux(stream):
                if packet.size == 0 or packet.pts is None:
                    continue
                counted.place(packet)
                if timeline is None:
                    timeline = Timeline(usual_step=packet.duration or 1, time_base=exact(packet.time_base))
                packet.pts = timeline.place(packet.pts, packet.duration)
                yield from decoder.decode(packet)
