"""Which sink an output path gets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.sinks.sink_helpers import video_info
from vidseg.errors import SinkError
from vidseg.sinks.av_sink import AvSink
from vidseg.sinks.factory import open_video_sink
from vidseg.sinks.gif_sink import GifSink
from vidseg.sinks.image_sink import ImageSink
from vidseg.video.encoders import EncodeOptions


@pytest.mark.parametrize(
    ("path", "still", "kind"),
    [
        ("a.mp4", False, AvSink),
        ("a.MKV", False, AvSink),
        ("slides.mp4", True, AvSink),
        ("a.gif", True, GifSink),
        ("a.webp", False, AvSink),
        ("a.webp", True, ImageSink),
        ("f_%04d.webp", False, ImageSink),
        ("a.png", True, ImageSink),
        ("f_%04d.jpg", False, ImageSink),
        ("out/", True, ImageSink),
        ("out", True, ImageSink),
    ],
)
def test_path_chooses_the_sink(tmp_path: Path, path: str, still: bool, kind: type) -> None:
    sink = open_video_sink(f"{tmp_path}/{path}", video_info(still=still), overwrite=False)
    assert type(sink) is kind
    sink.abort()


def test_a_virtual_camera_is_fed_through_a_pipe() -> None:
    with pytest.raises(SinkError, match=r"/dev/video10: .* -o - --format nut \| ffmpeg -i - -f v4l2 /dev/video10$"):
        open_video_sink("/dev/video10", video_info(), overwrite=False)


def test_what_is_no_file_gets_the_advice_to_use_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in ("/dev/null", f"{tmp_path}/pipe.mp4"):
        with pytest.raises(SinkError, match=r": is a pipe or device, .*; give a file name; -o - sends the video"):
            open_video_sink(path, video_info(), overwrite=True)


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("a.xyz", {}, r"'\.xyz' is not a known format; video: \.mp4.*images: \.png.*folder/"),
        ("out", {}, "has no file ending"),
        ("out/", {}, "suits images"),
        ("f_%d.png", {"codec": "h264"}, "codec does not apply to images"),
        ("f_%d.png", {"crf": 3}, "crf does not apply to images"),
        ("a.mp4", {"crf": 99}, "crf 99"),
    ],
)
def test_refusals_leave_nothing(tmp_path: Path, path: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(SinkError, match=message):
        open_video_sink(f"{tmp_path}/{path}", video_info(), overwrite=False, encode=EncodeOptions(**options))  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == []
