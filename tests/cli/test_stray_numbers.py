"""`--smooth 0` does not mean the camera of that number."""

from __future__ import annotations

import pytest

from tests.cli.test_run import assert_one_line_error
from vidseg.cli.stray_words import refuse_stray_numbers


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (("--smooth", 0), ["--smooth 0: --smooth takes no value", "--no-smooth", "cam0"]),
        (("--no-smooth", 1), ["--no-smooth takes no value", "cam1"]),
        (("--legend", 1), ["--legend takes no value", "cam1"]),
        (("-y", 2), ["-y takes no value", "cam2"]),
    ],
)
def test_a_number_behind_a_switch_is_told_in_one_line(cli, clip, words, texts):
    assert_one_line_error(cli("run", clip, "-o", "out.mp4", *words), *texts)


def test_a_camera_and_numbers_that_are_values_are_taken():
    refuse_stray_numbers(["0"], ["vidseg", "run", "--show", "0"])
    refuse_stray_numbers(["a.mp4", "cam0"], ["vidseg", "run", "a.mp4", "cam0", "--smooth", "--crf", "0"])
    refuse_stray_numbers(["1", "0"], ["vidseg", "run", "1", "0", "--show"])
