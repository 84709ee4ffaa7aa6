"""What holds for every record that is one file: it grows under `.part` and has its name only when it is whole."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidseg.errors import SinkError, WriteError
from vidseg.frames import Detection, Frame, Segmentation
from vidseg.interfaces import Sink
from vidseg.labels import ade20k
from vidseg.sinks.records.class_shares import ClassShareCsvSink
from vidseg.sinks.records.detections_jsonl import DetectionsSink
from vidseg.sinks.records.parquet_shares import ClassShareParquetSink

Open = Callable[..., Sink]


def detections(path: Path, **options: object) -> DetectionsSink:
    return DetectionsSink(path, masks="rle", **options)


def table(path: Path, **options: object) -> ClassShareCsvSink:
    return ClassShareCsvSink(path, ade20k().names, **options)


def parquet(path: Path, **options: object) -> ClassShareParquetSink:
    return ClassShareParquetSink(path, ade20k().names, Fraction(1, 25), rows_per_group=2, **options)


@pytest.fixture(params=[detections, table, parquet])
def opened(request: pytest.FixtureRequest) -> Open:
    opener: Open = request.param
    return opener


def write(sink: Sink, *indices: int) -> None:
    for index in indices:
        mask = np.random.default_rng(index).random((40, 60)) < 0.5
        found = [Detection((0, 0, 59, 39), 0.9, 20, "car", mask)]
        segmentation = Segmentation(mask.astype(np.uint8), index, _detections=lambda threshold, mode, it=found: it)
        sink.write(Frame(np.zeros((40, 60, 3), np.uint8), index, index, Fraction(1, 25)), segmentation, None)


def test_is_a_sink_that_needs_no_picture(tmp_path: Path, opened: Open) -> None:
    sink = opened(tmp_path / "out", overwrite=False)
    assert isinstance(sink, Sink) and not sink.needs_picture
    sink.abort()


def test_grows_as_part_file_and_is_named_at_the_end(tmp_path: Path, opened: Open) -> None:
    sink = opened(tmp_path / "out", overwrite=False)
    assert os.listdir(tmp_path) == ["out.part"]
    sizes = []
    for index in range(0, 6, 2):
        write(sink, index, index + 1)
        sizes.append((tmp_path / "out.part").stat().st_size)
    assert sizes[0] < sizes[1] < sizes[2], "what is written waits for the end"
    sink.close()
    sink.abort()  # as the end of every run does: nothing is left to remove
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("opened", [detections, table], indirect=True)
def test_every_record_can_be_read_as_soon_as_it_is_written(tmp_path: Path, opened: Open) -> None:
    sink = opened(tmp_path / "out", overwrite=False)
    before = (tmp_path / "out.part").read_text().count("\n")
    for index in range(3):
        write(sink, index)
        text = (tmp_path / "out.part").read_text()
        assert text.endswith("\n") and text.count("\n") == before + index + 1
    sink.abort()


def test_abort_leaves_nothing_and_may_come_twice(tmp_path: Path, opened: Open) -> None:
    sink = opened(tmp_path / "out", overwrite=False)
    write(sink, 0, 1, 2)
    sink.abort()
    sink.abort()
    assert os.listdir(tmp_path) == []


def test_an_existing_file_is_replaced_only_when_told_and_at_the_end(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    with pytest.raises(SinkError, match="exists; overwrite it with -y"):
        opened(path, overwrite=False)
    sink = opened(path, overwrite=True)
    write(sink, 0)
    assert path.read_text() == "old"
    sink.close()
    assert path.read_bytes() != b"old" and os.listdir(tmp_path) == ["out"]


def test_impossible_places(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "clip.mp4").write_text("the input")
    with pytest.raises(SinkError, match="is the input itself"):
        opened(tmp_path / "clip.mp4", overwrite=True, source_paths=[tmp_path / "clip.mp4"])
    with pytest.raises(SinkError, match="does not exist; create it first"):
        opened(tmp_path / "none" / "out", overwrite=False)
    with pytest.raises(SinkError, match="is a folder"):
        opened(tmp_path, overwrite=True)
    assert os.listdir(tmp_path) == ["clip.mp4"]


def test_a_folder_that_goes_away_is_told(tmp_path: Path, opened: Open) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    sink = opened(folder / "out", overwrite=False)
    write(sink, 0)
    shutil.rmtree(folder)
    with pytest.raises(WriteError, match="out: cannot be written"):
        sink.close()
    sink.abort()


@contextlib.contextmanager
def small_disk(size: int) -> Iterator[None]:
    """No file grows past so many bytes; only in the block, for the tests' own output may be a file too."""
    old_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old_limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
        signal.signal(signal.SIGXFSZ, old_handler)


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, opened: Open) -> None:
    sink = opened(tmp_path / "out", overwrite=False)
    write(sink, 0, 1)
    size = (tmp_path / "out.part").stat().st_size
    with (
        small_disk(size + 100),
        pytest.raises(WriteError, match="out: exceeds the largest file size allowed here") as caught,
    ):
        write(sink, *range(2, 12))
    assert "\n" not in str(caught.value)
    sink.abort()
    assert os.listdir(tmp_path) == []


def test_a_disk_that_is_full_at_the_very_end(tmp_path: Path) -> None:
    sink = parquet(tmp_path / "out", overwrite=False)
    write(sink, 0)
    with small_disk(100), pytest.raises(WriteError, match="out: exceeds the"):
        sink.close()
    assert os.listdir(tmp_path) == []


def test_a_disk_that_is_full_from_the_start(tmp_path: Path) -> None:
    with small_disk(3), pytest.raises(WriteError, match="out: exceeds the"):
        table(tmp_path / "out", overwrite=False)
    assert os.listdir(tmp_path) == []
