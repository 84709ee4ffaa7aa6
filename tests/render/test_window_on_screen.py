"""A real window on a virtual X screen. Skipped where Xvfb or xdotool is not installed."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.render.scenes import CAR, ROAD, SKY, segmentation, street
from vidseg.frames import UInt8Array
from vidseg.labels import ade20k
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import OverlayRenderer

pytestmark = [
    pytest.mark.window,
    pytest.mark.skipif(not shutil.which("Xvfb") or not shutil.which("xdotool"), reason="needs Xvfb and xdotool"),
]
ROOT = Path(__file__).parents[2]
SOURCE_RGB = (200, 100, 50)


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

    def wait_for(self, condition: Callable[[UInt8Array], bool], what: str) -> UInt8Array:
        """The screen once `condition` holds; fails after 20 s."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if condition(pixels := self.pixels()):
                return pixels
            time.sleep(0.02)
        raise AssertionError(f"not seen on the screen: {what}")

    def xdotool(self, *words: str) -> str:
        done = subprocess.run(
            ["xdotool", *words], env=self.environment, capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout


@pytest.fixture
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    folder = tmp_path_factory.mktemp("xvfb")
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


@contextmanager
def shown_window(screen: Screen, folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.render.show_window", str(folder)],
        cwd=ROOT,
        env=screen.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        screen.xdotool("search", "--sync", "--onlyvisible", "--name", "^vidseg test$")
        # keys go to the window under the pointer; and with OpenCV 4 and no window manager to send it events, Qt may
        # sleep over the first picture until the pointer comes
        screen.xdotool("mousemove", "100", "150")
        screen.wait_for(lambda pixels: share_of(pixels, blended(SKY)) > 0.03, "the overlay")
        yield process
    finally:
        process.kill()
        print(*process.communicate(timeout=20))  # seen when a test fails


def share_of(pixels: UInt8Array, rgb: tuple[int, ...]) -> float:
    return float((np.abs(pixels.astype(int) - rgb).max(axis=2) <= 1).mean())


def blended(class_id: int) -> tuple[int, ...]:
    return tuple((int(a) + int(b)) // 2 for a, b in zip(SOURCE_RGB, ade20k().palette[class_id], strict=True))


def palette(class_id: int) -> tuple[int, ...]:
    return tuple(int(value) for value in ade20k().palette[class_id])


def test_the_overlay_is_on_the_screen_and_keys_work(screen: Screen, tmp_path: Path) -> None:
    with shown_window(screen, tmp_path) as process:
        assert process.stdout is not None and process.stderr is not None
        pixels = screen.pixels()
        for rgb in (blended(ROAD), blended(CAR), SOURCE_RGB):
            assert share_of(pixels, rgb) > 0.003, rgb

        screen.xdotool("key", "Tab")
        pixels = screen.wait_for(lambda pixels: share_of(pixels, palette(SKY)) > 0.03, "the mask view")
        assert share_of(pixels, SOURCE_RGB) == 0

        screen.xdotool("key", "Tab")
        screen.wait_for(lambda pixels: share_of(pixels, SOURCE_RGB) > 0.12, "the side view")

        screen.xdotool("key", "space")
        assert process.stdout.readline() == "TOGGLE_PAUSE\n"
        screen.xdotool("key", "period")
        assert process.stdout.readline() == "STEP\n"
        screen.xdotool("key", "s")
        assert process.stdout.readline() == "SCREENSHOT\n"
        saved = cv2.imread(str(tmp_path / "vidseg-shot-0001.png"))[:, :, ::-1]
        image = np.full((240, 320, 3), SOURCE_RGB, dtype=np.uint8)
        expected = OverlayRenderer(RenderOptions(view="side")).render(image, segmentation(street(240, 320)))
        assert np.array_equal(saved, expected)

        screen.xdotool("key", "Escape")
        assert process.stdout.readline() == "QUIT\n"
        assert process.wait(timeout=20) == 0
        assert process.stderr.read() == ""


def test_closing_the_window_is_quit(screen: Screen, tmp_path: Path) -> None:
    with shown_window(screen, tmp_path) as process:
        assert process.stdout is not None
        window = int(screen.xdotool("search", "--name", "^vidseg test$").split()[-1])
        ask_to_close(screen.display, window)
        assert process.stdout.readline() == "QUIT\n"
        assert process.wait(timeout=20) == 0


class ClientMessage(ctypes.Structure):
    """XClientMessageEvent of Xlib, padded to the size of XEvent."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("padding", ctypes.c_long * 24),
    )


def ask_to_close(display_name: str, window: int) -> None:
    """What a window manager does when the cross of a window is clicked."""
    xlib = ctypes.CDLL("libX11.so.6")
    xlib.XOpenDisplay.restype = ctypes.c_void_p
    xlib.XInternAtom.restype = ctypes.c_ulong
    display = ctypes.c_void_p(xlib.XOpenDisplay(display_name.encode()))
    protocols = xlib.XInternAtom(display, b"WM_PROTOCOLS", 0)
    message = ClientMessage(33, 0, 0, display, window, protocols, 32)
    message.data[0] = xlib.XInternAtom(display, b"WM_DELETE_WINDOW", 0)
    xlib.XSendEvent(display, ctypes.c_ulong(window), 0, 0, ctypes.byref(message))
    xlib.XCloseDisplay(display)
