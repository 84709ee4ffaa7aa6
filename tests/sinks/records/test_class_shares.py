"""Shares of classes, counted slowly, out of both tables."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from vidseg.errors import ConfigError, SinkError
from vidseg.frames import NO_LABEL, Frame, Segmentation
from vidseg.labels import ade20k
from vidseg.sinks.records.class_shares import ClassShareCsvSink, class_shares
from vidseg.sinks.records.parquet_shares import ClassShareParquetSink

TIME_BASE = Fraction(1, 15360)
NAMES = ("wall", "sky, blue", 'a "pot"')


def frame(index: int, name: str | None = None) -> Frame:
    return Frame(np.zeros((2, 5, 3), np.uint8), index, 512 * index, TIME_BASE, name=name)


def seen(rows: list[list[int]], index: int = 0) -> Segmentation:
    return Segmentation(np.array(rows, np.uint8), index)


def write_csv(path: Path, names: tuple[str, ...], *written: tuple[Frame, Segmentation]) -> list[dict[str, Any]]:
    sink = ClassShareCsvSink(path, names, overwrite=False)
    for each in written:
        sink.write(*each, None)
    sink.close()
    with path.open(newline="", encoding="utf-8") as file:
        texts = list(csv.DictReader(file))
    number = {"frame": int, "pts": int, "segmented_frame": int, "name": str}
    return [{key: number.get(key, float)(text) for key, text in row.items()} for row in texts]


def write_parquet(path: Path, names: tuple[str, ...], *written: tuple[Frame, Segmentation]) -> list[dict[str, Any]]:
    sink = ClassShareParquetSink(path, names, TIME_BASE, overwrite=False, rows_per_group=2)
    for each in written:
        sink.write(*each, None)
    sink.close()
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return [row | {"name": row["name"] or ""} for row in rows]


Write = Callable[..., list[dict[str, Any]]]
both = pytest.mark.parametrize("write", [write_csv, write_parquet])


def test_shares_are_those_of_a_slow_count_and_sum_to_1():
    label_map = np.random.default_rng(0).integers(0, 256, (31, 47), dtype=np.uint8)
    pixels = label_map.ravel().tolist()
    slow = [sum(pixel == k for pixel in pixels) / len(pixels) for k in range(150)]
    slow.append(sum(pixel >= 150 for pixel in pixels) / len(pixels))
    shares = class_shares(label_map, 150)
    assert shares.shape == (151,) and np.allclose(shares, slow, atol=1e-15) and shares.sum() == pytest.approx(1)
    assert np.array_equal(class_shares(label_map[::-1, ::-1], 150), shares)


@both
def test_one_row_per_frame_with_its_time_and_a_column_for_every_class(tmp_path: Path, write: Write) -> None:
    rows = write(
        tmp_path / "t",
        NAMES,
        (frame(0), seen([[0, 0, 0, 0, 0], [1, 1, 1, 1, NO_LABEL]])),
        (frame(1), seen([[0, 0, 0, 0, 0], [1, 1, 1, 1, NO_LABEL]])),
        (frame(5), seen([[2, 2, 2, 2, 2], [2, 2, 2, 2, 2]], index=4)),
    )
    assert list(rows[0]) == ["frame", "pts", "seconds", "name", "segmented_frame", *NAMES, "no_label"]
    assert [list(row.values()) for row in rows] == [
        [0, 0, 0.0, "", 0, 0.5, 0.4, 0.0, 0.1],
        [1, 512, 0.033333, "", 0, 0.5, 0.4, 0.0, 0.1],
        [5, 2560, 0.166667, "", 4, 0.0, 0.0, 1.0, 0.0],
    ]


@both
def test_shares_of_a_large_picture_tell_single_pixels_and_sum_to_1(tmp_path: Path, write: Write) -> None:
    label_map = np.full((2160, 3840), 3, np.uint8)
    label_map[0, :7] = range(7)
    (row,) = write(tmp_path / "t", ade20k().names, (frame(0), Segmentation(label_map, 0)))
    assert len(row) == 5 + 150 + 1 and row["wall"] * label_map.size == pytest.approx(1, abs=1e-3)
    assert sum(list(row.values())[5:]) == pytest.approx(1, abs=1e-8)


@both
@pytest.mark.parametrize("name", ["street", 'a, "b"', "two\nlines", "a\rb", "ü"])
def test_pictures_have_their_names(tmp_path: Path, write: Write, name: str) -> None:
    (row,) = write(tmp_path / "t", NAMES, (frame(0, name), seen([[0, 1]])))
    assert row["name"] == name


@both
def test_a_name_that_is_no_text_is_escaped(tmp_path: Path, write: Write) -> None:
    (row,) = write(tmp_path / "t", NAMES, (frame(0, "caf\udce9"), seen([[0, 1]])))
    assert row["name"] == "caf\\udce9"


@both
def test_no_frames_make_a_table_without_rows(tmp_path: Path, write: Write) -> None:
    assert write(tmp_path / "t", NAMES) == []


def test_parquet_is_written_in_groups_and_knows_the_time_base(tmp_path: Path) -> None:
    write_parquet(tmp_path / "t.parquet", NAMES, *((frame(index), seen([[0, 1]])) for index in range(5)))
    with pyarrow.parquet.ParquetFile(tmp_path / "t.parquet") as file:
        assert [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)] == [2, 2, 1]
        assert file.schema_arrow.metadata[b"time_base"] == b"1/15360"


def test_memory_holds_one_group_of_rows_at_most(tmp_path: Path) -> None:
    sink = ClassShareParquetSink(tmp_path / "t.parquet", NAMES, TIME_BASE, overwrite=False, rows_per_group=3)
    held = []
    for index in range(7):
        sink.write(frame(index), seen([[0, 1]]), None)
        held.append(len(sink._rows))
    sink.abort()
    assert held == [1, 2, 0, 1, 2, 0, 1]


def test_without_pyarrow_the_extra_is_named_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'vidseg\[parquet\]', or use --save-csv"):
        ClassShareParquetSink(tmp_path / "t.parquet", NAMES, TIME_BASE, overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_the_endings_of_the_other_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"use --save-parquet .*t\.Parquet"):
        ClassShareCsvSink(tmp_path / "t.Parquet", NAMES, overwrite=False)
    with pytest.raises(SinkError, match=r"use --save-csv .*t\.csv"):
        ClassShareParquetSink(tmp_path / "t.csv", NAMES, TIME_BASE, overwrite=False)
    with pytest.raises(SinkError, match=r"writes CSV, which spreadsheets open; give a name ending in \.csv"):
        ClassShareCsvSink(tmp_path / "t.XLSX", NAMES, overwrite=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_spreadsheet_takes_a_name_for_a_formula(tmp_path: Path, start: str) -> None:
    sink = ClassShareCsvSink(tmp_path / "a.csv", ["road", f'{start}HYPERLINK("x")', "a=b"], overwrite=False)
    early = Frame(np.zeros((2, 2, 3), np.uint8), 0, -40, Fraction(1, 1000), name=f"{start}cmd|'/c calc'!A0")
    sink.write(early, Segmentation(np.zeros((2, 2), np.uint8), 0), None)
    sink.close()
    with (tmp_path / "a.csv").open(newline="") as file:
        header, row = csv.reader(file)
    assert header == [
        "frame",
        "pts",
        "seconds",
        "name",
        "segmented_frame",
        "road",
        f'\'{start}HYPERLINK("x")',
        "a=b",
        "no_label",
    ]
    assert row == ["0", "-40", "-0.04", f"'{start}cmd|'/c calc'!A0", "0", "1", "0", "0", "0"]
