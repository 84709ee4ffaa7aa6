"""Finds out whether a window can be shown, before OpenCV is asked for one.

opencv-python-headless opens none. opencv-python ends the whole process with SIGABRT where its Qt finds no display, so
another process has to try. It takes some 0.15 s and is done once.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache

import cv2

from vidseg.errors import DisplayError
from vidseg.opencv import HOW_TO_GET_WINDOWS

_TIMEOUT_SECONDS = 20.0
_HINT = "leave --show out, or write a file with -o"
# the screen's size is asked of Xlib, which opencv-python needs anyway; OpenCV has no call for it
_PROBE = """
import ctypes, os
import cv2
cv2.namedWindow("vidseg", cv2.WINDOW_NORMAL | cv2.WINDOW_GUI_NORMAL)
size = ""
try:
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = ctypes.c_void_p(x11.XOpenDisplay(None))
    if display:
        size = f"{x11.XDisplayWidth(display, 0)} {x11.XDisplayHeight(display, 0)}"
except OSError:
    pass
os.write(1, ("ok " + size).encode())
os._exit(0)
"""


def find_display() -> tuple[int, int] | None:
    """Width and height of the screen in pixels, None where there is a screen of unknown size.

    Raises:
        DisplayError: no window can be shown; says why.
    """
    if not opens_windows():
        raise DisplayError(f"--show needs OpenCV with windows: {HOW_TO_GET_WINDOWS} installs them; or {_HINT}")
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        # the wheels of OpenCV speak X only; under Wayland XWayland sets DISPLAY
        if os.environ.get("WAYLAND_DISPLAY"):
            raise DisplayError(f"--show needs an X display: only WAYLAND_DISPLAY is set; start XWayland, or {_HINT}")
        raise DisplayError(f"--show needs a display: DISPLAY is not set; {_HINT}")
    return _probe(os.environ.get("DISPLAY"), os.environ.get("QT_QPA_PLATFORM"))


def opens_windows() -> bool:
    """Whether the installed OpenCV was built to open windows, with a display or without."""
    return re.search(r"^\s*GUI:\s*NONE", cv2.getBuildInformation(), re.M) is None


@cache
def _probe(display: str | None, platform: str | None) -> tuple[int, int] | None:
    try:
        result = subprocess.run(
            [sys.executable, "-P", "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise DisplayError(
            f"--show needs a display: DISPLAY={display} did not answer within {_TIMEOUT_SECONDS:.0f} s; {_HINT}"
        ) from None
    words = result.stdout.split()
    if result.returncode != 0 or words[:1] != ["ok"]:
        raise DisplayError(_reason(result.stderr, display, platform))
    return (int(words[1]), int(words[2])) if len(words) == 3 else None


def _reason(stderr: str, display: str | None, platform: str | None) -> str:
    """One line about why the other process could not open a window."""
    if platform:
        return f"--show needs a display: QT_QPA_PLATFORM={platform} has none; unset it, or {_HINT}"
    if "could not connect to display" in stderr:
        return f"--show needs a display: nothing answers at DISPLAY={display}; {_HINT}"
    last = next((line.strip() for line in reversed(stderr.splitlines()) if line.strip()), "no reason given")
    return f"--show needs a display: OpenCV could not open a window at DISPLAY={display} ({last}); {_HINT}"
