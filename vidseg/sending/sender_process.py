"""The handle of a process that sends packets to an address: none of its calls ever waits."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from io import FileIO
from pathlib import Path
from typing import Any

import av

from vidseg.sending import stream_sender
from vidseg.sending.stream_sender import AUDIO, KEY_FRAME, PACKET, PICTURE
from vidseg.video.srt_tool import SrtTool, by_tool

_PROGRAM = str(Path(stream_sender.__file__))
_LINGER_SECONDS = 1.0
"""SRT holds what it sends for a while (`latency`, 0.12 s unless told otherwise), and forgets it at the end."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where packets go, and how."""

    url: str
    muxer: str
    options: Mapping[str, str]
    timeout: float
    """Seconds that connecting or sending one packet may take."""


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """What the packets hold."""

    codec: str
    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    audio: tuple[str, int, str] | None = None
    """Encoder, samples per second and layout; None where there is none."""


class SenderProcess:
    """One connection. It is made when the first packet comes, which has to be a key frame."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._waiting: deque[memoryview] = deque()
        self._pictures: deque[bool] = deque()  # what of it is one
        self._begun = False  # a part of the first one waiting is in the pipe
        self._told = b""
        self._started = False
        self.sending = False
        """True once the first packet was on its way to the other side."""
        self.failure: str | None = None
        """Why nothing can be sent any more."""
        self._tool: SrtTool | None = None
        self._data: FileIO | None = None  # what the tool will send
        self._pipe: int | None = None
        if by_tool(destination.url):
            data, self._pipe = os.pipe()
            self._data = FileIO(data)
        # -P: no module of the current folder is taken for one of Python's; a session of its own: Ctrl+C is for the run
        self._process = subprocess.Popen(
            [sys.executable, "-P", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            pass_fds=() if self._pipe is None else (self._pipe,),
            start_new_session=True,
        )
        if self._pipe is not None:
            os.close(self._pipe)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        for pipe in (self._input, self._output):
            os.set_blocking(pipe.fileno(), False)

    @property
    def backlog(self) -> int:
        """Pictures that the process has not taken yet."""
        return sum(self._pictures)

    def send(self, packet: av.Packet[Any], stream_format: StreamFormat) -> None:
        """Hand over a picture; it waits here while the process is busy."""
        if not self._started:
            self._started = True
            self._wait(self._plan(stream_format), picture=False)
            self.look()  # the plan is never dropped
            if self._data is not None:
                self._tool = SrtTool(self._destination.url, self._destination.timeout, data=self._data.fileno())
                self._data.close()
        self._put(packet, KEY_FRAME if packet.is_keyframe else PICTURE)

    def send_audio(self, packet: av.Packet[Any]) -> None:
        """Hand over audio, after the first picture; its times are in the unit of the pictures."""
        self._put(packet, AUDIO)

    def drop_backlog(self) -> int:
        """Throw away what waits, up to a packet that is in the pipe in part; how many pictures that were."""
        kept = 1 if self._begun else 0
        dropped = 0
        while len(self._waiting) > kept:
            self._waiting.pop()
            dropped += self._pictures.pop()
        return dropped

    def look(self) -> None:
        """Pass on what the process takes now, and hear what it says."""
        if self._tool is not None and self.failure is None and not self._input.closed:
            self._tool.look()
            self.failure = self._tool.failure
            if not self._tool.connected:
                return  # it would throw away what comes before
        while self._waiting:
            try:
                count = os.write(self._input.fileno(), self._waiting[0])
            except BlockingIOError:
                break
            except OSError:  # it has ended; why is said below
                self._waiting.clear()
                self._pictures.clear()
                break
            self._begun = count < len(self._waiting[0])
            if self._begun:
                self._waiting[0] = self._waiting[0][count:]
            else:
                self._waiting.popleft()
                self._pictures.popleft()
        with contextlib.suppress(BlockingIOError):
            self._told += os.read(self._output.fileno(), 4096)
        lines = self._told.decode("utf-8", "replace").splitlines()
        self.sending = self.sending or "sending" in lines
        said = [line.removeprefix("failed ") for line in lines if line.startswith("failed ")]
        if self.failure is None and (said or self._process.poll()):
            self.failure = said[0].lower() if said else self._last_words()

    def finish(self, patience: float) -> bool:
        """Send what waits, say goodbye, and end the process; False if that failed.

        Args:
            patience: seconds for which nothing may move.
        """
        limit = time.monotonic() + patience
        while self.failure is None and self._waiting and time.monotonic() < limit:
            before = (len(self._waiting), len(self._waiting[0]))
            rest = max(0.0, limit - time.monotonic())
            if self._tool is not None and not self._tool.connected:
                select.select([self._tool], [], [], rest)
            else:
                select.select([], [self._input], [], rest)
            self.look()
            if self._waiting and (len(self._waiting), len(self._waiting[0])) != before:
                limit = time.monotonic() + patience
        if self.failure is None and not self._waiting:
            self._input.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
            if self._tool is not None:
                self._tool.await_end(_LINGER_SECONDS)
        code = self._process.poll()
        self._waiting.clear()
        self._pictures.clear()
        self.look()
        if code is None:
            self.failure = "it no longer accepts data"
        self.kill()
        return self.failure is None

    def kill(self) -> None:
        """End the process now. Never raises; does nothing a second time."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        if self._tool is not None:
            self._tool.kill()
        for pipe in (self._input, self._output, self._data):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def _put(self, packet: av.Packet[Any], kind: int) -> None:
        data = bytes(packet)
        times = (packet.pts or 0, packet.dts or 0, packet.duration or 0)
        self._wait(PACKET.pack(len(data), *times, kind) + data, picture=kind != AUDIO)
        self.look()

    def _wait(self, data: bytes, *, picture: bool) -> None:
        self._waiting.append(memoryview(data))
        self._pictures.append(picture)

    def _plan(self, stream_format: StreamFormat) -> bytes:
        plan: dict[str, Any] = {
            "url": self._destination.url,
            "pipe": self._pipe,
            "muxer": self._destination.muxer,
            "options": dict(self._destination.options),
            "timeout": self._destination.timeout,
            "codec": stream_format.codec,
            "width": stream_format.width,
            "height": stream_format.height,
            "rate": stream_format.rate.as_integer_ratio(),
            "time_base": stream_format.time_base.as_integer_ratio(),
            "audio": stream_format.audio,
        }
        return json.dumps(plan).encode() + b"\n"

    def _last_words(self) -> str:
        if self._process.returncode == -signal.SIGALRM:
            return f"no answer within {self._destination.timeout:g} seconds"
        return f"the sending process ended (exit status {self._process.returncode})"
