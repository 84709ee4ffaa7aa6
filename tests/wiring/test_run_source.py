"""The source of a run, with a camera made of a filter graph and servers that are not there."""

from fractions import Fraction

import pytest

from tests.sources.graph_camera import plug_in
from tests.video.clips import make_clip
from vidseg.config import RunConfig
from vidseg.errors import ConfigError, SourceError
from vidseg.frames import VideoInfo
from vidseg.pipeline.reconnecting import ReconnectingSource
from vidseg.sources.av_source import AvSource
from vidseg.sources.camera_source import CameraSource
from vidseg.sources.pattern_source import PatternSource
from vidseg.wiring import run_source
from vidseg.wiring.frame_policy import pipeline_options
from vidseg.wiring.run_source import Announcements, open_run_source

INFO = VideoInfo(64, 48, Fraction(1, 25), live=True)


def opened(source, said=None, **options):
    config = RunConfig(source=str(source), **options)
    return open_run_source(config, Announcements(), (said if said is not None else []).append)


def test_files_and_patterns_are_read_as_they_are_and_cameras_come_back(tmp_path, monkeypatch):
    camera = plug_in(monkeypatch, "testsrc=size=64x48:rate=25")
    clip = make_clip(tmp_path / "clip.mp4", frames=2)
    for spec, options, kind in (
        (clip, {}, AvSource),
        (clip, {"reconnect": "always"}, AvSource),
        ("test:64x48@25,realtime", {}, PatternSource),
        (camera, {}, ReconnectingSource),
        (camera, {"reconnect": "3"}, ReconnectingSource),
        (camera, {"reconnect": "0"}, CameraSource),
    ):
        source = opened(spec, **options)
        source.close()
        assert type(source) is kind


def test_options_reach_the_camera(monkeypatch):
    asked = {}

    def fake(spec, **options):
        asked.update(options)
        raise SourceError("none")

    monkeypatch.setattr(run_source, "open_source", fake)
    with pytest.raises(SourceError):
        opened("cam3", camera_size="1280x720", camera_fps=30.0, camera_format="yuyv", timeout=4.0)
    assert (asked["camera_size"], asked["camera_rate"], asked["camera_format"]) == ((1280, 720), 30.0, "yuyv")
    assert asked["open_timeout"] == asked["read_timeout"] == 4.0


@pytest.mark.parametrize("option", [{"camera_size": "64x48"}, {"camera_fps": 5.0}, {"camera_format": "yuyv"}])
def test_camera_options_without_a_camera_are_refused(option):
    with pytest.raises(ConfigError, match=r"--camera-\w+ is for cameras"):
        opened("clip.mp4", **option)


def test_a_first_connection_that_fails_ends_it_unless_it_is_to_be_waited_for(monkeypatch):
    camera = plug_in(monkeypatch, "testsrc=size=64x48:rate=25")
    tries = []

    def fake(spec, **options):
        tries.append(spec)
        if len(tries) == 1:
            raise SourceError("cam0: refused")
        return CameraSource(camera)

    monkeypatch.setattr(run_source, "open_source", fake)
    with pytest.raises(SourceError, match=r"^cam0: refused$"):
        opened("cam0")
    tries.clear()
    said = []
    opened("cam0", said, reconnect="always").close()
    assert len(tries) == 2 and said == ["cam0: refused; trying again"]


@pytest.mark.parametrize(
    ("options", "plain"),
    [
        ({}, False),
        ({"highlight": ("person",)}, False),
        ({"blur_classes": ("person",)}, True),
        ({"background": "#00ff00", "foreground": ("person",)}, True),
        ({"matte": ("person",)}, True),
    ],
)
def test_the_card_holds_no_picture_where_parts_of_it_are_taken_away(monkeypatch, options, plain):
    seen = []
    monkeypatch.setattr(run_source, "offline_card", lambda picture, text, plain: seen.append(plain) or picture)
    source = opened(plug_in(monkeypatch, "testsrc=size=64x48:rate=50:duration=0.1"), **options)
    next(frame for frame in source if frame.placeholder)
    source.close()
    assert seen[0] is plain


@pytest.mark.parametrize(
    ("live", "options", "stride"),
    [
        (True, {"show": True}, "auto"),
        (True, {"show": True, "stride": 3}, 3),
        (True, {}, 1),
        (True, {"output": "a.mp4"}, 1),
        (True, {"output": "rtmp://server/live/name"}, "auto"),
        (True, {"output": "rtmp://server/live/name", "blur_classes": ("person",)}, 1),
        (True, {"stride": "auto"}, "auto"),
        (False, {"show": True}, 1),
        (False, {"stride": "auto"}, 1),
    ],
)
def test_inference_adapts_to_the_machine_where_a_live_source_is_watched_or_it_is_asked_for(live, options, stride):
    info = VideoInfo(64, 48, Fraction(1, 25), live=live)
    assert pipeline_options(RunConfig(source="x", **options), info, 1).stride == stride


def test_the_other_live_options_reach_the_pipeline():
    config = RunConfig(source="x", live="every-frame", infer_fps=5.0, max_staleness=0.2)
    options = pipeline_options(config, INFO, 1)
    assert (options.keeps, options.infer_fps, options.max_staleness) == ("every-frame", 5.0, 0.2)


def test_announcements_are_printed_once_and_in_order():
    announcements, said = Announcements(), []
    for text in ("a", "b"):
        announcements(text)
    announcements.print(said.append)
    announcements.print(said.append)
    assert said == ["a", "b"]
