"""Recording at a viewer's wish."""

from __future__ import annotations

import os
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.fakes import frame
from tests.limits import file_size_limit
from vidseg.errors import ConfigError, WriteError
from vidseg.frames import Segmentation, VideoInfo
from vidseg.pipeline.options import Result
from vidseg.render.options import RenderOptions
from vidseg.sinks.av_sink import AvSink
from vidseg.viewers.recorder import Recorder

INFO = VideoInfo(32, 16, frame(0).time_base, Fraction(30), live=True)


def result(index: int) -> Result:
    item = frame(index, size_hw=(16, 32))
    return Result(item, Segmentation(np.zeros(item.size_hw, np.uint8), index))


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def recorder(tmp_path, said) -> Recorder:
    return Recorder(tmp_path / "rec", INFO, say=said.append, stamp=lambda: "now")


def size_and_frames(path: str) -> tuple[int, int, int]:
    with av.open(path) as container:
        pictures = list(container.decode(video=0))
    assert pictures[0].pts == 0
    return pictures[0].width, pictures[0].height, len(pictures)


def test_what_comes_between_start_and_stop_is_recorded_and_nothing_else(recorder, tmp_path, said):
    recorder.offer(result(0))
    assert not os.listdir(tmp_path)
    recorder.start(RenderOptions(view="side"))
    for index in range(1, 7):
        recorder.offer(result(index))
    assert recorder.status() | {"seconds": 0} == {
        "available": True,
        "state": "on",
        "name": "vidseg-now.mp4",
        "seconds": 0,
        "files": [],
        "message": "",
    }
    assert recorder.status()["seconds"] == pytest.approx(5 / 30)
    recorder.stop()
    recorder.end_unwanted()
    recorder.offer(result(7))
    assert recorder.files == [str(tmp_path / "rec" / "vidseg-now.mp4")] and said == [f"recorded {recorder.files[0]}"]
    assert size_and_frames(recorder.files[0]) == (64, 16, 6)
    assert recorder.status()["message"] == "saved vidseg-now.mp4"


def test_a_second_recording_never_replaces_the_first(recorder, tmp_path):
    for index in range(3):
        recorder.start(RenderOptions())
        recorder.offer(result(index))
        recorder.stop()  # and the next start comes before anybody settled
    recorder.finish()
    assert sorted(os.listdir(tmp_path / "rec")) == ["vidseg-now-2.mp4", "vidseg-now-3.mp4", "vidseg-now.mp4"]


def test_the_end_of_the_run_finishes_the_file(recorder):
    recorder.start(RenderOptions())
    recorder.offer(result(0))
    recorder.finish()
    assert size_and_frames(recorder.files[0])[2] == 1
    assert recorder.status()["available"] is False
    with pytest.raises(ValueError, match="ended"):
        recorder.start(RenderOptions())


def test_a_start_without_a_frame_leaves_nothing(recorder, tmp_path):
    recorder.start(RenderOptions())
    recorder.finish()
    assert recorder.files == [] and not os.listdir(tmp_path)


def test_a_recording_that_fails_is_given_up_and_said(recorder, tmp_path, said, monkeypatch):
    recorder.start(RenderOptions())
    recorder.offer(result(0))

    def full(*_):
        raise WriteError("disk full")

    monkeypatch.setattr(AvSink, "write", full)
    recorder.offer(result(1))
    assert said == ["recording failed: disk full"] and recorder.status()["state"] == "off"
    assert os.listdir(tmp_path / "rec") == [] and recorder.files == []
    monkeypatch.undo()
    recorder.start(RenderOptions())
    recorder.offer(result(2))
    recorder.finish()
    assert len(recorder.files) == 1


def test_a_full_disk_ends_a_recording_which_keeps_its_name(recorder, tmp_path, said):
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    recorder.start(RenderOptions(opacity=0))
    with file_size_limit(300_000):
        for index in range(200):
            item = frame(index, size_hw=noise.shape[:2])
            item.image[:] = np.roll(noise, 7 * index, 1)
            recorder.offer(Result(item, Segmentation(np.zeros(item.size_hw, np.uint8), index)))
            if said:
                break
    assert recorder.files == [str(tmp_path / "rec" / "vidseg-now.mp4")] and recorder.failures == said
    assert "recording failed: " in said[0] and ", ends at 0:0" in said[0] and recorder.status()["state"] == "off"
    width, height, count = size_and_frames(recorder.files[0])
    assert (width, height) == (160, 120) and count >= 30
    recorder.finish()


def test_without_a_folder_nothing_is_recorded():
    recorder = Recorder(None, INFO, say=print)
    with pytest.raises(ValueError, match="--record-dir DIR"):
        recorder.start(RenderOptions())
    assert recorder.status()["available"] is False


def test_a_folder_that_cannot_be_one_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file; give a folder"):
        Recorder(tmp_path / "file", INFO, say=print)
    with pytest.raises(ConfigError, match="does not exist; create it first"):
        Recorder(tmp_path / "no" / "rec", INFO, say=print)


def test_viewers_are_not_told_in_which_folder_a_recording_failed(recorder, tmp_path, said, monkeypatch):
    recorder.start(RenderOptions())
    recorder.offer(result(0))
    path = tmp_path / "rec" / "vidseg-now.mp4"

    def full(*_):
        raise WriteError(f"{path}: no space left")

    monkeypatch.setattr(AvSink, "write", full)
    recorder.offer(result(1))
    assert str(path) in said[-1]
    message = recorder.status()["message"]
    assert "vidseg-now.mp4: no space left" in message and str(tmp_path) not in message
