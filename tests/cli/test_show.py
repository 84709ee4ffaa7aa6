"""`vidseg run --show` on a virtual screen: the picture is seen, keys work, the file is finished."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from functools import partial

import av
import numpy as np
import pytest

from tests.screen import Screen, needs_screen, start_until_painted
from tests.video.clips import make_clip
from vidseg.frames import UInt8Array

pytestmark = needs_screen


def shows_something(pixels: UInt8Array) -> bool:
    return bool((pixels > 40).any(axis=2).mean() > 0.1)


ENDLESS = "test:320x240@25,frames=inf,realtime"


@pytest.mark.parametrize("sources", [(ENDLESS,), (ENDLESS, "test:160x120@10,frames=inf")])
def test_the_window_shows_the_video_and_q_finishes_the_file(screen: Screen, tmp_path, sources) -> None:
    attempts = itertools.count()

    def start() -> None:
        folder = tmp_path / str(next(attempts))
        folder.mkdir()
        watch_and_quit(screen, folder, *sources)

    start_until_painted(start)


def watch_and_quit(screen: Screen, tmp_path, *sources: str) -> None:
    command = [sys.executable, "-m", "vidseg", "run", *sources, "--show", "-o", "out.mp4", "--imgsz", "64"]
    environment = screen.environment | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        screen.wait_for_window("^vidseg - test")
        pixels = screen.wait_for_first_picture(shows_something)
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


def test_the_window_shows_saved_masks_to_the_end(screen: Screen, tmp_path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", size=(320, 240), frames=20, rate=5)
    masks = make_clip(tmp_path / "masks.mkv", size=(320, 240), frames=20, rate=5, codec="ffv1", pix_fmt="gray")
    command = [sys.executable, "-m", "vidseg", "render", str(clip), str(masks), "--show", "--opacity", "1"]
    start_until_painted(partial(watch_to_the_end, screen, command))


def watch_to_the_end(screen: Screen, command: list[str]) -> None:
    process = subprocess.Popen(command, env=screen.environment, stderr=subprocess.PIPE, text=True)
    try:
        screen.wait_for_window("^vidseg - .*clip.mp4")
        screen.wait_for_first_picture(shows_something)
        _, err = process.communicate(timeout=30)
    except BaseException:
        process.kill()
        print(*process.communicate(timeout=20))  # seen when the test fails
        raise
    assert process.returncode == 0 and "20 frames" in err and "Traceback" not in err
