"""A real window on a virtual X screen. Skipped where Xvfb or xdotool is not installed."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from tests.render.scenes import CAR, ROAD, SKY, segmentation, street
from tests.screen import Screen, needs_screen, start_until_painted
from vidseg.frames import UInt8Array
from vidseg.labels import ade20k
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import OverlayRenderer

pytestmark = needs_screen
ROOT = Path(__file__).parents[2]
SOURCE_RGB = (200, 100, 50)


@contextmanager
def shown_window(screen: Screen, folder: Path) -> Iterator[subprocess.Popen[str]]:
    processes: list[subprocess.Popen[str]] = []

    def start() -> None:
        for process in processes:
            process.kill()
        command = [sys.executable, "-m", "tests.render.show_window", str(folder)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(command, cwd=ROOT, env=screen.environment, text=True, **pipes))
        screen.wait_for_window("^vidseg test ?$")
        screen.wait_for_first_picture(lambda pixels: share_of(pixels, blended(SKY)) > 0.03)

    try:
        start_until_painted(start)
        yield processes[-1]
    finally:
        for process in processes:
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
        window = int(screen.xdotool("search", "--name", "^vidseg test ?$").split()[-1])
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
