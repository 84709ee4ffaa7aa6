"""Audio encoded anew beside pictures: one track without a hole, whatever the source does.

Cameras send codecs that containers do not take, change their audio from one connection to the next, and fall silent.
All that ends here: what comes is put where its time says, the rest is silence, and one encoder makes one format of it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np

from vidseg.audio import AUDIO_RATE, CHANNELS, AudioBlock, AudioSupply, Int16Array
from vidseg.errors import short_reason

LATE_SECONDS = 3
"""Audio may come so much after the picture of its time, as it does in MPEG-TS; then silence has taken its place."""
LONGEST_HOLD_MICROSECONDS = 1_000_000
"""Muxers hold pictures back until there is audio of their time. What is watched as it is made must not wait so long."""
TOLERANCE_SECONDS = Fraction(1, 20)
"""Clocks of audio and picture differ a little. Nobody notices this much, but everybody hears a correction."""
_BIT_RATE = 128_000
_ENCODERS = {"webm": "libopus", "avi": "libmp3lame"}
_DEFAULT_ENCODER = "aac"
_UNIT = Fraction(1, AUDIO_RATE)
_MENTIONED_FROM_SECONDS = 1.0


def audio_encoder(muxer: str) -> str:
    """FFmpeg's name of the encoder for a container."""
    return _ENCODERS.get(muxer, _DEFAULT_ENCODER)


def set_up_encoder(context: Any) -> None:
    """Give a codec context the format of all audio."""
    context.sample_rate, context.layout, context.time_base = AUDIO_RATE, "stereo", _UNIT
    context.format = context.codec.audio_formats[0]
    context.bit_rate = _BIT_RATE


class AudioTrack:
    """Encodes what `supply` has. Remembers how far the track goes.

    Never raises for the sake of the audio: what goes wrong ends in `notes`.

    Args:
        encoder: a codec context, or an output stream with one, after `set_up_encoder`.
        origin: time of the source that is zero in the output, in seconds.
        begins: where the pictures begin in the output, in seconds; the track begins there too.
    """

    def __init__(self, supply: AudioSupply, encoder: Any, origin: Fraction, begins: Fraction) -> None:
        self.notes: list[str] = []
        self._supply = supply
        self._encoder = encoder
        self._origin = origin
        self._written = self._begins = round(begins * AUDIO_RATE)  # samples
        self._in_silence = True
        self._silence = self._late = 0  # samples
        self._ended = False

    @property
    def seconds(self) -> Fraction:
        """How far it goes."""
        return Fraction(self._written, AUDIO_RATE)

    def pump(self, until: Fraction) -> list[Any]:
        """Encoded packets of what is there before `until`, in seconds of the output; a picture of that time is next."""
        return self._advance(until, until - LATE_SECONDS)

    def finish(self, end: Fraction) -> list[Any]:
        """The rest, up to where the pictures end."""
        packets = self._advance(end, end)
        if not self._ended:
            packets += self._encoded(None)
        self._ended = True
        lost = self._late / AUDIO_RATE + self._supply.lost_seconds
        if self._silence >= _MENTIONED_FROM_SECONDS * AUDIO_RATE:
            self.notes.append(
                f"no audio arrived for {self._silence / AUDIO_RATE:.1f} s of the video; it is silent there"
            )
        if lost >= _MENTIONED_FROM_SECONDS:
            self.notes.append(f"{lost:.1f} s of audio arrived too late for its frames and is left out")
        return packets

    def close(self) -> None:
        """Leave the supply; safe to call twice."""
        self._supply.close()

    def _advance(self, until: Fraction, silent_until: Fraction) -> list[Any]:
        packets: list[Any] = []
        for audio in self._supply.take(until + self._origin):
            if not self._ended:
                packets += self._place(audio)
        return packets + self._fill(round(silent_until * AUDIO_RATE))

    def _place(self, audio: AudioBlock) -> list[Any]:
        start = round((audio.seconds - self._origin) * AUDIO_RATE)
        gap = start - self._written
        if not self._in_silence and abs(gap) <= TOLERANCE_SECONDS * AUDIO_RATE:
            gap = 0
        samples = audio.samples[max(0, -gap) :]
        cut = len(audio.samples) - len(samples)
        # what was before the first picture is no loss
        self._late += max(self._begins, start + cut) - max(self._begins, start)
        if not len(samples):
            return []
        packets = self._fill(self._written + gap)
        self._in_silence = False
        return packets + self._encoded(samples)

    def _fill(self, until: int) -> list[Any]:
        """Silence up to this sample."""
        packets: list[Any] = []
        while self._written < until and not self._ended:
            count = min(until - self._written, AUDIO_RATE)
            self._silence += count
            self._in_silence = True
            packets += self._encoded(np.zeros((count, CHANNELS), np.int16))
        return packets

    def _encoded(self, samples: Int16Array | None) -> list[Any]:
        """Packets that the encoder gives for the next samples; None flushes."""
        frame = None
        if samples is not None:
            # (n, 2) -> (1, 2 * n): packed samples, left and right in turn, are one plane for FFmpeg
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), "s16", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, self._written, _UNIT
            self._written += len(samples)
        try:
            return list(self._encoder.encode(frame))
        except (av.FFmpegError, ValueError) as error:
            self._ended = True
            self.notes.append(f"the audio ends early ({short_reason(error)})")
            return []
