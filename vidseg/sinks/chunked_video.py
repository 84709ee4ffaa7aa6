"""A video that is written in chunks, each safe on the disk once complete, and joined at the end.

Every chunk has an encoder of its own, so it starts with a key frame and depends on no other chunk: it does not matter
which process wrote which. The joined file holds the packets of all chunks, not encoded again, with the times and the
audio that `AvSink` gives an undivided one. An encoder gives the same packets for the same pictures, so a run that was
killed and gone on with gives the same bytes as one that was not (on machines with as many cores, for some encoders; of
pictures narrower than 256 pixels x264's AVX-512 code now and then makes other packets, with a picture just as good).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from vidseg.cores import usable_cores
from vidseg.errors import SinkError, WriteError
from vidseg.frames import Frame, Segmentation, UInt8Array
from vidseg.interfaces import Sink
from vidseg.saved_state import State
from vidseg.sinks.av_sink import AvSink
from vidseg.sinks.packet_file import PacketFileWriter, StoredPacket, check_packets, read_packets
from vidseg.video.encoded_pictures import x264_threads
from vidseg.video.encoders import ANIMATIONS
from vidseg.video.pyav import exact


class ChunkedAvSink(AvSink):
    """An `AvSink` that can also be written in chunks. Satisfies `vidseg.interfaces.ResumableSink`.

    Remembers the unit and the zero of time, the size, and the last time; all of it is in `state()`.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        """Arguments and errors are those of `AvSink`.

        Raises:
            SinkError: an animation, whose frames are drawn over each other.
        """
        super().__init__(*args, **named)
        if self._muxer in ANIMATIONS:
            self.abort()
            raise SinkError(
                f"{self.path}: a {self._muxer} cannot be written in chunks; "
                "leave out --resume and --workers, or give an mp4"
            )
        if self._threads == 0 and self._plan.encoder.name == "libx264":
            # its packets depend on the number; what it would choose itself, written down
            self._threads = x264_threads(usable_cores())
        self._extradata: bytes | None = None
        self._whole: Callable[[Path], None] | None = None

    def state(self) -> State:
        """The state that the next chunk begins with."""
        size_hw = None if self._input is None else list(self._input.picture_hw)
        return {
            "size_hw": size_hw,
            "rescaled": 0 if self._input is None else self._input.rescaled,
            "threads": self._threads,
            "tick": str(self._tick),
            "origin": str(self._origin),
            "rate": str(self._rate),
            "last_pts": self._last_pts,
            "last_duration": self._last_duration,
            "last_seconds": str(self._last_seconds),
            "counters": dict(self.counters),
            "notes": list(self._notes),
            "extradata": None if self._extradata is None else self._extradata.hex(),
        }

    def restore(self, state: State) -> None:
        """Go on after the last chunk."""
        self._threads = state["threads"]
        self._tick, self._origin = Fraction(state["tick"]), Fraction(state["origin"])
        self._rate, self._last_seconds = Fraction(state["rate"]), Fraction(state["last_seconds"])
        self._last_pts, self._last_duration = state["last_pts"], state["last_duration"]
        self.counters, self._notes = dict(state["counters"]), list(state["notes"])
        self._extradata = None if state["extradata"] is None else bytes.fromhex(state["extradata"])
        if state["size_hw"] is not None:
            self._input = self._make_input((state["size_hw"][0], state["size_hw"][1]))
            self._input.rescaled = state["rescaled"]

    def begin_chunk(self, path: Path) -> Sink:
        """Takes the pictures of one chunk."""
        return _VideoChunk(self, path)

    def check(self, chunks: Sequence[Path]) -> None:
        """Read the files of finished chunks. Raises ResumeError unless all are complete."""
        for chunk in chunks:
            check_packets(chunk)

    def join(self, chunks: Sequence[Path], whole: Callable[[Path], None]) -> None:
        """Put the packets of all chunks and the audio into the output; no picture is encoded again."""
        if self._input is None:
            self.close()  # raises: no frame was written
        self._whole = whole
        try:
            with self._failures_named():
                self._open_output()
                last_dts: int | None = None
                for path in chunks:
                    time_base, packets = read_packets(path)
                    for packet in packets:
                        last_dts = self._mux_stored(packet, time_base, last_dts)
        except BaseException:
            self.abort()
            raise
        self.close()

    def open_encoder(self) -> Any:
        """A new encoder, set up as the output wants it, with a stream that belongs to no file."""
        return self._add_stream(self._open_container())

    def failures_named(self) -> AbstractContextManager[None]:
        """Turns FFmpeg's and the disk's errors into a WriteError of one line."""
        return self._failures_named()

    def encoder_frame(self, frame: Frame, picture: UInt8Array) -> av.VideoFrame:
        """`picture`, (H, W, 3) uint8 RGB, in the encoder's pixel format and size, at its time."""
        converted = self._encoder_frame(frame, picture)
        self.counters["frames"] += 1
        return converted

    def note_frame(self, frame: Frame, picture_hw: tuple[int, int] | None) -> None:
        """Settle size and times as `write` would; the frame itself is written by another process."""
        with self._failures_named():
            if self._input is None:
                assert picture_hw is not None, "a video needs a picture"
                self._choose_format(frame, picture_hw)
            self._timing(frame)
        self.counters["frames"] += 1

    def merge_state(self, state: State) -> None:
        """Take over what the process that wrote a chunk found out. Raises WriteError as `keep_extradata`."""
        assert self._input is not None, "merge_state comes after note_frame"
        self._input.rescaled += state["rescaled"]
        self.counters["rescaled"] = self._input.rescaled
        self._keep_extradata(bytes.fromhex(state["extradata"]))

    def keep_extradata(self, stream: Any) -> None:
        """Raises WriteError where the encoders of two chunks give different headers: only one fits into the file."""
        self._keep_extradata(bytes(stream.codec_context.extradata or b""))

    def _keep_extradata(self, found: bytes) -> None:
        if self._extradata is not None and found != self._extradata:
            raise WriteError(
                f"{self.path}: chunks of {self._plan.encoder.name} cannot be joined; choose another --codec"
            )
        self._extradata = found

    def _mux_stored(self, packet: StoredPacket, time_base: Fraction, last_dts: int | None) -> int:
        """Write one packet, after the audio before it; its decoding time."""
        self._pump(packet.pts * time_base)
        # an encoder that reorders starts a little before its first picture, so two chunks may touch
        dts = packet.dts if last_dts is None else max(packet.dts, last_dts + 1)
        if dts > packet.pts:
            raise WriteError(
                f"{self.path}: chunks of {self._plan.encoder.name} cannot be joined; choose another --codec"
            )
        copy = av.Packet(packet.data)
        copy.pts, copy.dts, copy.duration, copy.time_base = packet.pts, dts, packet.duration, time_base
        copy.is_keyframe = packet.is_keyframe
        copy.stream = self._stream
        self._output.mux(copy)
        return dts

    def _about_to_be_named(self, part: Path) -> None:
        if self._whole is not None:
            self._whole(part)


