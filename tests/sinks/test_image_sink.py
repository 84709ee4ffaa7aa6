"""Pictures as files: single, numbered, or named after the source's."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.sinks.sink_helpers import make_frame, nothing_seen, video_info, write_all
from tests.video.clips import read_counter
from vidseg.errors import SinkError, WriteError
from vidseg.frames import Frame, VideoInfo
from vidseg.interfaces import Sink
from vidseg.sinks.image_sink import ImageSink


def still_info(count: int | None = None) -> VideoInfo:
    return video_info(still=True, frame_count=count)


def load(path: Path) -> np.ndarray:
    """RGB."""
    image = cv2.imread(str(path))
    assert image is not None, path
    return image[..., ::-1]


def named(*names: str) -> list[Frame]:
    return [make_frame(i, name=name) for i, name in enumerate(names)]


def put(sink: ImageSink, frame: Frame) -> None:
    sink.write(frame, nothing_seen(frame), frame.image)


def test_is_a_sink_that_needs_pictures(tmp_path: Path) -> None:
    sink = ImageSink(tmp_path / "a.png", still_info(), overwrite=False)
    assert isinstance(sink, Sink)
    assert sink.needs_picture


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "tiff", "PNG"])
def test_lossless_formats_hold_the_picture(tmp_path: Path, ending: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (31, 17, 3), dtype=np.uint8)
    frame = make_frame(0, painter=lambda *_: image)
    sink = write_all(ImageSink(tmp_path / f"a.{ending}", still_info(1), overwrite=False), [frame])
    assert np.array_equal(load(tmp_path / f"a.{ending}"), image)
    assert sink.counters == {"frames": 1}


@pytest.mark.parametrize("ending", ["jpg", "jpeg", "webp"])
def test_lossy_formats_are_close_and_not_swapped(tmp_path: Path, ending: str) -> None:
    image = np.full((32, 32, 3), (200, 100, 30), np.uint8)
    write_all(
        ImageSink(tmp_path / f"a.{ending}", still_info(1), overwrite=False),
        [make_frame(0, painter=lambda *_: image)],
    )
    assert np.abs(load(tmp_path / f"a.{ending}").astype(int) - image).max() < 6


def test_pattern_uses_the_frame_index(tmp_path: Path) -> None:
    frames = [make_frame(i) for i in (3, 4, 120)]
    write_all(ImageSink(tmp_path / "f_%05d.png", video_info(), overwrite=False), frames)
    assert sorted(os.listdir(tmp_path)) == ["f_00003.png", "f_00004.png", "f_00120.png"]
    assert read_counter(load(tmp_path / "f_00120.png")) == 120


def test_pattern_with_a_percent_sign(tmp_path: Path) -> None:
    write_all(ImageSink(tmp_path / "50%%_%d.png", video_info(), overwrite=False), [make_frame(7)])
    assert os.listdir(tmp_path) == ["50%_7.png"]


@pytest.mark.parametrize("name", ["%s.png", "%d_%d.png", "%05.png", "%.png", "%%.png"])
def test_bad_patterns(tmp_path: Path, name: str) -> None:
    with pytest.raises(SinkError, match="one number such as %05d"):
        ImageSink(tmp_path / name, video_info(), overwrite=False)


def test_folder_names_files_after_the_frames(tmp_path: Path) -> None:
    write_all(ImageSink(f"{tmp_path}/out/", still_info(), overwrite=False), named("street", "sky", "street", "Sky"))
    assert sorted(os.listdir(tmp_path / "out")) == ["Sky_1.png", "sky.png", "street.png", "street_1.png"]
    assert read_counter(load(tmp_path / "out" / "street_1.png")) == 2


def test_folder_in_another_format(tmp_path: Path) -> None:
    sink = ImageSink(tmp_path / "out", still_info(), overwrite=False, image_ending=".jpg")
    write_all(sink, named("a"))
    assert os.listdir(tmp_path / "out") == ["a.jpg"]


def test_pictures_of_different_sizes(tmp_path: Path) -> None:
    frames = [make_frame(0, size=(64, 48), name="a"), make_frame(1, size=(33, 77), name="b")]
    write_all(ImageSink(tmp_path, still_info(), overwrite=False), frames)
    assert load(tmp_path / "b.png").shape == (77, 33, 3)


def test_single_file_takes_one_picture(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"the source has 3; use a pattern such as .*a_%05d\.png"):
        ImageSink(tmp_path / "a.png", still_info(3), overwrite=False)
    sink = ImageSink(tmp_path / "a.png", video_info(), overwrite=False)
    put(sink, make_frame(0))
    with pytest.raises(WriteError, match="is a single image, but the source has more"):
        put(sink, make_frame(1))
    assert read_counter(load(tmp_path / "a.png")) == 0


def test_existing_single_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"old")
    with pytest.raises(SinkError, match="-y"):
        ImageSink(tmp_path / "a.png", still_info(1), overwrite=False)
    write_all(ImageSink(tmp_path / "a.png", still_info(1), overwrite=True), [make_frame(9)])
    assert read_counter(load(tmp_path / "a.png")) == 9


def test_existing_numbered_files(tmp_path: Path) -> None:
    (tmp_path / "f_00001.png").write_bytes(b"old")
    with pytest.raises(SinkError, match=r"f_00001\.png: exists"):
        ImageSink(tmp_path / "f_%05d.png", video_info(), overwrite=False)
    ImageSink(tmp_path / "g_%05d.png", video_info(), overwrite=False)


def test_existing_files_in_a_folder(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"old")
    with pytest.raises(SinkError, match=r"a\.png and 1 more: exists"):
        ImageSink(tmp_path, still_info(), overwrite=False)
    write_all(ImageSink(tmp_path, still_info(), overwrite=True), named("a"))
    assert (tmp_path / "b.png").read_bytes() == b"old"
    assert load(tmp_path / "a.png").shape == (48, 64, 3)


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    sink = ImageSink(tmp_path, still_info(), overwrite=False)
    (tmp_path / "a.png").write_bytes(b"of someone else")
    with pytest.raises(WriteError, match="exists"):
        put(sink, named("a")[0])
    assert (tmp_path / "a.png").read_bytes() == b"of someone else"


@pytest.mark.parametrize("overwrite", [False, True])
def test_source_pictures_are_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    (source / "a.png").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(source)
    for folder in (source, tmp_path / "link"):
        with pytest.raises(SinkError, match="folder of the input"):
            ImageSink(folder, still_info(), overwrite=overwrite, source_paths=[source / "a.png"])
    with pytest.raises(SinkError, match="the input itself"):
        ImageSink(source / "a.png", still_info(1), overwrite=overwrite, source_paths=[source / "a.png"])
    assert (source / "a.png").read_bytes() == b"precious"


def test_source_pictures_met_by_a_name_while_writing(tmp_path: Path) -> None:
    source = tmp_path / "f_1.png"
    source.write_bytes(b"precious")
    sink = ImageSink(tmp_path / "f_%d.png", video_info(), overwrite=True, source_paths=[source])
    put(sink, make_frame(0))
    with pytest.raises(WriteError, match="part of the input"):
        put(sink, make_frame(1))
    assert source.read_bytes() == b"precious"


def test_a_folder_made_for_nothing_goes_with_abort(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name in ("made", "there"):
        ImageSink(tmp_path / name, still_info(), overwrite=False).abort()
    assert os.listdir(tmp_path) == ["there"]


def test_files_are_whole_and_stay_after_abort(tmp_path: Path) -> None:
    sink = ImageSink(tmp_path, still_info(), overwrite=False)
    put(sink, named("a")[0])
    sink.abort()
    sink.abort()
    assert os.listdir(tmp_path) == ["a.png"]
    assert load(tmp_path / "a.png").shape == (48, 64, 3)


def test_folder_that_vanishes_is_a_write_error(tmp_path: Path) -> None:
    sink = ImageSink(f"{tmp_path}/out/", still_info(), overwrite=False)
    (tmp_path / "out").rmdir()
    with pytest.raises(WriteError, match=r"a\.png: cannot be written"):
        put(sink, named("a")[0])


def test_no_frame_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="no frame"):
        ImageSink(tmp_path / "a.png", still_info(), overwrite=False).close()


@pytest.mark.parametrize(
    ("path", "info", "message"),
    [
        ("a.xyz", still_info(), r"'\.xyz' is not a known image format; accepted: \.png"),
        ("no/a.png", still_info(), "does not exist; create it"),
        ("no/such/", still_info(), "does not exist; create it"),
        ("out/", video_info(), r"for a video give a file such as .*out\.mp4 or a pattern"),
    ],
)
def test_wrong_paths_fail_at_once(tmp_path: Path, path: str, info: VideoInfo, message: str) -> None:
    with pytest.raises(SinkError, match=message):
        ImageSink(f"{tmp_path}/{path}", info, overwrite=True)
    assert os.listdir(tmp_path) == []
