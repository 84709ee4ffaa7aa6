"""The bytes of an SRT stream as a file that `av.open` reads, where FFmpeg itself has no SRT."""

from __future__ import annotations

import errno
import os
import select

import av

from vidseg.video.srt_tool import SrtTool


class SrtReader:
    """One connection; `timeout` is how many seconds a read may take."""

    def __init__(self, url: str, timeout: float) -> None:
        self.timeout = timeout
        self._tool = SrtTool(url, timeout)
        self._came = False

    def read(self, size: int) -> bytes:
        """What is there, at most `size` bytes; b"" when the connection is over.

        Raises:
            av.FFmpegError: as if FFmpeg had read it: nothing came in time, or there never was a connection.
        """
        assert self._tool.output is not None
        ready, _, _ = select.select([self._tool.output], [], [], self.timeout)
        if not ready:
            raise av.error.TimeoutError(errno.ETIMEDOUT, "no answer")
        data = os.read(self._tool.output.fileno(), size)
        self._tool.look()
        if not data and not self._came:
            self._tool.await_end(self.timeout)
            raise av.error.ConnectionRefusedError(errno.ECONNREFUSED, self._tool.failure or "no connection")
        self._came = True
        return data

    def wake(self) -> None:
        """End a read that waits; from any thread."""
        self._tool.ask_to_end()

    def close(self) -> None:
        """End the connection."""
        self._tool.kill()
