"""Label maps come back from their PNGs as they were."""

from __future__ import annotations

import errno
import os
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidseg.errors import SinkError, WriteError
from vidseg.frames import Frame, Segmentation
from vidseg.interfaces import Sink
from vidseg.sinks.records.label_maps import LabelMapSink


def frame(index: int, name: str | None = None) -> Frame:
    return Frame(np.zeros((4, 6, 3), np.uint8), index, index, Fraction(1, 25), name=name)


def seen(seed: int = 0, size_hw: tuple[int, int] = (4, 6)) -> Segmentation:
    return Segmentation(np.random.default_rng(seed).integers(0, 256, size_hw, dtype=np.uint8), seed)


def load(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return image


def test_is_a_sink_that_needs_no_picture(tmp_path: Path) -> None:
    sink = LabelMapSink(tmp_path / "masks", overwrite=False)
    assert isinstance(sink, Sink)
    assert not sink.needs_picture


def test_every_value_comes_back_in_one_channel(tmp_path: Path) -> None:
    every = np.arange(256, dtype=np.uint8).reshape(8, 32)
    sink = LabelMapSink(tmp_path / "masks", overwrite=False)
    sink.write(frame(3), Segmentation(every, 3), None)
    sink.close()
    path = tmp_path / "masks" / "000003.png"
    assert np.array_equal(load(path), every)
    assert load(path).dtype == np.uint8
    # IHDR: bit depth 8, colour type 0 (grey)
    assert path.read_bytes()[24:26] == bytes([8, 0])


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (77, 33), (480, 640)])
def test_noise_regions_and_odd_sizes(tmp_path: Path, shape: tuple[int, int]) -> None:
    sink = LabelMapSink(tmp_path, overwrite=False)
    regions = np.add.outer(np.arange(shape[0]) // 9, np.arange(shape[1]) // 7).astype(np.uint8)
    sink.write(frame(0), seen(1, shape), None)
    sink.write(frame(1), Segmentation(regions, 1), None)
    assert np.array_equal(load(tmp_path / "000000.png"), seen(1, shape).label_map)
    assert np.array_equal(load(tmp_path / "000001.png"), regions)


def test_map_that_is_a_view(tmp_path: Path) -> None:
    whole = np.arange(200, dtype=np.uint8).reshape(10, 20)
    sink = LabelMapSink(tmp_path, overwrite=False)
    sink.write(frame(0), Segmentation(whole[::2, ::-1], 0), None)
    assert np.array_equal(load(tmp_path / "000000.png"), whole[::2, ::-1])


def test_pictures_give_their_names_and_videos_the_index(tmp_path: Path) -> None:
    sink = LabelMapSink(tmp_path, overwrite=False)
    for index, name in enumerate(["street", "street", None, "sky.v2"]):
        sink.write(frame(index, name), seen(index), None)
    assert sorted(os.listdir(tmp_path)) == ["000002.png", "sky.v2.png", "street.png", "street_1.png"]
    assert np.array_equal(load(tmp_path / "street_1.png"), seen(1).label_map)
    assert sink.counters == {"frames": 4}


def test_folder_with_pngs_is_refused_without_overwrite(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"old")
    with pytest.raises(SinkError, match="contains 1 PNG files; overwrite with -y"):
        LabelMapSink(tmp_path, overwrite=False)
    sink = LabelMapSink(tmp_path, overwrite=True)
    sink.write(frame(0, "x"), seen(), None)
    assert np.array_equal(load(tmp_path / "x.png"), seen().label_map)


def test_other_files_do_not_matter_and_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    sink = LabelMapSink(tmp_path, overwrite=False)
    sink.write(frame(0), seen(), None)
    assert sorted(os.listdir(tmp_path)) == ["000000.png", "notes.txt"]


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    sink = LabelMapSink(tmp_path, overwrite=False)
    (tmp_path / "000000.png").write_bytes(b"of someone else")
    with pytest.raises(WriteError, match="exists"):
        sink.write(frame(0), seen(), None)
    assert (tmp_path / "000000.png").read_bytes() == b"of someone else"


def test_abort_keeps_whole_files_and_a_failed_one_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = LabelMapSink(tmp_path, overwrite=False)
    sink.write(frame(0), seen(), None)

    def full(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(WriteError, match=r"000001\.png: disk full"):
        sink.write(frame(1), seen(), None)
    sink.abort()
    sink.abort()
    assert os.listdir(tmp_path) == ["000000.png"]
    assert np.array_equal(load(tmp_path / "000000.png"), seen().label_map)


def test_no_frames_is_an_empty_folder(tmp_path: Path) -> None:
    LabelMapSink(tmp_path / "masks", overwrite=False).close()
    assert os.listdir(tmp_path / "masks") == []


def test_impossible_places(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SinkError, match="is a file; give a folder"):
        LabelMapSink(tmp_path / "file", overwrite=True)
    with pytest.raises(SinkError, match="does not exist; create it"):
        LabelMapSink(tmp_path / "no" / "masks", overwrite=True)
    with pytest.raises(SinkError, match="is not a folder"):
        LabelMapSink(tmp_path / "file" / "masks", overwrite=True)


def test_a_table_says_which_frame_each_belongs_to_while_the_run_goes_on(tmp_path: Path) -> None:
    sink = LabelMapSink(tmp_path / "m", overwrite=False, times=True)
    for index in (0, 3):
        sink.write(frame(index), seen(index), None)
        assert len((tmp_path / "m" / "frames.csv.part").read_text().splitlines()) == sink.counters["frames"] + 1
    sink.close()
    assert (tmp_path / "m" / "frames.csv").read_text().splitlines() == [
        "frame,pts,time_base,seconds,file",
        "0,0,1/25,0.000000,000000.png",
        "3,3,1/25,0.120000,000003.png",
    ]
    assert sorted(os.listdir(tmp_path / "m")) == ["000000.png", "000003.png", "frames.csv"]


def test_a_table_that_is_there_is_replaced_only_when_allowed(tmp_path: Path) -> None:
    (tmp_path / "frames.csv").write_text("mine")
    with pytest.raises(SinkError, match=r"frames\.csv: exists; overwrite it with -y"):
        LabelMapSink(tmp_path, overwrite=False, times=True)
    assert os.listdir(tmp_path) == ["frames.csv"]
    LabelMapSink(tmp_path, overwrite=True, times=True).close()
    assert (tmp_path / "frames.csv").read_text() == "frame,pts,time_base,seconds,file\n"


def test_abort_removes_the_table_and_an_empty_folder(tmp_path: Path) -> None:
    LabelMapSink(tmp_path / "m", overwrite=False, times=True).abort()
    assert os.listdir(tmp_path) == []
