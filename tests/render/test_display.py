from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

import vidseg.render.display as display_module
from vidseg.errors import DisplayError
from vidseg.opencv import HOW_TO_GET_WINDOWS
from vidseg.render.display import find_display, opens_windows

ROOT = Path(__file__).parents[2]
TRY_A_WINDOW = """
from vidseg.errors import DisplayError
from vidseg.render.options import RenderOptions
from vidseg.render.window import Window
try:
    Window("vidseg", RenderOptions())
except DisplayError as error:
    print(error)
"""


def try_a_window(**environment: str) -> str:
    """What a process of its own says that asks for a window; it must end well and say nothing else."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    result = subprocess.run(
        [sys.executable, "-c", TRY_A_WINDOW],
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def dead_display() -> str:
    return next(f":{n}" for n in range(900, 1000) if not Path(f"/tmp/.X11-unix/X{n}").exists())


linux = pytest.mark.skipif(sys.platform != "linux", reason="displays are named by DISPLAY on Linux")


def windowed(test):
    """A test of an OpenCV that opens windows; `make test-window` installs one."""
    return pytest.mark.window(pytest.mark.skipif(not opens_windows(), reason=f"needs {HOW_TO_GET_WINDOWS}")(test))


@pytest.fixture
def can_open_windows(monkeypatch):
    monkeypatch.setattr(display_module, "opens_windows", lambda: True)


def test_without_windows_one_line_says_how_to_get_them_before_anything_else(monkeypatch):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "\n  GUI:                           NONE\n\n  Media I/O:")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(DisplayError, match="`pip uninstall -y opencv-python-headless && pip install opencv-python`"):
        find_display()


@linux
@windowed
def test_without_a_display_there_is_one_line_and_no_abort() -> None:
    assert try_a_window() == ("--show needs a display: DISPLAY is not set; leave --show out, or write a file with -o\n")


@linux
@windowed
def test_a_display_that_nothing_answers_at_is_one_line_and_no_abort() -> None:
    display = dead_display()
    assert try_a_window(DISPLAY=display) == (
        f"--show needs a display: nothing answers at DISPLAY={display}; leave --show out, or write a file with -o\n"
    )


@linux
@windowed
def test_a_platform_without_a_screen_is_one_line_and_no_abort() -> None:
    said = try_a_window(DISPLAY=dead_display(), QT_QPA_PLATFORM="offscreen")
    assert "QT_QPA_PLATFORM=offscreen has none; unset it" in said and said.count("\n") == 1


@linux
@pytest.mark.usefixtures("can_open_windows")
def test_wayland_alone_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with pytest.raises(DisplayError, match="only WAYLAND_DISPLAY is set; start XWayland"):
        find_display()


@pytest.mark.usefixtures("can_open_windows")
@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        ("first\nImportError: libGL.so.1: cannot open\n", r"could not open a window .*libGL.so.1: cannot open\)"),
        ("", "no reason given"),
    ],
)
def test_what_keeps_opencv_from_a_window_is_said(monkeypatch: pytest.MonkeyPatch, stderr: str, message: str) -> None:
    def fails(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, stdout="", stderr=stderr)

    monkeypatch.setenv("DISPLAY", f":fails-{len(stderr)}")  # a name of its own, as answers are remembered
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.setattr(subprocess, "run", fails)
    with pytest.raises(DisplayError, match=message) as caught:
        find_display()
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("can_open_windows")
def test_a_display_that_hangs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired("python", 20)

    monkeypatch.setenv("DISPLAY", ":hangs")
    monkeypatch.setattr(subprocess, "run", hangs)
    with pytest.raises(DisplayError, match="DISPLAY=:hangs did not answer within 20 s"):
        find_display()


@pytest.mark.usefixtures("can_open_windows")
def test_the_display_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def answers(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        calls.append(1)
        return subprocess.CompletedProcess([], 0, stdout="ok 800 600", stderr="")

    monkeypatch.setenv("DISPLAY", ":once")
    monkeypatch.setattr(subprocess, "run", answers)
    assert find_display() == find_display() == (800, 600)
    assert len(calls) == 1
