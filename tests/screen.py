"""A virtual X screen for tests of windows."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from vidseg.frames import UInt8Array
from vidseg.opencv import HOW_TO_GET_WINDOWS, WINDOWED, installed_packages

needs_screen = [
    pytest.mark.window,
    pytest.mark.skipif(not shutil.which("Xvfb") or not shutil.which("xdotool"), reason="needs Xvfb and xdotool"),
    pytest.mark.skipif(WINDOWED not in installed_packages(), reason=f"needs {HOW_TO_GET_WINDOWS}"),
]


class NotSeen(AssertionError):
    """What was waited for did not appear on the screen."""


class NeverPainted(AssertionError):
    """A window stayed empty."""


class Screen:
    """A running Xvfb: its pixels and its keyboard."""

    def __init__(self, display: str, frame_buffer: Path) -> None:
        self.display = display
        self._frame_buffer = frame_buffer
        self.environment = {k: v for k, v in os.environ.items() if k != "WAYLAND_DISPLAY"} | {"DISPLAY": display}

    def pixels(self) -> UInt8Array:
        """(H, W, 3) RGB, out of the XWD file that Xvfb keeps up to date."""
        data = self._frame_buffer.read_bytes()
        header = struct.unpack(">25I", data[:100])
        width, height, bytes_per_line, colours = header[4], header[5], header[12], header[19]
        # the header is followed by colour map entries of 12 bytes
        rows = np.frombuffer(data, np.uint8, count=bytes_per_line * height, offset=header[0] + 12 * colours)
        return rows.reshape(height, bytes_per_line)[:, : 4 * width].reshape(height, width, 4)[:, :, 2::-1]

    def wait_for(self, condition: Callable[[UInt8Array], bool], what: str, seconds: float = 30) -> UInt8Array:
        """The screen once `condition` holds. Raises NotSeen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition(pixels := self.pixels()):
                return pixels
            time.sleep(0.02)
        raise NotSeen(f"not seen on the screen: {what}")

    def wait_for_window(self, name: str, seconds: float = 30) -> None:
        """Wait until a window whose name matches the pattern is on the screen. Raises NotSeen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            # not its --sync: that ends with an error when a window goes while the windows are listed
            search = ["xdotool", "search", "--onlyvisible", "--name", name]
            if subprocess.run(search, env=self.environment, capture_output=True, timeout=30).stdout.strip():
                return
            time.sleep(0.05)
        raise NotSeen(f"no window named {name}")

    def wait_for_first_picture(self, condition: Callable[[UInt8Array], bool]) -> UInt8Array:
        """The screen once a new window shows its picture. Raises NeverPainted.

        Without a window manager, on a busy machine, one start in seven leaves Qt without the event that its window is
        on the screen; nothing but a new start helps.
        """
        self.xdotool("mousemove", "100", "150")  # keys go to the window under the pointer
        try:
            return self.wait_for(condition, "the first picture", seconds=8)
        except NotSeen:
            raise NeverPainted("the window stayed empty") from None

    def xdotool(self, *words: str) -> str:
        done = subprocess.run(
            ["xdotool", *words], env=self.environment, capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout


def start_until_painted(start: Callable[[], None]) -> None:
    """Call `start` again while its window stays empty, five times at most."""
    for _ in range(4):
        with contextlib.suppress(NeverPainted):
            return start()
    start()


def run_screen(folder: Path) -> Iterator[Screen]:
    """A screen of 800x600 that keeps its frame buffer in `folder`, for as long as the generator lives."""
    read_end, write_end = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write_end), "-screen", "0", "800x600x24", "-fbdir", str(folder), "-noreset"],
        pass_fds=[write_end],
        stderr=subprocess.DEVNULL,
    )
    os.close(write_end)
    try:
        with os.fdopen(read_end) as answer:
            number = answer.readline().strip()  # written once the server is ready
        assert number, "Xvfb did not start"
        yield Screen(f":{number}", folder / "Xvfb_screen0")
    finally:
        server.terminate()
        server.wait(timeout=20)
