"""`vidseg run --show` on a virtual screen: the picture is seen, keys work, the file is finished."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial

import av
import numpy as np

from tests.screen import Screen, needs_screen
from vidseg.frames import UInt8Array

pytestmark = needs_screen


def wiggle_and_see(screen: Screen, pixels: UInt8Array) -> bool:
    """Without a window manager Qt may sleep over the first picture until the pointer moves over the window."""
    screen.xdotool("mousemove", str(100 + time.monotonic_ns() % 50), "150")
    return bool((pixels > 40).any(axis=2).mean() > 0.1)


def test_the_window_shows_the_video_and_q_finishes_the_file(screen: Screen, tmp_path) -> None:
    source = "test:320x240@25,frames=inf,realtime"
    command = [sys.executable, "-m", "vidseg", "run", source, "--show", "-o", "out.mp4", "--imgsz", "64"]
    environment = screen.environment | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        screen.xdotool("search", "--sync", "--onlyvisible", "--name", "^vidseg - test")
        pixels = screen.wait_for(partial(wiggle_and_see, screen), "the video")
        screen.wait_for(lambda p: not np.array_equal(p, pixels), "the next frames")
        screen.xdotool("key", "q")
        _, err = process.communicate(timeout=30)
    except BaseException:
        process.kill()
        print(*process.communicate(timeout=20))  # seen when the test fails
        raise
    assert process.returncode == 0 and "wrote out.mp4" in err and "Traceback" not in err
    assert os.listdir(tmp_path) == ["out.mp4"]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0
