"""The audio of a live source in a file: what `AudioCopy` is for the audio of files."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av

from vidseg.audio import AudioSupply
from vidseg.errors import short_reason
from vidseg.video.audio_copy import DISK_ERRORS
from vidseg.video.audio_track import AudioTrack, audio_encoder, set_up_encoder

_KEEP_NEGATIVE_TIMES = ("mp4", "mov", "matroska", "webm")
"""Containers that can say that the first samples are what the encoder needs, and not audio."""


class LiveAudio:
    """Writes what `supply` has as one track.

    Args:
        muxer: FFmpeg's name of the output container.
        begins: where the pictures begin in the output, in seconds.
    """

    def __init__(self, supply: AudioSupply, muxer: str, begins: Fraction) -> None:
        self._supply = supply
        self._muxer = muxer
        self._begins = begins
        self._notes: list[str] = []
        self._track: AudioTrack | None = None
        self.tracks: list[Any] = []

    @property
    def notes(self) -> list[str]:
        """What the user should know, one sentence each."""
        return [*self._notes, *(self._track.notes if self._track is not None else ())]

    def add_streams(self, output: Any, origin: Fraction) -> None:
        """Make the stream in `output`; as `AudioCopy.add_streams`."""
        stream = output.add_stream(audio_encoder(self._muxer))
        set_up_encoder(stream.codec_context)
        self.tracks.append(stream)
        self._track = AudioTrack(self._supply, stream, origin, self._begins)

    def pump(self, output: Any, until: Fraction) -> None:
        """Write what is there before `until` (seconds in the output). Raises OSError when the disk is full."""
        assert self._track is not None
        self._write(output, self._track.pump(until))

    def reaches(self, until: Fraction) -> bool:
        """True once the track goes as far as `until` (seconds in the output), or ends early."""
        return self._track is None or not self.tracks or self._track.seconds >= until

    def finish(self, output: Any, end: Fraction, last_picture: Fraction) -> None:
        """Write the rest, up to `end`. Raises OSError as `pump`."""
        assert self._track is not None
        self._write(output, self._track.finish(end))

    def close(self) -> None:
        """Leave the supply; safe to call twice."""
        self._supply.close()

    def _write(self, output: Any, packets: list[Any]) -> None:
        for packet in packets if self.tracks else ():
            if self._muxer not in _KEEP_NEGATIVE_TIMES:
                if packet.pts + (packet.duration or 0) <= 0:
                    continue
                if packet.pts < 0:
                    packet.pts = packet.dts = 0  # else the muxer would move the pictures to make room
            try:
                output.mux(packet)
            except (av.FFmpegError, ValueError) as error:
                if getattr(error, "errno", None) in DISK_ERRORS:
                    raise
                self.tracks.clear()
                self._notes.append(f"the audio ends early ({short_reason(error)})")
                return
