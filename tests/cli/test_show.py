"""`vidseg run --show` on a virtual screen: the picture is seen, keys work, the file is finished."""

from __future__ import annotations

import os
import subprocess
import sys

import av
import numpy as np

from tests.screen import Screen, needs_screen

pytestmark = needs_screen


def test_the_window_shows_the_video_and_q_finishes_the_file(screen: Screen, tmp_path) -> None:
    source = "test:320x240@25,frames=inf,realtime"
    command = [sys.executable, "-m", "vidseg", "run", source, "--show", "-o", "out.mp4", "--imgsz", "64"]
    environment = screen.environment | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        screen.xdotool("search", "--sync", "--onlyvisible", "--name", "^vidseg - test")
        screen.xdotool("mousemove", "100", "150")
        pixels = screen.wait_for(lambda p: (p > 40).any(axis=2).mean() > 0.1, "the video")
        screen.wait_for(lambda p: not np.array_equal(p, pixels), "the next frames")
        screen.xdotool("key", "q")
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0 and "wrote out.mp4" in err and "Traceback" not in err
    assert os.listdir(tmp_path) == ["out.mp4"]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0
