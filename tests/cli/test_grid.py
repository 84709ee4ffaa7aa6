"""`vidseg run` with several sources: the grid it writes, what it counts, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import closing
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.cli.test_signals import started, wait_for
from tests.sources.graph_camera import plug_in
from tests.sources.strip import read_strip
from tests.video.clips import counter_picture, make_clip
from vidseg.app.grid import open_grid
from vidseg.config import RunConfig
from vidseg.render.grid import TiledPainter
from vidseg.wiring.run_source import Announcements

SMALL = ("--imgsz", 64, "--threads", 1)
SIZE_HW = (96, 128)
GRID = ("--grid", "-o", "out.mp4")


def pictures(path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [item.to_ndarray(format="rgb24") for item in container.decode(video=0)]


def times(path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(item.pts * item.time_base) for item in container.decode(video=0)]


def tile(picture: np.ndarray, painter: TiledPainter, number: int) -> np.ndarray:
    top, left, bottom, right = painter.tile_box(number, SIZE_HW)
    return picture[top:bottom, left:right]


@pytest.fixture
def pattern_clip(tmp_path) -> Path:
    return make_clip(tmp_path / "clip.mp4", size=SIZE_HW[::-1], frames=10, rate=20)


def test_three_sources_become_one_video_with_a_tile_for_each(cli, pattern_clip):
    sources = ("test:128x96@20,frames=30", pattern_clip, "test:128x96@10,frames=6")
    result = cli("run", *sources, "-o", "grid.mp4", "--stats", "s.json", "--opacity", 0, "--crf", 4, *SMALL)
    assert result.code == 0, result.err
    painter = TiledPainter(["a", "b", "c"], [SIZE_HW] * 3)
    seen = pictures("grid.mp4")
    assert all(picture.shape == (*painter.size_hw, 3) for picture in seen)
    numbers = [read_strip(tile(picture, painter, 0)) for picture in seen]
    assert numbers == sorted(numbers) and numbers[-1] == 29, "the longest plays to its end"
    slow = [read_strip(tile(picture, painter, 2)) for picture in seen[: seen_before_end(seen, painter, 2)]]
    assert slow == sorted(slow) and slow[0] == 0 and slow[-1] == 5 and len(slow) < len(seen)
    first = counter_picture(0, SIZE_HW[1], SIZE_HW[0])
    assert np.abs(tile(seen[0], painter, 1).astype(int) - first).mean() < 12
    assert tile(seen[-1], painter, 1).mean() < tile(seen[0], painter, 1).mean(), "darkened: it has ended"
    # the moments are those of the fastest source
    steps = np.array(times("grid.mp4")) * 20
    assert steps[0] == 0 and np.allclose(steps, np.round(steps), atol=0.05) and (np.diff(steps) > 0.9).all()

    stats = json.loads(Path("s.json").read_text())
    assert [stream["decoded"] for stream in stats["streams"]] == [30, 10, 6]
    for stream in stats["streams"]:
        parts = ("shown", "dropped", "passed_over", "discarded")
        assert stream["decoded"] == sum(stream[part] for part in parts)
        assert stream["inferred"] >= 1 and stream["broken"] is None
        assert f"{stream['name']}: {stream['decoded']} frames in, {stream['shown']} shown" in result.err
    assert stats["inferred"] == sum(stream["inferred"] for stream in stats["streams"])
    assert stats["delivered"] == len(seen)


def seen_before_end(seen: list[np.ndarray], painter: TiledPainter, number: int) -> int:
    """How many pictures come before the tile is the card of a stream that has ended."""
    coloured = [np.ptp(tile(picture, painter, number), axis=2).mean() > 20 for picture in seen]
    return coloured.index(False) if False in coloured else len(coloured)


def test_masks_of_the_grid_have_labels_in_the_tiles_only(cli):
    sources = ("test:128x96@10,frames=4", "test:128x96@10,frames=4")
    result = cli("run", *sources, "--save-masks", "masks/", "--max-fps", 5, *SMALL)
    assert result.code == 0, result.err
    painter = TiledPainter(["a", "b"], [SIZE_HW] * 2)
    masks = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(Path("masks").glob("*.png"))]
    assert masks and all(mask.shape == painter.size_hw for mask in masks)
    for number in range(2):
        assert (tile(masks[0], painter, number) < 150).all()
    outside = masks[0].copy()
    for number in range(2):
        tile(outside, painter, number)[:] = 255
    assert (outside == 255).all()


def test_one_source_is_no_grid(cli, clip):
    assert cli("run", clip, "-o", "out.mp4", *SMALL).code == 0
    assert pictures("out.mp4")[0].shape == (48, 64, 3)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_stream_that_is_not_there_holds_up_nobody(cli):
    away = f"rtsp://user:secret@127.0.0.1:{closed_port()}/x"
    words = ("-o", "grid.mp4", "--limit", 20, "--stats", "s.json", "--opacity", 0, *SMALL)
    result = cli("run", away, "test:128x96@30,frames=inf", *words)
    assert result.code == 0, result.err
    assert "trying again" in result.err and "no frame arrived" in result.err and "secret" not in result.err
    painter = TiledPainter(["a", "b"], [SIZE_HW] * 2)
    numbers = [read_strip(tile(picture, painter, 1)) for picture in pictures("grid.mp4")]
    assert len(numbers) == 20 and numbers[0] < 15 and numbers == sorted(numbers)  # 0, unless the machine is busy
    dead, alive = json.loads(Path("s.json").read_text())["streams"]
    assert dead["decoded"] == 0 and alive["shown"] == len(set(numbers))


def test_a_grid_of_files_that_is_watched_is_not_called_live(pattern_clip):
    for other, live in ((str(pattern_clip), False), ("test:128x96@10,realtime", True)):
        config = RunConfig(source=str(pattern_clip), more_sources=(other,), show=True)
        with closing(open_grid(config, Announcements(), print, hidden=False)) as grid:
            assert grid.info.live, "the newest frame of each"
            assert grid.info.has_latency is live


def test_a_camera_beside_a_file_is_seen_as_it_comes(cli, monkeypatch):
    camera = plug_in(monkeypatch, "testsrc=size=128x96:rate=20")
    words = ("-o", "grid.mp4", "--stats", "s.json", "--limit", 40, "--opacity", 0, *SMALL)
    result = cli("run", camera, "test:128x96@10,frames=5", *words)
    assert result.code == 0, result.err
    first, second = json.loads(Path("s.json").read_text())["streams"]
    assert first["shown"] >= 1 and first["inferred"] >= 1 and 1 <= second["shown"] <= second["decoded"] <= 5
    painter = TiledPainter(["a", "b"], [SIZE_HW] * 2)
    seen = pictures("grid.mp4")
    assert len(seen) == 40 and np.ptp(tile(seen[-1], painter, 0), axis=2).mean() > 20, "in colour: no card"


def test_a_stream_that_is_given_up_is_told_at_the_end(cli):
    away = f"rtsp://127.0.0.1:{closed_port()}/x"
    words = ("-o", "grid.mp4", "--reconnect", 0, *SMALL)
    result = cli("run", away, "test:128x96@10,frames=5", *words)
    assert result.code == 1, result.err
    assert "the other streams continued" in result.err and "given up" in result.err and "wrote grid.mp4" in result.err


def test_where_no_stream_can_be_had_it_is_an_error(cli):
    streams = [f"rtsp://127.0.0.1:{closed_port()}/{name}" for name in "ab"]
    result = cli("run", *streams, "-o", "grid.mp4", *SMALL)
    assert result.code == 2 and not os.path.exists("grid.mp4")
    assert result.err.splitlines()[-1].startswith("vidseg: error: rtsp://127.0.0.1")


def test_passwords_stay_out_of_the_stats(cli):
    away = f"rtsp://user:secret@127.0.0.1:{closed_port()}/x"
    assert cli("run", "test:128x96@10,frames=3", away, "--stats", "s.json", "--limit", 3, *SMALL).code == 0
    text = Path("s.json").read_text()
    assert "secret" not in text and "127.0.0.1" in text


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (
            ("a.mp4", "b.mp4", *GRID, "--resume"),
            ("--resume", "2 sources are given", "leave it out"),
        ),
        (
            ("a.mp4", "b.mp4", *GRID, "--workers", 2),
            ("--workers", "2 sources are given", "leave it out"),
        ),
        (("a.mp4", "b.mp4", "--grid", "--save-json", "d.jsonl"), ("--save-json", "each source on its own")),
        (("a.mp4", "b.mp4", "--grid", "--save-csv", "d.csv"), ("--save-csv", "each source on its own")),
        (("a.mp4", "b.mp4", "--grid", "--save-parquet", "d.parquet"), ("--save-parquet", "each source on its own")),
        (
            ("a.mp4", "b.mp4", *GRID, "--live", "every-frame"),
            ("--live every-frame", "newest frame of each"),
        ),
        (
            ("a.mp4", "b.jpg", "--grid", "-o", "out.mp4"),
            ("b.jpg", "images cannot be shown beside other sources", "vidseg batch"),
        ),
        (("a.mp4", "b.mp4", *GRID, "--camera-size", "64x48"), ("--camera-size is for cameras",)),
        (("a.mp4", "b.mp4", "--grid", "-o", "out.mp4"), ("a.mp4: no such file",)),
        (("test:64x48,frames=2", "b.mp4", "-o", "out.mp4"), ("b.mp4: no such file",)),
        (("test", "test:64x48", "--grid"), ("nothing to do; give -o FILE",)),
        (("a.mp4", "--grid", "-o", "out.mp4"), ("--grid", "more than one")),
        ((*("test" for _ in range(37)), "-o", "out.mp4"), ("37 sources", "at most 36")),
    ],
)
def test_what_does_not_go_with_several_sources_is_told_in_one_line(cli, words, texts):
    result = cli("run", *words)
    assert result.code == 2 and result.out == ""
    assert result.err.startswith("vidseg: error: ") and result.err.count("\n") == 1, result.err
    for text in texts:
        assert text in result.err
    assert not os.path.exists("out.mp4")


def test_a_config_file_can_name_all_sources_and_the_command_line_replaces_them(cli):
    Path("c.yaml").write_text(
        "source: test:128x96@10,frames=3\nmore_sources: ['test:128x96@10,frames=3', 'test:128x96@10,frames=3']\n"
    )
    assert cli("run", "-c", "c.yaml", "-o", "three.mp4", *SMALL).code == 0
    assert pictures("three.mp4")[0].shape[:2] == TiledPainter(["a"] * 3, [SIZE_HW] * 3).size_hw
    assert cli("run", "test:64x48,frames=2", "-c", "c.yaml", "-o", "one.mp4", *SMALL).code == 0
    assert pictures("one.mp4")[0].shape == (48, 64, 3)


def test_ctrl_c_finishes_the_recording_of_a_grid(tmp_path):
    endless = "test:128x96@20,frames=inf"
    silent = f"rtsp://127.0.0.1:{closed_port()}/x"
    with started(tmp_path, endless, silent, "-o", "out.mkv", "--codec", "mjpeg") as process:
        wait_for(tmp_path / "out.mkv.part", 2000, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "finishing" in err and "Traceback" not in err, err
    assert os.listdir(tmp_path) == ["out.mkv"] and len(pictures(tmp_path / "out.mkv")) > 0


def test_files_that_nobody_watches_keep_every_frame_at_its_time(cli, tmp_path):
    first = make_clip(tmp_path / "first.mp4", size=SIZE_HW[::-1], frames=50)
    second = make_clip(tmp_path / "second.mp4", size=SIZE_HW[::-1], frames=50, pts=range(3600, 3600 + 2000, 40))
    result = cli("run", first, second, "--grid", "-o", "grid.mp4", "--stats", "s.json", *SMALL)
    assert result.code == 0, result.err
    assert times("grid.mp4") == [number / 25 for number in range(50)]
    for stream in json.loads(Path("s.json").read_text())["streams"]:
        assert (stream["decoded"], stream["shown"], stream["inferred"]) == (50, 50, 50)
        assert stream["dropped"] == stream["passed_over"] == 0
