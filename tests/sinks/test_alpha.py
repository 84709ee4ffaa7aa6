"""Transparency survives from picture to file, and is refused where it would not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.sinks.sink_helpers import audio_packets, frame_times, make_frame, nothing_seen, video_info
from tests.video.clips import make_clip
from vidseg.errors import SinkError
from vidseg.frames import UInt8Array
from vidseg.sinks.factory import open_video_sink
from vidseg.video.encoders import EncodeOptions


def cut_out(index: int, size: tuple[int, int] = (64, 48)) -> UInt8Array:
    """A coloured picture with an opaque and a half transparent block that move."""
    width, height = size
    picture = np.zeros((height, width, 4), np.uint8)
    picture[..., 0] = np.linspace(0, 250, width)
    picture[..., 1] = np.linspace(0, 250, height)[:, None]
    picture[..., 2] = 90
    picture[8:40, 8 + index : 32 + index, 3] = 255
    picture[8:40, 32 + index : 40 + index, 3] = 128
    return picture


def decoded(path: Path) -> Iterator[UInt8Array]:
    """RGBA frames. FFmpeg's own VP9 decoder leaves transparency out, that of libvpx does not."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        vp9 = stream.codec_context.name == "vp9"
        decoder = av.CodecContext.create("libvpx-vp9", "r") if vp9 else stream.codec_context
        for packet in container.demux(stream):
            if packet.size or not vp9:
                for frame in decoder.decode(packet):
                    yield frame.to_ndarray(format="rgba")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "size", "alpha_error", "colour_error"),
    [("a.mov", (64, 48), 1, 2), ("odd.mov", (63, 47), 1, 2), ("a.webm", (64, 48), 6, 6), ("odd.webm", (63, 47), 6, 6)],
)
def test_alpha_and_colours_come_back(
    tmp_path: Path, name: str, size: tuple[int, int], alpha_error: int, colour_error: float
) -> None:
    sink = open_video_sink(tmp_path / name, video_info(*size), overwrite=False, alpha=True)
    for index in range(6):
        frame = make_frame(index, size=size)
        sink.write(frame, nothing_seen(frame), cut_out(index, size))
    sink.close()
    found = [picture[: size[1], : size[0]].astype(int) for picture in decoded(tmp_path / name)]
    assert len(found) == 6
    for index, picture in enumerate(found):
        expected = cut_out(index, size).astype(int)
        assert np.abs(picture[..., 3] - expected[..., 3]).max() <= alpha_error
        solid = expected[..., 3] > 0
        assert np.abs(picture[solid] - expected[solid]).mean() <= colour_error


@pytest.mark.parametrize("ending", ["png", "webp", "tif", "tiff"])
def test_pictures_keep_alpha(tmp_path: Path, ending: str) -> None:
    sink = open_video_sink(tmp_path / f"%02d.{ending}", video_info(), overwrite=False, alpha=True)
    frame = make_frame(3)
    sink.write(frame, nothing_seen(frame), cut_out(3))
    found = cv2.imread(str(tmp_path / f"03.{ending}"), cv2.IMREAD_UNCHANGED)
    assert found is not None
    assert np.array_equal(found[..., 3], cut_out(3)[..., 3])
    solid = cut_out(3)[..., 3] == 255
    assert np.abs(found[solid][:, 2::-1].astype(int) - cut_out(3)[solid][:, :3]).mean() < 4


def test_audio_and_times_are_kept(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=10, audio_seconds=0.4)
    info = video_info(audio_path=str(clip), has_audio=True)
    sink = open_video_sink(tmp_path / "a.mov", info, overwrite=False, alpha=True)
    for index in range(10):
        sink.write(make_frame(index), nothing_seen(make_frame(index)), cut_out(index))
    sink.close()
    assert frame_times(tmp_path / "a.mov") == frame_times(clip)
    assert [data for _, data in audio_packets(tmp_path / "a.mov")] == [data for _, data in audio_packets(clip)]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "a.mp4",
            {},
            r"cannot be written with transparency; a cut-out needs \.mov \(ProRes 4444\), \.webm \(VP9\), \.webp",
        ),
        ("a.mkv", {"codec": "ffv1"}, "cannot be written with transparency"),
        ("a.mov", {"codec": "h264"}, "codec h264 cannot be written with transparency here; leave it out"),
        ("a.mov", {"crf": 20}, "codec prores takes no crf"),
        ("a.webm", {"crf": 99}, "crf 99 is out of range"),
        ("%02d.jpg", {}, r"\.jpg does not support transparency; accepted: \.png \.webp \.tif \.tiff"),
    ],
)
def test_what_holds_no_transparency_is_refused(tmp_path: Path, name: str, options: dict, message: str) -> None:
    with pytest.raises(SinkError, match=message):
        open_video_sink(tmp_path / name, video_info(), overwrite=False, alpha=True, encode=EncodeOptions(**options))
    assert os.listdir(tmp_path) == []
