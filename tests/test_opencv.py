"""What is said about an OpenCV that is missing, broken, doubled or without windows."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from vidseg.opencv import HEADLESS, HOW_TO_GET_WINDOWS, WINDOWED, import_problem, too_many

ROOT = Path(__file__).parent.parent
LIBRARY = "cv2/cv2.abi3.so"


def error_of_opencv(text: str) -> ImportError:
    return ImportError(text, name="cv2", path=LIBRARY)


@pytest.mark.parametrize(
    ("said", "packages", "line"),
    [
        (
            "libGL.so.1: cannot open shared object file: No such file or directory",
            {WINDOWED: "5.0"},
            "`pip uninstall -y opencv-python && pip install opencv-python-headless` avoids it",
        ),
        (f"{LIBRARY}: file too short", {HEADLESS: "5.0"}, "`pip install --force-reinstall --no-deps opencv-python-he"),
        (f"{LIBRARY}: wrong ELF class: ELFCLASS32", {WINDOWED: "5.0"}, "--force-reinstall --no-deps opencv-python`"),
        ("No module named 'cv2'", {}, "`pip install --force-reinstall --no-deps opencv-python-headless`"),
        ("undefined symbol: x\nmore", {HEADLESS: "5.0", WINDOWED: "4.9"}, "overwrite each other: `pip uninstall -y"),
        ("", {HEADLESS: "5.0"}, "no reason given"),
    ],
)
def test_an_opencv_that_does_not_load_is_one_line_with_the_commands_that_help(monkeypatch, said, packages, line):
    monkeypatch.setattr("vidseg.opencv.installed_packages", lambda: packages)
    told = import_problem(error_of_opencv(said))
    assert told.startswith("OpenCV cannot be loaded: ") and line in told and "\n" not in told


def test_other_libraries_that_do_not_load_are_told_and_mistakes_of_ours_are_not_hidden():
    told = import_problem(ImportError("libtorch.so: file too short", name="torch._C", path="/x/torch/_C.so"))
    assert told.startswith("torch._C cannot be loaded: libtorch.so: file too short; ")
    assert import_problem(ImportError("cannot import name 'x' from 'vidseg.y'", name="vidseg.y", path="y.py")) is None
    assert import_problem(ModuleNotFoundError("No module named 'nope'", name="nope")) is None


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("raise ImportError('OpenCV loader: missing configuration file')", ["run", "test", "-o", "x.mp4"]),
        ("import cv2.lost", ["render", "a.mp4", "b.mkv", "-o", "x.mp4"]),
    ],
)
def test_every_command_tells_of_a_broken_opencv_in_one_line(tmp_path, code, arguments):
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").write_text(code)
    result = subprocess.run(
        [sys.executable, "-c", "from vidseg.cli import main; main()", *arguments],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("vidseg: error: OpenCV cannot be loaded: ") and result.stderr.count("\n") == 1


def test_one_package_is_right_and_two_are_a_fault():
    assert too_many({HEADLESS: "5.0"}) is None and too_many({}) is None
    assert "`pip uninstall -y opencv-python-headless opencv-python && pip" in too_many({HEADLESS: "5", WINDOWED: "5"})


def test_the_project_asks_for_the_one_without_windows_and_for_no_other():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    assert [line for line in asked if "opencv" in line] == ["opencv-python-headless>=4.10"]


def test_the_commands_that_bring_windows_are_those_of_the_readme_and_make():
    """The window tests are run with what these commands install."""
    assert HOW_TO_GET_WINDOWS.strip("`") in (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    for name in ("Makefile", ".ci/run"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert f"uninstall -q -y {HEADLESS}" in text and f"install -q -c constraints.txt {WINDOWED}" in text, name
