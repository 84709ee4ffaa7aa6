"""`vidseg run` writes data: detections, class shares and numbered pictures. Uses the bundled weights."""

from __future__ import annotations

import base64
import csv
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet
import pytest

from tests.cli.test_run import SMALL, assert_one_line_error, steady_clip


def records(path: str | Path) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def table(path: str) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_all_data_of_a_clip_agree(cli, tmp_path):
    clip = steady_clip(tmp_path / "steady.mp4")
    files = ["--save-json", "d.jsonl", "--save-csv", "s.csv", "--save-parquet", "s.parquet", "--save-masks", "masks"]
    result = cli("run", clip, *files, "--conf", 0.1, *SMALL)
    assert result.code == 0, result.err
    assert all(f"wrote {name}" in result.err for name in files[1::2])
    lines, rows = records("d.jsonl"), table("s.csv")
    columns = pyarrow.parquet.read_table("s.parquet").to_pylist()
    assert [line["frame"] for line in lines] == list(range(12)) and any(line["detections"] for line in lines)
    for line, row, column in zip(lines, rows, columns, strict=True):
        assert (line["frame"], line["pts"]) == (int(row["frame"]), int(row["pts"])) == (column["frame"], column["pts"])
        assert line["seconds"] == float(row["seconds"]) == column["seconds"] == line["frame"] / 25
        label_map = cv2.imread(f"masks/{line['frame']:06d}.png", cv2.IMREAD_UNCHANGED)
        shares = [(label_map == class_id).mean() for class_id in range(150)]
        assert np.allclose([float(text) for text in list(row.values())[5:]], [*shares, 0], atol=1e-8)
        assert np.allclose(list(column.values())[5:], [*shares, 0])


def test_with_stride_the_frames_between_have_the_detections_of_the_segmented_one(cli, tmp_path):
    clip = steady_clip(tmp_path / "steady.mp4")
    options = ("--stride", 5, "--json-masks", "none", "--conf", 0.1, *SMALL)
    assert cli("run", clip, "--save-json", "hold.jsonl", "--propagate", "hold", *options).code == 0
    assert cli("run", clip, "--save-json", "flow.jsonl", *options).code == 0
    held, moved = records("hold.jsonl"), records("flow.jsonl")
    expected = [0, 0, 0, 0, 0, 5, 5, 5, 5, 5, 10, 10]
    assert [line["segmented_frame"] for line in held] == [line["segmented_frame"] for line in moved] == expected
    for line, other in zip(held, moved, strict=True):
        anchor = held[line["segmented_frame"]]["detections"]
        assert anchor and line["detections"] == anchor
        # they follow the motion, so a region may leave the picture; none comes in
        seen = [(found["cls_id"], found["conf"]) for found in other["detections"]]
        assert seen and set(seen) <= {(found["cls_id"], found["conf"]) for found in anchor}


def test_a_lower_confidence_gives_more_and_masks_come_as_asked(cli, clip):
    for name, *options in (("a", "--conf", 0.9), ("b", "--conf", 0.05, "--json-masks", "rle"), ("c",)):
        assert cli("run", clip, "--save-json", f"{name}.jsonl", "--limit", 2, *options, *SMALL).code == 0
    counts = {}
    for name in "abc":
        found = [detection for line in records(f"{name}.jsonl") for detection in line["detections"]]
        counts[name] = len(found)
        least = {"a": 0.9, "b": 0.05, "c": 0.5}[name]
        assert all(detection["conf"] > least for detection in found)
        for detection in found:
            if name == "b":
                assert detection["mask"]["size"] == [48, 64]
            else:
                assert base64.b64decode(detection["mask"]).startswith(b"\x89PNG")
    assert counts["b"] > counts["c"] >= counts["a"]


def test_pictures_are_named_and_have_their_own_sizes(cli, tmp_path):
    (tmp_path / "photos").mkdir()
    for name, size in (("b.png", (40, 50)), ("a 1.jpg", (60, 33))):
        cv2.imwrite(str(tmp_path / "photos" / name), np.full((*size, 3), 90, np.uint8))
    assert cli("run", "photos", "--save-json", "d.jsonl", "--save-csv", "s.csv", *SMALL).code == 0
    assert [(r["name"], r["width"], r["height"]) for r in records("d.jsonl")] == [("a 1", 33, 60), ("b", 50, 40)]
    assert [row["name"] for row in table("s.csv")] == ["a 1", "b"]


def test_an_image_sequence_is_numbered_by_frame(cli, clip):
    assert cli("run", clip, "-o", "frames_%05d.png", "--limit", 3, *SMALL).code == 0
    names = [f"frames_{index:05d}.png" for index in range(3)]
    assert sorted(os.listdir()) == names
    assert cv2.imread(names[2]).shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["--save-json", "d.jsonl", "--json-masks", "polygon"], ["--json-masks is 'polygon'", "png | rle | none"]),
        (["--save-json", "d.jsonl", "--conf", "1.5"], ["--conf is 1.5", "0 to 1"]),
        (["--save-json", "none/d.jsonl"], ["none/d.jsonl", "create it first"]),
        (["--save-json", "taken"], ["taken", "-y"]),
        (["--save-csv", "taken"], ["taken", "-y"]),
        (["--save-csv", "x", "--save-json", "./x"], ["used for two outputs"]),
        (["--save-parquet", "x", "--stats", "x"], ["used for two outputs"]),
        (["--save-json", "d.jsonl", "--save-csv", "t.parquet"], ["use --save-parquet t.parquet"]),
        (["--save-csv", "s.csv", "--save-parquet", "folder"], ["folder: is a folder"]),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(cli, clip, tmp_path, words, texts):
    (tmp_path / "taken").write_text("precious")
    (tmp_path / "folder").mkdir()
    result = cli("run", clip, *words)
    assert result.code == 2
    assert_one_line_error(result, *texts)
    assert sorted(os.listdir(tmp_path)) == ["folder", "taken"] and (tmp_path / "taken").read_text() == "precious"


def test_without_pyarrow_the_line_names_the_extra(cli, clip, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = cli("run", clip, "--save-json", "d.jsonl", "--save-parquet", "s.parquet", *SMALL)
    assert result.code == 2 and os.listdir(tmp_path) == []
    assert_one_line_error(result, "pip install 'vidseg[parquet]'")


def test_the_input_is_never_replaced_by_data(cli, clip, tmp_path):
    (tmp_path / "same.mp4").write_bytes(before := clip.read_bytes())
    for option in ("--save-json", "--save-csv", "--save-parquet"):
        assert_one_line_error(cli("run", "same.mp4", option, "same.mp4", "-y", *SMALL), "is the input itself")
    assert (tmp_path / "same.mp4").read_bytes() == before
