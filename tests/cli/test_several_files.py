"""Several files given to `vidseg run`: each gets outputs of its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.cli.test_run import SMALL, assert_one_line_error


@pytest.fixture
def inputs(clip, tmp_path) -> Path:
    """two/a.mp4, two/b.mp4, one/a.mp4 and photo.jpg."""
    folder = tmp_path / "in"
    for name in ("two/a.mp4", "two/b.mp4", "one/a.mp4"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, path)
    cv2.imwrite(str(folder / "photo.jpg"), np.full((40, 64, 3), 90, np.uint8))
    return folder


def made(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*_annotated.*"))


def test_videos_and_pictures_each_get_an_output(cli, inputs):
    result = cli("run", inputs / "two", inputs / "photo.jpg", "-o", "out/", "--save-csv", "{stem}.csv", *SMALL)
    assert result.code == 0, result.err
    assert made("out") == ["a_annotated.mp4", "b_annotated.mp4", "photo_annotated.jpg"]
    assert (len(Path("out/a.csv").read_text().splitlines()), Path("out/photo.csv").exists()) == (13, True)
    with av.open("out/a_annotated.mp4") as container:
        assert container.streams.video[0].frames == 12 and container.streams.audio


@pytest.mark.parametrize(
    ("words", "folder", "names"),
    [
        (("in/two/a.mp4", "in/photo.jpg"), ".", ["a_annotated.mp4", "photo_annotated.jpg"]),
        (("in/two",), "two_annotated", ["a_annotated.mp4", "b_annotated.mp4"]),
        (("in/two/*.mp4", "-o", "there"), "there", ["a_annotated.mp4", "b_annotated.mp4"]),
        (("in/two/a.mp4", "in/one/a.mp4", "-o", "."), ".", ["one_a_annotated.mp4", "two_a_annotated.mp4"]),
    ],
)
def test_where_they_go(cli, inputs, words, folder, names):
    result = cli("run", *words, "--limit", 1, *SMALL)
    assert result.code == 0, result.err
    assert made(folder) == names
    assert f"; the outputs are in {'the current folder' if folder == '.' else folder}\n" in result.err


def test_what_is_there_stays_unless_it_is_to_be_replaced(cli, inputs):
    words = ("in/two/a.mp4", "in/two/b.mp4", "--limit", 1, *SMALL)
    Path("a_annotated.mp4").write_text("mine")
    refused = cli("run", *words)
    assert refused.code == 1 and "a_annotated.mp4 exists" in refused.err and "-y" in refused.err
    assert Path("a_annotated.mp4").read_text() == "mine" and os.path.exists("b_annotated.mp4")
    assert cli("run", *words, "-y").code == 0 and os.path.getsize("a_annotated.mp4") > 4


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (("-o", "out.mp4"), ["-o out.mp4", "2 sources are given", "-o DIR/", "--grid"]),
        (("-o", "out/", "--save-masks", "masks/"), ["--save-masks masks/", "{stem}"]),
        (("-o", "out/", "--workers", 2), ["--workers", "single file"]),
        (("-o", "out/", "--resume"), ["--resume", "single file"]),
    ],
)
def test_one_output_for_all_is_told_in_one_line(cli, inputs, words, texts):
    assert_one_line_error(cli("run", "in/two/a.mp4", "in/two/b.mp4", *words), *texts)
    assert not os.path.exists("out") and not os.path.exists("out.mp4")
