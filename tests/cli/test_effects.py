"""Effects in a run from the command line."""

from __future__ import annotations

import numpy as np

from tests.cli.test_run import assert_one_line_error, pictures
from tests.video.clips import make_clip


def test_a_run_that_hides_all_it_knows_shows_nothing_between_cuts(cli, tmp_path, monkeypatch):
    # every frame is another scene: nothing can be carried, so with any stride every frame is segmented and hidden
    clip = make_clip(
        tmp_path / "cuts.mkv",
        size=(64, 48),
        frames=7,
        codec="ffv1",
        pix_fmt="bgr0",
        painter=lambda i, w, h: np.random.default_rng(i).integers(0, 256, (h, w, 3), dtype=np.uint8),
    )
    everything = ",".join(map(str, range(150)))
    result = cli("run", clip, "-o", "out.mkv", "--codec", "ffv1", "--blur-classes", everything, "--blur-style", "fill",
                 "--stride", 5, "--imgsz", 64, "--threads", 1)  # fmt: skip
    assert result.code == 0 and "7 segmented" in result.err, result.err
    assert all(picture.max() <= 2 for picture in pictures("out.mkv"))
    assert_one_line_error(
        cli("run", clip, "-o", "o.mkv", "--blur-classes", "car", "--stride", 2, "--propagate", "hold"), "--stride"
    )


def test_a_run_replaces_the_background(cli, tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", size=(64, 48), frames=2)
    result = cli("run", clip, "-o", "out.mkv", "--codec", "ffv1", "--foreground", "person", "--background", "0x00ff00",
                 "--imgsz", 64, "--threads", 1)  # fmt: skip
    assert result.code == 0, result.err
    assert (np.abs(pictures("out.mkv")[1].astype(int) - (0, 255, 0)).max(axis=2) <= 3).mean() > 0.8