class _VideoChunk:
    """Takes the pictures of one chunk. Satisfies `vidseg.interfaces.Sink`; no file appears before `close`."""

    needs_picture = True
    notes: tuple[str, ...] = ()

    def __init__(self, video: ChunkedAvSink, path: Path) -> None:
        self._video = video
        self.path = path
        self._stream: Any = None
        self._file: PacketFileWriter | None = None

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Encode `picture`. Raises WriteError."""
        assert picture is not None, "a video needs a picture"
        with self._video.failures_named():
            converted = self._video.encoder_frame(frame, picture)
            if self._stream is None:
                self._stream = self._video.open_encoder()
            for packet in self._stream.encode(converted):
                self._keep(packet)

    def close(self) -> None:
        """Finish the chunk; without a frame there is no file. Raises WriteError."""
        if self._stream is None:
            return
        try:
            with self._video.failures_named():
                for packet in self._stream.encode(None):
                    self._keep(packet)
                self._video.keep_extradata(self._stream)
                assert self._file is not None, "an encoder that was given frames gives packets"
                self._file.close()
        except BaseException:
            self.abort()
            raise
        self._stream = None

    def abort(self) -> None:
        """Drop the chunk. Never raises."""
        self._stream = None
        if self._file is not None:
            self._file.abort()

    def _keep(self, packet: Any) -> None:
        if self._file is None:
            self._file = PacketFileWriter(self.path, exact(packet.time_base))
        dts = packet.pts if packet.dts is None else packet.dts
        self._file.write(StoredPacket(packet.pts, dts, packet.duration or 0, packet.is_keyframe, bytes(packet)))
