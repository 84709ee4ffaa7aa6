"""Pictures that move: animated WebP and PNG are videos, and in a folder of pictures one line says what is used."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.video.clips import counter_picture, make_clip, read_counter
from vidseg.errors import SourceError
from vidseg.sources.animation_source import AnimationSource
from vidseg.sources.factory import SourceKind, classify, open_source
from vidseg.sources.image_source import ImageSource, is_animated

SIZE = (64, 48)


def webp(path: Path, durations: list[int]) -> Path:
    """An animation of numbered frames, each shown for so many milliseconds."""
    animation = cv2.Animation()
    animation.frames = [
        cv2.cvtColor(counter_picture(index, *SIZE), cv2.COLOR_RGB2BGRA) for index in range(len(durations))
    ]
    animation.durations = np.array(durations, np.int32)
    good, data = cv2.imencodeanimation(".webp", animation, [cv2.IMWRITE_WEBP_QUALITY, 100])
    assert good
    path.write_bytes(np.asarray(data).tobytes())
    return path


def apng(path: Path, frames: int) -> Path:
    make_clip(path.with_suffix(".apng"), size=SIZE, frames=frames, codec="apng", pix_fmt="rgb24", container="apng")
    return path.with_suffix(".apng").rename(path)


def test_all_frames_of_an_animated_webp_come_at_their_times(tmp_path: Path) -> None:
    durations = [40, 100, 60, 40, 500]
    with open_source(str(webp(tmp_path / "a.webp", durations))) as source:
        assert (source.info.still, source.info.frame_count, source.info.duration_seconds) == (False, 5, 0.74)
        frames = list(source)
        assert source.counters == {}
    assert [read_counter(frame.image) for frame in frames] == list(range(5))
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(ms, 1000) for ms in (0, 40, 140, 200, 240)]
    assert [frame.duration for frame in frames] == durations


def test_a_long_animation_is_decoded_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidseg.sources.animation_source._BYTES_AT_ONCE", 3 * 4 * SIZE[0] * SIZE[1])
    with AnimationSource(webp(tmp_path / "a.webp", [40] * 8)) as source:
        assert [read_counter(frame.image) for frame in source] == list(range(8))


def test_an_animation_that_is_cut_off_says_so(tmp_path: Path) -> None:
    path = webp(tmp_path / "a.webp", [40] * 8)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(SourceError, match=r"a\.webp: no frame of this animation could be decoded"):
        AnimationSource(path)


def test_frames_that_cannot_be_decoded_later_on_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidseg.sources.animation_source._BYTES_AT_ONCE", 3 * 4 * SIZE[0] * SIZE[1])
    with AnimationSource(webp(tmp_path / "a.webp", [40] * 8)) as source:
        decoded = source._decoded
        monkeypatch.setattr(source, "_decoded", lambda start: decoded(start) if start < 6 else [])
        assert len(list(source)) == 6
        assert source.counters == {"truncated": 1}


def test_all_frames_of_an_animated_png_come_whatever_its_name(tmp_path: Path) -> None:
    with open_source(str(apng(tmp_path / "a.png", 12))) as source:
        assert not source.info.still
        assert [read_counter(frame.image) for frame in source] == list(range(12))


def test_a_picture_is_no_animation(tmp_path: Path) -> None:
    for ending in ("png", "webp", "jpg"):
        path = str(tmp_path / f"a.{ending}")
        cv2.imwrite(path, counter_picture(1, *SIZE))
        assert not is_animated(path)
        assert classify(path) is SourceKind.IMAGES


def test_among_other_pictures_one_line_says_that_only_the_first_picture_is_used(tmp_path: Path) -> None:
    webp(tmp_path / "b.webp", [40, 40])
    cv2.imwrite(str(tmp_path / "a.png"), counter_picture(1, *SIZE))
    with ImageSource(tmp_path) as source:
        assert len(list(source)) == 2
        (note,) = source.info.notes
        assert "b.webp is animated: only its first picture is used" in note
    with av.open(str(apng(tmp_path / "c.png", 3))) as container:
        assert container.format.name == "apng"
    with ImageSource(tmp_path) as source:
        assert "b.webp and 1 more are animated" in source.info.notes[0]


def test_an_animated_avif_gives_all_its_frames_at_their_times(tmp_path):
    path = tmp_path / "a.avif"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libsvtav1", rate=10, options={"preset": "12"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for value in range(5):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), 40 * value, np.uint8))))
        file.mux(stream.encode(None))
    with open_source(str(path)) as source:
        frames = list(source)
    assert [frame.seconds for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert [round(float(frame.image.mean()) / 40) for frame in frames] == list(range(5))
