"""Annotated video sent to an address: a server that takes streams (RTSP, RTMP), or whoever listens (UDP, SRT)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

from vidseg.audio import AUDIO_RATE, AudioSupply
from vidseg.errors import ReceiverError, SinkError, WriteError, short_reason
from vidseg.frames import Frame, Segmentation, UInt8Array, VideoInfo
from vidseg.names import shown_name
from vidseg.pipeline.reconnecting import STEADY_SECONDS, Backoff
from vidseg.sending.receiver_address import find_receiver, stream_muxer, with_packet_size
from vidseg.sending.sender_process import Destination, SenderProcess, StreamFormat
from vidseg.video.audio_reader import FileAudio
from vidseg.video.audio_track import LONGEST_HOLD_MICROSECONDS, AudioTrack, audio_encoder, set_up_encoder
from vidseg.video.encoded_pictures import EncodedPictures
from vidseg.video.encoders import DEFAULT_ENCODE, EncodeOptions, plan_encoder, without_delay
from vidseg.video.pyav import exact

_BACKLOG_PACKETS = 60
"""Pictures that wait at most for a receiver that takes them too slowly; then they are lost up to the next key frame."""
_REFUSALS = ("server returned 400", "server returned 4xx")
"""What an RTSP server may say that has no place for a second stream; others have their own number."""
_LONGEST_GOODBYE_SECONDS = 3.0
"""How long the end of a run waits for a receiver that takes nothing any more."""


@dataclass(frozen=True, slots=True)
class Tries:
    """How often a receiver is tried in a row before it is given up."""

    attempts: int | None = None
    """None for no end, 0 for never again."""
    wait_for_first: bool = False
    """True: the receiver may be away at the start as well. Else its absence is an error then."""


class StreamSink(EncodedPictures):
    """Sends one stream. Satisfies `vidseg.interfaces.Sink`; `write` never waits for the receiver.

    A receiver that goes away is tried again, and the frames meanwhile are lost and counted; after the return the stream
    begins with a key frame. Each connection counts its time from 0. The audio is re-encoded, and is lost where the
    pictures are.

    Remembers the connection, the tries in a row, and what was lost.
    """

    needs_picture = True

    def __init__(
        self,
        url: str,
        info: VideoInfo,
        *,
        waits: Backoff,
        tries: Tries | None = None,
        timeout: float = 10.0,
        encode: EncodeOptions = DEFAULT_ENCODE,
        announce: Callable[[str], None] = lambda text: None,
        connect: Callable[[Destination], SenderProcess] = SenderProcess,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Check all settings, and look whether the server of the address is there.

        Args:
            url: its scheme chooses the container, see `stream_muxer`.
            timeout: seconds that connecting or sending one picture may take.
            announce: told in one sentence when the receiver goes away and comes back.
        Raises:
            SinkError: a setting is wrong, or no receiver answers.
        """
        name = shown_name(url)
        muxer = stream_muxer(url)
        plan = plan_encoder(name, muxer, encode, (info.width, info.height))
        super().__init__(name, info, muxer=muxer, plan=without_delay(plan), threads=encode.threads, rebase=True)
        self._check_codec()
        self.url = url
        self._tries = tries or Tries()
        if not self._tries.wait_for_first:
            find_receiver(url, name, timeout)
        self._waits = waits
        self._announce = announce
        self._connect = connect
        self._clock = clock
        options = {"flush_packets": "1"}
        if muxer == "rtsp":
            options = {"rtsp_transport": "tcp", "timeout": str(round(timeout * 1_000_000))}
        options["max_interleave_delta"] = str(LONGEST_HOLD_MICROSECONDS)
        self._destination = Destination(with_packet_size(url), muxer, options, timeout)
        self._wants_audio = encode.takes_audio(info)
        self._audio: AudioTrack | None = None
        self._patience = min(timeout, _LONGEST_GOODBYE_SECONDS)
        self._encoder: Any = None
        self._tick = Fraction(1, 90_000)
        self._closed = False
        self.counters |= {"lost_frames": 0, "reconnects": 0}
        """frames: sent; lost_frames: not sent; reconnects; and those of all encoded outputs."""
        self._needs_key = True
        self._there = False  # the sender's connection has been noted
        self._was_there = False
        self._there_since = 0.0
        self._failures = 0  # tries in a row
        self._handed = 0  # frames that the sender has, or had
        self._away_since: float | None = None
        self._try_at = 0.0
        self.given_up: str | None = None
        """Why no more is sent; None while there is hope."""
        # at once: the process takes a while to start
        self._sender: SenderProcess | None = self._connect(self._destination)

    @property
    def path(self) -> str:
        """The address without passwords."""
        return self._name

    @property
    def connected(self) -> bool:
        """True while a receiver takes what is sent, as far as is known."""
        return self._there

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the result, one sentence each; complete after `close`."""
        return (*self._notes, *(self._audio.notes if self._audio is not None else ()))

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Send `picture`, (H', W', 3) uint8 RGB, or count it as lost.

        Raises:
            WriteError: the encoder failed.
            ReceiverError: the first connection failed.
        """
        assert picture is not None, "StreamSink needs a picture"
        assert not self._closed, "write after close"
        with self._failures_named():
            if self._input is None:
                self._choose_format(frame, (picture.shape[0], picture.shape[1]))
                self._encoder = self._open_encoder()
                self._audio = self._open_audio() if self._wants_audio else None
            assert self._input is not None
            pts, duration = self._timing(frame)
            self._look_after_sender()
            if self._sender is not None and self._sender.backlog > _BACKLOG_PACKETS:
                self._lose_backlog(self._sender)
            if self._audio is not None:  # also while no receiver answers, so that it continues with the pictures
                self._pass_on_audio(self._audio.pump(pts * self._tick))
            if self._sender is None:
                self._lose(1)
                return
            encoder_frame = self._input.convert(picture, pts, self._tick, duration)
            self.counters["rescaled"] = self._input.rescaled
            self._ask_for_key(encoder_frame, now=self._needs_key)
            for packet in self._encoder.encode(encoder_frame):
                self._pass_on(packet)

    def close(self) -> None:
        """Send what is under way and say goodbye; takes some seconds at most. Does nothing a second time.

        Raises:
            WriteError: no frame was sent.
            ReceiverError: the receiver was away in the end.
        """
        if self._closed:
            return
        try:
            if self._encoder is None:
                raise WriteError(f"{self._name}: no frame was written, so nothing was sent")
            reason = self.given_up
            if self._sender is not None:
                with self._failures_named():
                    for packet in self._encoder.encode(None):
                        self._pass_on(packet)
                    if self._audio is not None and self._last_pts is not None:
                        self._pass_on_audio(self._audio.finish((self._last_pts + self._last_duration) * self._tick))
                if not self._sender.finish(self._patience):
                    reason = self._sender.failure
                self._note_connection()
                if reason is not None:
                    self._lose_untaken()
            elif reason is None:
                reason = "it was unreachable at the end"
            lost = self.counters["lost_frames"]
            if reason is not None:
                gone = f"; {lost} frames were lost" if lost else ""
                raise ReceiverError(f"{self._name}: the receiver did not get everything: {reason}{gone}")
            if lost:
                self._notes.append(
                    f"{self._name}: {lost} frames were lost while the receiver was unreachable or too slow"
                )
        finally:
            self.abort()

    def abort(self) -> None:
        """Break the connection off. Never raises."""
        self._closed = True
        if self._sender is not None:
            self._sender.kill()
        self._sender = self._encoder = None
        if self._audio is not None:
            self._audio.close()

    def _open_encoder(self) -> Any:
        encoder = av.CodecContext.create(self._plan.encoder.name, "w", **self._plan.encoder.hwaccel())
        encoder.options = dict(self._plan.options)
        encoder.framerate = self._rate  # type: ignore[attr-defined]
        self._set_up(encoder)
        encoder.thread_type = "SLICE"  # threads that share a picture: those with one each hold as many back
        return encoder

    def _open_audio(self) -> AudioTrack | None:
        supply: AudioSupply | None = self._info.audio
        if self._info.audio_path is not None:
            try:
                supply = FileAudio(self._info.audio_path, self._origin)
            except (av.FFmpegError, OSError, ValueError) as error:
                self._notes.append(f"the audio is left out: it cannot be read ({short_reason(error)})")
                return None
        assert supply is not None
        encoder = av.CodecContext.create(audio_encoder(self._muxer), "w")
        set_up_encoder(encoder)
        return AudioTrack(supply, encoder, self._origin, self._begins)

    def _choose_tick(self, frame: Frame) -> Fraction:
        """Finer than any of the containers."""
        return Fraction(1, 90_000)

    def _pass_on(self, packet: av.Packet[Any]) -> None:
        if self._sender is None or (self._needs_key and not packet.is_keyframe):
            self._lose(1)
            return
        assert self._input is not None
        codec = av.Codec(self._plan.encoder.name, "w").canonical_name
        size = (self._input.width, self._input.height)
        audio = (audio_encoder(self._muxer), AUDIO_RATE, "stereo") if self._audio is not None else None
        self._sender.send(packet, StreamFormat(codec, *size, self._rate, self._tick, audio))
        self._needs_key = False
        self._handed += 1
        self.counters["frames"] += 1

    def _pass_on_audio(self, packets: list[av.Packet[Any]]) -> None:
        """Send audio, unless a picture has to come first."""
        for packet in packets if self._sender is not None and not self._needs_key else ():
            assert packet.pts is not None and packet.duration is not None
            unit = exact(packet.time_base) / self._tick
            packet.pts = packet.dts = round(packet.pts * unit)
            packet.duration, packet.time_base = round(packet.duration * unit), self._tick
            assert self._sender is not None
            self._sender.send_audio(packet)

    def _lose(self, count: int) -> None:
        self.counters["lost_frames"] += count
        self._needs_key = True

    def _lose_backlog(self, sender: SenderProcess) -> None:
        dropped = sender.drop_backlog()
        self._handed -= dropped
        self.counters["frames"] -= dropped
        self._lose(dropped)

    def _lose_untaken(self) -> None:
        """Count what a sender has that was never connected: it went nowhere."""
        if not self._there:
            self.counters["frames"] -= self._handed
            self._lose(self._handed)
        self._handed = 0

    def _look_after_sender(self) -> None:
        """Notice what became of the connection; begin a new one when it is time."""
        if self._sender is None and self.given_up is None and self._clock() >= self._try_at:
            self._sender = self._connect(self._destination)
        if self._sender is None:
            return
        self._sender.look()
        self._note_connection()
        if self._sender.failure is not None:
            self._lost_sender(self._sender.failure)

    def _note_connection(self) -> None:
        """Note that the receiver has taken the first picture of this connection."""
        if self._sender is None or not self._sender.sending or self._there:
            return
        if self._away_since is not None:
            self.counters["reconnects"] += self._was_there
            away = self._clock() - self._away_since
            self._announce(f"{self._name}: the receiver is back after {away:.0f} s")
        self._there = self._was_there = True
        self._there_since = self._clock()
        self._away_since = None
        self._failures = 0

    def _lost_sender(self, reason: str) -> None:
        """The connection is gone, or was never made: try again later, or give up. Without audio if that was refused.

        Raises:
            ReceiverError: it is the first one, and nobody wants to wait for it.
        """
        assert self._sender is not None
        self._lose_backlog(self._sender)
        self._lose_untaken()
        self._sender.kill()
        self._sender = None
        broken, self._there = self._there, False
        if broken:
            if self._clock() - self._there_since >= STEADY_SECONDS:
                self._waits.reset()
            reason = f"the connection broke ({reason})"
        elif self._audio is not None and not self._was_there and reason.startswith(_REFUSALS):
            self._audio.close()
            self._audio = None
            self._notes.append(f"{self._name}: the receiver accepts no audio; sent without it (as with --audio none)")
            return
        else:
            self._failures += 1
            reason = f"cannot connect to it ({reason})"
        if not self._was_there and not self._tries.wait_for_first:
            raise ReceiverError(f"{self._name}: {reason}; start the receiver first, or wait for it: --reconnect always")
        attempts = self._tries.attempts
        if attempts is not None and self._failures >= attempts:
            tries = f"; gave up after {self._failures} attempts" if self._failures > 1 else ""
            self.given_up = f"{reason}{tries}"
            return
        if self._away_since is None:
            self._away_since = self._clock()
            self._announce(f"{self._name}: {reason}; trying again")
        self._try_at = self._clock() + self._waits.next()

    def _check_codec(self) -> None:
        """Raises SinkError if the encoder does not go into the container."""
        trial = av.open(os.devnull, "w", format=self._muxer)
        try:
            trial.add_stream(self._plan.encoder.name)
        except (ValueError, av.FFmpegError) as error:
            raise SinkError(
                f"{self._name}: codec {self._plan.encoder.name} cannot be used in this kind of stream; use h264"
            ) from error
