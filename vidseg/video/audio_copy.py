"""The audio of a source file beside a re-encoded picture stream.

Packets are copied as they are where the container takes their codec, else decoded and encoded again. Audio is never a
reason to lose the picture: whatever is wrong with it ends in a note.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import Any

import av

from vidseg.errors import short_reason
from vidseg.video.counted_audio import CountedAudio
from vidseg.video.http_headers import header_options
from vidseg.video.joints import Joints, place_at_joint
from vidseg.video.pyav import exact, open_input, tags
from vidseg.video.silence import GAP_SECONDS, packet_seconds, silent_packets
from vidseg.video.timeline import Timeline, has_discontinuous_clock
from vidseg.video.video_track import main_video

# Codecs that players expect in a container; FFmpeg would put more into mp4 and avi than most players can read.
_COPYABLE: dict[str, frozenset[str]] = {
    "mp4": frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"}),
    "mov": frozenset({"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_f32le"}),
    "webm": frozenset({"opus", "vorbis"}),
    "avi": frozenset({"mp3", "mp2", "ac3", "pcm_s16le", "pcm_u8"}),
    "mpegts": frozenset({"aac", "mp3", "mp2", "ac3", "eac3"}),
}
_ENCODERS = {"webm": ("libopus", "opus"), "avi": ("libmp3lame", "mp3")}
_DEFAULT_ENCODER = ("aac", "aac")
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
_NETWORK_TIMEOUT_SECONDS = 10.0
SEEK_FROM_SECONDS = 5
_TAIL_PACKETS = 1000
"""Packets held after the last picture until it is clear whether the source has more pictures (about 20 s)."""
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def open_audio(path: str) -> av.container.InputContainer:
    """The file or URL, opened once more, for its audio. Raises av.FFmpegError, OSError or ValueError."""
    timeout = _NETWORK_TIMEOUT_SECONDS if "://" in path else None
    name = path if timeout else f"file:{os.path.expanduser(path)}"
    return open_input(name, timeout=timeout, options=header_options(path))


@dataclass
class _Track:
    """One audio stream on its way."""

    source: Any
    target: Any = None
    resampler: av.AudioResampler | None = None
    """None: packets are copied."""
    timeline: Timeline | None = None
    """Follows the counter of a stream that starts anew, as the source does for the pictures."""
    held: Any = None
    """The newest packet: the one after it may say that its time is wrong."""
    end: int | None = None
    """Where the packet before that one ends."""
    filled: Fraction = Fraction(0)
    """How far it goes, in seconds, in a container that only counts."""
    skip_to: int | None = None
    """Packets that would begin before this are left out: two recordings overlap."""
    last_dts: int | None = None
    damaged: bool = False


@dataclass
class AudioCopy:
    """Reads the audio of `path` up to a given time at a time, so that little of it is ever in memory.

    Opens the file when constructed and never raises for its sake: with nothing to copy, `tracks` is empty.
    `muxer` is FFmpeg's name of the output container.
    """

    path: str
    muxer: str
    notes: list[str] = field(default_factory=list)
    tracks: list[_Track] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._input: Any = None
        self._origin = Fraction(0)
        self._pending: tuple[_Track, Any] | None = None
        self._newest_picture: Fraction | None = None
        self._packets: Iterator[tuple[_Track, Any]] = iter(())
        self._by_index: dict[int, _Track] = {}
        self._picture_stream: Any = None
        try:
            self._input = open_audio(self.path)
            self._choose_streams()
        except (av.FFmpegError, OSError, ValueError) as error:
            self._give_up(f"the audio is left out: it cannot be read ({short_reason(error)})")

    def add_streams(self, output: Any, origin: Fraction) -> None:
        """Make the streams in `output`; to be called before its header is written.

        Args:
            origin: time in `path` that is zero in the output, in seconds.
        """
        self._origin = origin
        for track in list(self.tracks):
            codec = track.source.codec_context.name
            try:
                if self._copyable(codec):
                    track.target = output.add_stream_from_template(track.source)
                else:
                    self._add_encoder(output, track)
            except (av.FFmpegError, ValueError, OSError) as error:
                self.tracks.remove(track)
                self.notes.append(f"audio track {track.source.index} ({codec}) is left out ({short_reason(error)})")
                continue
            track.target.metadata.update(language_and_title(tags(track.source)))
            track.target.disposition = track.source.disposition
        self._by_index = {track.source.index: track for track in self.tracks}
        if self.tracks:
            if origin > SEEK_FROM_SECONDS:
                with contextlib.suppress(av.FFmpegError):  # then it is read from the start
                    self._input.seek(int((origin - 1) * av.time_base))
            self._packets = self._demux()

    def pump(self, output: Any, until: Fraction) -> None:
        """Write the packets that start before `until` (seconds in the output).

        Raises:
            OSError: the output cannot be written; damage in the audio does not raise.
        """
        while (entry := self._take()) is not None:
            if self._seconds(entry[1]) >= until:
                self._pending = entry
                return
            self._write(output, *entry)

    def finish(self, output: Any, end: Fraction, last_picture: Fraction) -> None:
        """Write the audio up to `end`, and the rest as well if the pictures were written to their end.

        Args:
            end: where the last picture ends, in seconds of the output.
            last_picture: if the source has a picture later than this, the run was cut short and so is the audio.
        Raises:
            OSError: as `pump`.
        """
        held: list[tuple[_Track, Any]] = []
        past_end: set[int] = set()
        more_pictures = self._picture_stream is None  # a file of audio alone is cut with the pictures
        while (entry := self._take()) is not None:
            if self._seconds(entry[1]) < end:
                self._write(output, *entry)
                continue
            held.append(entry)
            past_end.add(entry[0].source.index)
            more_pictures = more_pictures or self._later_picture(last_picture)
            if len(held) > _TAIL_PACKETS or (more_pictures and len(past_end) == len(self.tracks)):
                break
        if not (more_pictures or self._later_picture(last_picture)):
            for entry in chain(held, self._packets):
                self._write(output, *entry)
        for track in self.tracks:
            if track.resampler is not None and not track.damaged:
                self._encode(output, track, None)

    def close(self) -> None:
        """Close the input; safe to call twice."""
        self._packets = iter(())
        self._pending = None
        if self._input is not None:
            self._input.close()
            self._input = None

    def _choose_streams(self) -> None:
        self._picture_stream = main_video(self._input, lambda: open_audio(self.path))
        for stream in self._input.streams:
            if stream.type == "audio" and stream.codec_context is not None:
                self.tracks.append(_Track(stream))
            elif stream.type == "audio":
                self.notes.append(f"audio track {stream.index} is left out: its codec is unknown")

    def _copyable(self, codec: str) -> bool:
        accepted = _COPYABLE.get(self.muxer)
        family = {"mp3float": "mp3", "libopus": "opus", "aac_fixed": "aac"}.get(codec, codec)  # names of decoders
        return accepted is None or family in accepted

    def _add_encoder(self, output: Any, track: _Track) -> None:
        """A stream of the container's usual audio codec, for a track that cannot be copied."""
        encoder, shown = _ENCODERS.get(self.muxer, _DEFAULT_ENCODER)
        context = track.source.codec_context
        rate = 48_000 if encoder == "libopus" or not 8_000 <= context.sample_rate <= 48_000 else context.sample_rate
        channels = context.channels if encoder != "libmp3lame" else min(context.channels, 2)
        layout = _LAYOUTS.get(channels, "stereo")
        stream = output.add_stream(encoder, rate=rate, layout=layout)
        stream.bit_rate = 96_000 * min(channels, 8)
        stream.codec_context.time_base = Fraction(1, rate)
        track.target = stream
        # async: gaps become silence, so that audio stays with the picture where the encoder only counts samples
        options = {"async": "1"} | ({"first_pts": "0"} if self._only_counts else {})
        track.resampler = av.AudioResampler(stream.format, layout, rate, options=options)
        old = context.name.removesuffix("float")
        self.notes.append(f"audio track {track.source.index}: {self.muxer} does not support {old}, encoded as {shown}")

    def _demux(self) -> Iterator[tuple[_Track, Any]]:
        """Audio packets of the chosen tracks in file order; notes the times of the pictures between them."""
        streams = [track.source for track in self.tracks]
        joints, counted = Joints(has_discontinuous_clock(self._input)), CountedAudio(self._input)
        waiting: list[tuple[_Track, Any]] = []
        if self._picture_stream is not None:
            streams.append(self._picture_stream)
        try:
            for packet in self._input.demux(streams):
                if packet.size == 0 or (packet.dts is None and packet.pts is None):
                    continue
                packet.pts = packet.dts if packet.pts is None else packet.pts
                packet.dts = packet.pts if packet.dts is None else packet.dts
                track = self._by_index.get(packet.stream_index)
                if track is None:
                    if self._input.format.name == "avi":  # where packets are counted, whatever the order of pictures
                        packet.pts = packet.dts
                    at = joints.pass_picture(packet)
                    if not packet.is_discard:
                        self._newest_picture = at if self._newest_picture is None else max(at, self._newest_picture)
                else:
                    counted.place(packet)
                    waiting.append((track, packet))
                # where a recording ends, its audio waits for the first picture of the next one
                while waiting and not (self._picture_stream is not None and self._must_wait(joints, waiting)):
                    yield from self._placed(joints, *waiting.pop(0))
        except (av.FFmpegError, OSError, ValueError) as error:
            self.notes.append(f"the audio ends early: it cannot be read further ({short_reason(error)})")
        for entry in waiting:
            yield from self._placed(joints, *entry)
        for track in self.tracks:
            if track.held is not None:
                yield track, track.held

    def _must_wait(self, joints: Joints, waiting: list[tuple[_Track, Any]]) -> bool:
        track, packet = waiting[0]
        if track.timeline is None or len(waiting) > _TAIL_PACKETS or not track.timeline.jumps(packet.dts):
            return False
        return joints.shift_at(packet.dts * exact(packet.time_base)) is None

    def _placed(self, joints: Joints, track: _Track, packet: Any) -> Iterator[tuple[_Track, Any]]:
        """The packet, moved as the pictures around it are; nothing where it lies in audio that is there already."""
        if track.timeline is None:
            track.timeline = Timeline(
                usual_step=packet.duration or 1, time_base=exact(packet.time_base), discontinuous=joints.discontinuous
            )
        placed, end = place_at_joint(track.timeline, joints, packet)
        track.skip_to = end if end is not None else track.skip_to
        if track.skip_to is not None and placed + (packet.duration or 0) // 2 < track.skip_to:
            return
        track.skip_to = None
        step = placed - packet.dts
        packet.pts, packet.dts = packet.pts + step, packet.dts + step
        if (ready := _held_back(track, packet)) is not None:
            yield track, ready

    def _take(self) -> tuple[_Track, Any] | None:
        entry, self._pending = self._pending, None
        return entry or next(self._packets, None)

    def _later_picture(self, last_picture: Fraction) -> bool:
        """True once a picture later than `last_picture` was met in the source."""
        return self._newest_picture is not None and self._newest_picture - self._origin > last_picture

    def _seconds(self, packet: Any) -> Fraction:
        return int(packet.pts) * exact(packet.time_base) - self._origin

    def _write(self, output: Any, track: _Track, packet: Any) -> None:
        # times: the source's ticks -> moved where recordings meet (`_placed`, when read) -> from the output's zero on
        # (`_shift`) -> not below 0 (`_mux`) -> the container's unit, by FFmpeg. Moved before they are decoded: a jump
        # would make the resampler fill it with silence.
        if track.damaged:
            return
        if track.resampler is None:
            self._shift(packet)
            self._mux(output, track, packet)
            return
        try:
            frames = packet.decode()
        except (av.FFmpegError, ValueError):
            self._note_once(f"audio track {track.source.index} is damaged; the broken parts are left out")
            return
        for frame in frames:
            if frame.pts is not None:
                self._shift(frame)
                if frame.pts >= 0:
                    self._encode(output, track, frame)

    def _encode(self, output: Any, track: _Track, frame: Any) -> None:
        """Resample, encode and write one decoded frame; None flushes."""
        assert track.resampler is not None
        packets: list[Any] = []
        try:
            for resampled in track.resampler.resample(frame):
                packets += track.target.encode(resampled)
            if frame is None:
                packets += track.target.encode(None)
        except (av.FFmpegError, ValueError) as error:
            track.damaged = True
            self.notes.append(f"audio track {track.source.index} ends early ({short_reason(error)})")
        for packet in packets:
            self._mux(output, track, packet)

    def _shift(self, item: Any) -> None:
        """Move the times of a packet or frame from the source's zero to the output's."""
        if self._origin:
            ticks = round(self._origin / exact(item.time_base))
            item.pts -= ticks
            if item.dts is not None and isinstance(item, av.Packet):
                item.dts -= ticks

    def _mux(self, output: Any, track: _Track, packet: Any) -> None:
        ended = packet.pts + (packet.duration or 0) // (2 if self._only_counts else 1) <= 0
        if ended and not self._keeps_priming(track):
            return
        if packet.pts < 0 and not self._keeps_negative_times(track):
            packet.pts, packet.dts = 0, 0  # else the muxer would move the pictures to make room
        if track.last_dts is not None and packet.dts <= track.last_dts:
            self._note_once(f"audio track {track.source.index}: packets out of order are left out")
            return
        track.last_dts = packet.dts
        try:
            if self._only_counts and track.resampler is None:
                self._fill(output, track, packet)
            packet.stream = track.target
            output.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            if getattr(error, "errno", None) in DISK_ERRORS:
                raise
            track.damaged = True
            self.notes.append(f"audio track {track.source.index} ends early ({short_reason(error)})")

    @property
    def _only_counts(self) -> bool:
        """True where the container has no times for audio: what is missing has to be filled with silence."""
        return self.muxer == "avi"

    def _fill(self, output: Any, track: _Track, packet: Any) -> None:
        """Write silence up to where a copied packet begins. Raises what muxing raises."""
        start = packet.pts * exact(packet.time_base)
        missing = start - track.filled
        # at the start to the nearest packet; later, clocks that differ a little must not be heard
        if missing > (GAP_SECONDS if track.filled else 0):
            for data, seconds in silent_packets(track.source.codec_context, missing):
                silence = av.Packet(data)
                silence.time_base, silence.stream = packet.time_base, track.target
                silence.pts = silence.dts = round(track.filled / exact(packet.time_base))
                silence.duration = round(seconds / exact(packet.time_base))
                track.filled += seconds
                output.mux(silence)
        track.filled += packet_seconds(track.source.codec_context, packet)

    def _keeps_priming(self, track: _Track) -> bool:
        """True if packets before zero are what the encoder needs first, and not audio before the first picture."""
        return self._keeps_negative_times(track) and (self._origin <= 0 or track.resampler is not None)

    def _keeps_negative_times(self, track: _Track) -> bool:
        """True where the container can say that audio starts before zero (edit list, codec delay)."""
        if self.muxer in ("mp4", "mov"):
            return True
        matroska = "matroska" in self._input.format.name
        return self.muxer in ("matroska", "webm") and (track.resampler is not None or matroska)

    def _note_once(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _give_up(self, note: str) -> None:
        self.notes.append(note)
        self.tracks.clear()
        with contextlib.suppress(Exception):
            self.close()


def _held_back(track: _Track, packet: Any) -> Any:
    """The packet before this one, with the time that it must have; None for the first.

    FFmpeg gives a packet of a DVD that begins in one block and ends in the next the time of the next block: there is a
    hole before it, and the packet after it has the same time.
    """
    held, track.held = track.held, packet
    if held is None:
        return None
    if packet.dts <= held.dts and track.end is not None:
        back = held.dts - max(track.end, packet.dts - (held.duration or 0))
        if back > 0:
            held.pts, held.dts = held.pts - back, held.dts - back
    track.end = held.dts + (held.duration or 0)
    return held


def read_tags(path: str) -> dict[str, str]:
    """Title, date and the like of a media file; empty where it has none or cannot be read."""
    wanted = ("title", "artist", "comment", "copyright", "date", "creation_time")
    if "://" in path:
        return {}
    try:
        with open_input(f"file:{os.path.expanduser(path)}") as container:
            return {key: value for key, value in tags(container).items() if key.casefold() in wanted}
    except (av.FFmpegError, OSError, ValueError):
        return {}


def language_and_title(metadata: dict[str, str]) -> dict[str, str]:
    """What of a track's metadata a copy keeps."""
    return {key: metadata[key] for key in ("language", "title") if key in metadata}
