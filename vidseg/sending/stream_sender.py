"""The program that sends encoded pictures and audio to an address. `SenderProcess` starts it, in a process of its own.

Not a thread of the run, because PyAV connects, writes headers and says goodbye while it holds the interpreter, and RTMP
knows no time limit: a server that accepts and does not answer would stop everything, Ctrl+C included. A process can be
ended at any time. It imports nothing of vidseg, so that it starts soon.

Standard input: one line of JSON (`url pipe muxer options codec width height rate time_base audio timeout`), then
packets, each a `PACKET` header and its bytes; the first is a key frame. `pipe` is null, or a descriptor that takes
datagrams of MPEG-TS, for another program to send to `url`. `audio` is null, or the name of an encoder, its sample rate
and its layout. The end of the input finishes the stream. Standard output: the line "sending" once the first packet is
on its way, or the line "failed REASON". A step that takes longer than `timeout` seconds ends the program by SIGALRM.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import av

PACKET = struct.Struct("<IqqqB")
"""Bytes that follow; pts, dts and duration in units of `time_base`; what it is."""
PICTURE, KEY_FRAME, AUDIO = range(3)
_PACKETS = 7
_DATAGRAM = _PACKETS * 188
_BUFFERED = 25
"""Datagrams written at a time at most."""
_STUFFING = b"\x47\x1f\xff\x10" + 184 * b"\xff"
"""A packet that receivers throw away."""


def main() -> int:
    """Send what comes on standard input. 0 when the stream was finished, else 1."""
    source = sys.stdin.buffer
    line = source.readline()
    if not line:
        return 0  # no picture ever came
    stream = _Stream(json.loads(line))
    try:
        while header := source.read(PACKET.size):
            size, pts, dts, duration, kind = PACKET.unpack(header)
            stream.send(source.read(size), pts, dts, duration, kind)
        stream.finish()
    except (av.FFmpegError, OSError, ValueError, struct.error) as error:
        reason = str(getattr(error, "strerror", None) or type(error).__name__)
        print("failed", " ".join(reason.split()), flush=True)
        return 1
    return 0


class _Stream:
    """The connection; made with the first packet, whose time becomes 0."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._time_base = Fraction(*plan["time_base"])
        self._output: Any = None
        self._stream: Any = None
        self._audio: Any = None
        self._zero = 0

    def send(self, data: bytes, pts: int, dts: int, duration: int, kind: int) -> None:
        """Send one packet; audio from before the first picture is left out."""
        first = self._output is None
        if first:
            self._open()
            self._zero = dts
        if kind == AUDIO and dts < self._zero:
            return
        packet = av.Packet(data)
        packet.stream, packet.time_base = self._audio if kind == AUDIO else self._stream, self._time_base
        packet.is_keyframe = kind != PICTURE
        packet.pts, packet.dts, packet.duration = pts - self._zero, dts - self._zero, duration
        with self._limited():
            self._output.mux(packet)
        if first:
            print("sending", flush=True)

    def finish(self) -> None:
        """Say goodbye."""
        if self._output is not None:
            with self._limited():
                self._output.close()

    def _open(self) -> None:
        plan = self._plan
        target = plan["url"] if plan["pipe"] is None else _Datagrams(plan["pipe"])
        self._output = av.open(
            target, "w", format=plan["muxer"], options=plan["options"], buffer_size=_BUFFERED * _DATAGRAM
        )
        self._stream = self._output.add_mux_stream(
            plan["codec"], Fraction(*plan["rate"]), width=plan["width"], height=plan["height"]
        )
        self._stream.time_base = self._time_base
        if plan["audio"] is not None:
            # with an encoder, as the one whose packets come: it knows what receivers have to be told
            name, rate, layout = plan["audio"]
            self._audio = self._output.add_stream(name, rate=rate, layout=layout)

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """Within it the program ends when the time is over, whatever FFmpeg is waiting for."""
        signal.setitimer(signal.ITIMER_REAL, self._plan["timeout"])
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


class _Datagrams:
    """A file for FFmpeg. Each of its writes fills whole datagrams, or the last one would have to wait for the next."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> int:
        """Pass on whole packets, and stuffing after them."""
        left = memoryview(data + _STUFFING * (-(len(data) // 188) % _PACKETS))
        while left:
            left = left[os.write(self._descriptor, left) :]
        return len(data)


if __name__ == "__main__":
    code = main()
    os._exit(code)  # closing a container that failed would wait for the server once more
