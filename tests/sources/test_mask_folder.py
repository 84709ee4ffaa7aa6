"""Folders of label maps read back: with their table, and without."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.pngs import GREY, PALETTE, png_bytes
from vidseg.errors import SourceError
from vidseg.sources.mask_reader import read_label_map, read_mask_folder

HEADER = "frame,pts,time_base,seconds,file\n"


def put(path: Path, value: int = 7, shape: tuple[int, ...] = (4, 6), dtype: type = np.uint8) -> Path:
    assert cv2.imwrite(str(path), np.full(shape, value, dtype))
    return path


def test_names_are_the_index_where_there_is_no_table(tmp_path: Path) -> None:
    for number in (10, 2, 1000000):
        put(tmp_path / f"{number:06d}.png", number % 256)
    put(tmp_path / "cover.png")
    back = list(read_mask_folder(str(tmp_path)))
    assert [(mask.index, mask.seconds) for mask in back] == [(2, None), (10, None), (1000000, None)]
    assert np.array_equal(back[1].load(), np.full((4, 6), 10))


def test_the_table_gives_index_time_and_file(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    put(tmp_path / "000009.png")  # of another run
    (tmp_path / "frames.csv").write_text(HEADER + "3,90,1/30,3.000000,a.png\n")
    (mask,) = read_mask_folder(str(tmp_path))
    assert (mask.index, mask.seconds) == (3, Fraction(3)) and mask.load()[0, 0] == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its first line is not frame,pts,time_base,seconds,file"),
        ("a,b\n", "its first line is not frame,pts"),
        (HEADER + "3,90,1/30,3.0\n", "line 2 is damaged"),
        (HEADER + "3,90,1/0,3.0,a.png\n", "line 2 is damaged"),
        (HEADER + "3,90,1/30,3.0,../a.png\n", "line 2 is damaged"),
        (HEADER + "3,90,1/30,3.0,\n", "line 2 is damaged"),
        (HEADER + "\0\n", "frames.csv: (line 2 is damaged|cannot be read)"),
    ],
)
def test_a_damaged_table_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "frames.csv").write_text(text)
    with pytest.raises(SourceError, match=message):
        list(read_mask_folder(str(tmp_path)))


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "frames.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="not CSV in UTF-8"):
        list(read_mask_folder(str(tmp_path)))


def test_a_folder_without_masks_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "cover.png")
    with pytest.raises(SourceError, match=r"contains neither frames\.csv nor PNGs named by frame, such as 000042\.png"):
        list(read_mask_folder(str(tmp_path)))


def test_what_is_no_label_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"is not a label map \(3 channels of 8 bits\)"):
        read_label_map(put(tmp_path / "rgb.png", shape=(4, 6, 3)))
    with pytest.raises(SourceError, match=r"is not a label map \(1 channels of 16 bits\)"):
        read_label_map(put(tmp_path / "deep.png", dtype=np.uint16))
    with pytest.raises(SourceError, match=r"none\.png: is missing"):
        read_label_map(tmp_path / "none.png")
    (tmp_path / "cut.png").write_bytes(put(tmp_path / "a.png").read_bytes()[:40])
    with pytest.raises(SourceError, match=r"cut\.png: is damaged or not a picture"):
        read_label_map(tmp_path / "cut.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(SourceError, match=r"empty\.png: is damaged or not a picture"):
        read_label_map(tmp_path / "empty.png")


def test_a_palette_and_few_bits_are_read_as_the_ids_they_store(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(4, 6)
    for depth, kind in ((8, PALETTE), (2, PALETTE), (4, GREY)):
        (tmp_path / "a.png").write_bytes(png_bytes(values & (2**depth - 1), depth=depth, kind=kind))
        assert (read_label_map(tmp_path / "a.png") == (values & (2**depth - 1))).all()


def test_names_with_line_breaks_are_shown_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"ö\\n1\.png: is missing"):
        read_label_map(tmp_path / "ö\n1.png")
