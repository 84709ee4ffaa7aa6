"""The screen as a source."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.screen import run_screen
from vidseg.errors import ConfigError, SourceError
from vidseg.sources.factory import SourceKind, classify, open_source
from vidseg.sources.screen_source import ScreenSource

needs_xvfb = pytest.mark.skipif(not shutil.which("Xvfb"), reason="needs Xvfb")


@pytest.fixture
def display(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An 800x600 screen with nothing on it but the pointer, in the middle."""
    for screen in run_screen(tmp_path):
        monkeypatch.setenv("DISPLAY", screen.display)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        yield screen


@needs_xvfb
def test_the_screen_and_parts_of_it_come_live_at_their_times(display) -> None:
    with open_source("screen", camera_rate=20) as source:
        assert (source.info.width, source.info.height, source.info.live) == (800, 600, True)
        frames = list(islice(source, 3))
    assert [frame.index for frame in frames] == [0, 1, 2] and frames[0].seconds == 0
    assert 0.03 < frames[1].seconds < frames[2].seconds
    rows, columns = np.nonzero(frames[0].image.any(axis=2))
    assert rows.size and columns.min() > 350 and rows.min() > 250, "the pointer alone"
    left, top = int(columns.min()) - 7, int(rows.min()) - 5
    with open_source(f"screen:0,64x48+{left}+{top}") as source:
        part = next(iter(source)).image
    assert part.shape == (48, 64, 3)
    assert (part == frames[0].image[top : top + 48, left : left + 64]).all()


@needs_xvfb
def test_a_part_outside_and_a_screen_that_is_not_there_are_told(display) -> None:
    for spec in ("screen:64x48+790+0", "screen:3"):
        with pytest.raises(SourceError, match=f"{spec.replace('+', '.')}: cannot be captured"):
            open_source(spec)


@pytest.mark.parametrize(
    ("environment", "message"),
    [({}, "DISPLAY is not set"), ({"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"}, "Wayland does not let programs")],
)
def test_without_an_x_session_one_line_says_so(environment, message) -> None:
    with pytest.raises(SourceError, match=message):
        ScreenSource("screen", environment=environment, platform="linux")


def test_what_is_meant_for_a_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert classify("screen") is classify("screen:1,64x48+0+0") is SourceKind.CAMERA
    Path("screen").write_bytes(b"")
    assert classify("screen") is SourceKind.FILE
    with pytest.raises(ConfigError, match=r"screen:big: accepted: screen, screen:1"):
        open_source("screen:big")
    with pytest.raises(ConfigError, match="--camera-size"):
        open_source("screen:1", camera_size=(64, 48))
