"""libsrt's own program, which carries MPEG-TS over SRT where the FFmpeg in PyAV was built without it."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import subprocess
import time

from vidseg.names import url_scheme
from vidseg.video.protocols import has_protocol

TOOL = "srt-live-transmit"
HOW_TO_GET_TOOL = f"install {TOOL} (Debian, Ubuntu: apt-get install srt-tools; Homebrew: brew install srt)"
DATAGRAM_BYTES = 7 * 188
_GOODBYE_SECONDS = 0.5
_CONNECTED = re.compile(rb"SRT (?:source|target) connected|Accepted SRT (?:source|target)")
_REASON = re.compile(rb"(?:ERROR: error: \w+|REJECT reported from HS processing): ([^\n]*?)(?: - not[^\n]*)?\n")
_KEEPER = """exec 3<"/dev/fd/$0" 4<&0
"$@" <&4 3<&- 4<&- &
exec 4<&- </dev/null >&- 2>&-
read -r line <&3
kill $!
read -r line <&3
kill -9 $!
wait"""
"""Its parent. A line on the descriptor $0 ends it, another line or the end of the input kills it: so it never outlives
vidseg, however that ends. (Linux could do without, but only for the thread that starts it.) $0 may be 3 or 4 itself."""


def by_tool(url: str) -> bool:
    """Whether this address can be reached with the program only, and it is there."""
    return url_scheme(url) == "srt" and not has_protocol("srt") and find_tool() is not None


def find_tool() -> str | None:
    """Where the program is."""
    return shutil.which(TOOL)


class SrtTool:
    """One connection: the program as a child, in a session of its own, for Ctrl+C is for the run.

    What it says is never shown as it is: it repeats the address with the passphrase in it.
    """

    def __init__(self, url: str, timeout: float, *, data: int | None = None) -> None:
        """Begin to connect.

        Args:
            url: the options in it are those of the program.
            timeout: seconds until an unanswered call has failed.
            data: descriptor with the datagrams to send; None to receive them, from `output`.
        """
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._said = b""
        self._ended = False
        self.connected = False
        # it gives up by itself after 3 s; here the time is kept below
        address = f"srt{url[3:]}{'&' if '?' in url else '?'}conntimeo={round(timeout * 1000) + 1000}"
        ends = [address, "file://con"] if data is None else ["file://con", address]
        # pictures would wait in the buffers of its streams until the next ones come
        unbuffered = ["stdbuf", "-i0", "-o0"] if shutil.which("stdbuf") else []
        words = [*unbuffered, TOOL, "-a:no", f"-chunk:{DATAGRAM_BYTES}", "-buffering:1", *ends]
        kept, keeper = os.pipe()
        self._keeper = open(keeper, "wb", 0)  # noqa: SIM115 - open as long as the program
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, str(kept), *words],
            stdin=subprocess.DEVNULL if data is None else data,
            stdout=subprocess.PIPE if data is None else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=(kept,),
            start_new_session=True,
        )
        os.close(kept)
        self.output = self._process.stdout
        assert self._process.stderr is not None
        self._messages = self._process.stderr
        os.set_blocking(self._messages.fileno(), False)

    def fileno(self) -> int:
        """Descriptor that can be read when `look` will see something new."""
        return self._messages.fileno()

    def look(self) -> None:
        """Hear what it says. Never waits."""
        while not self._ended:
            try:
                said = os.read(self._messages.fileno(), 4096)
            except BlockingIOError:
                return
            self._ended = not said
            self._said = (self._said + said)[-8192:]
            self.connected = self.connected or _CONNECTED.search(self._said) is not None

    @property
    def failure(self) -> str | None:
        """Why nothing is carried any more; None as long as there is hope."""
        if self._ended:
            reasons = _REASON.findall(self._said)
            if self.connected or not reasons:
                return "the other side closed the connection" if self.connected else "the SRT connection was not made"
            return str(reasons[-1].decode("utf-8", "replace")).lower()
        if not self.connected and time.monotonic() > self._deadline:
            return f"no answer within {self._timeout:g} seconds"
        return None

    def await_end(self, seconds: float) -> None:
        """Wait until it has ended, or so long."""
        limit = time.monotonic() + seconds
        while not self._ended and time.monotonic() < limit:
            select.select([self], [], [], max(0.0, limit - time.monotonic()))
            self.look()

    def ask_to_end(self) -> None:
        """Let it say goodbye, and end; from any thread."""
        with contextlib.suppress(OSError, ValueError):
            self._keeper.write(b"\n")

    def kill(self) -> None:
        """End it now. Does nothing a second time."""
        if self.connected and not self._ended:
            self.ask_to_end()  # or the other side would wait for it for seconds
            self.await_end(_GOODBYE_SECONDS)
        self._ended = True
        self._keeper.close()
        self._process.wait()
        for pipe in (self.output, self._messages):
            if pipe is not None:
                pipe.close()
