"""What cannot be read on the command line is told in one line, with what was probably meant."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.cli.test_run import assert_one_line_error
from vidseg.cli.stray_words import refuse_stray_outputs
from vidseg.config import RunConfig
from vidseg.errors import ConfigError, VidsegError
from vidseg.wiring.outputs import check_files


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (("clip.mp4",), ["clip.mp4 is not a command", "vidseg run clip.mp4"]),
        (("rtsp://cam/1",), ["vidseg run rtsp://cam/1"]),
        (("predict", "a.mp4"), ["'predict'", "did you mean `vidseg run`?"]),
        (("help",), ["`vidseg -h`"]),
        (("benhc",), ["`vidseg bench`"]),
        (("xyzzy",), ["unknown command 'xyzzy'; `vidseg -h` lists all"]),
        (("models", "pul"), ["`vidseg models pull`"]),
        (("-V",), ["unknown option -V; did you mean --version?"]),
        (("--show", "run"), ["--show", "vidseg run --show"]),
        (("run", "a.mp4", "--ouput", "b.mp4"), ["unknown option --ouput; did you mean --output?"]),
        (("run", "a.mp4", "-ss", 1), ["unknown option -ss; did you mean --start?"]),
        (("run", "-i", "a.mp4"), ["the source needs no flag: vidseg run a.mp4"]),
        (("run", "a.mp4", "--xyzzy"), ["unknown option --xyzzy; see `vidseg run --help-all`"]),
        (("batch", "a/", "-o", "b", "--resume"), ["unknown option --resume", "`vidseg run` has --resume"]),
        (("run", "a.mp4", "--limit"), ["--limit needs a value"]),
        (("run", "a.mp4", "--show=1"), ["--show takes no value"]),
        (("run", "a.mp4", "-q=1"), ["unknown option -q=1"]),
        (("run", "a.mp4", "--limit", "many"), ["--limit is 'many'; accepted: a whole number from 1 to"]),
        (("run", "a.mp4", "--fps=fast"), ["--fps is 'fast'; accepted: a number"]),
        (("train", "a", "--steps=many"), ["--steps is 'many'; accepted: a whole number"]),
        (("batch", "a", "-jabc"), ["-j is 'abc'; accepted: a whole number from 1 to 64"]),
        (("batch", "a", "-0j", "99"), ["-j is '99'; accepted: a whole number from 1 to 64"]),
        (("run", "a.mp4", "-o", "b.mp4", "-yqoc.mp4"), ["-o b.mp4 and -o c.mp4: only one is accepted"]),
        (("run", "a.mp4", "-o=b.mp4", "--output=c.mp4"), ["-o b.mp4 and --output c.mp4: only one is accepted"]),
        (("run", "a.mp4", "-o", "srt://u:pw@a/1", "-o", "srt://u:pw@a/2"), ["-o srt://***@a/1 and -o srt://***@a/2:"]),
        (
            ("run", "a.mp4", "--serve-token", "abcdefgh", "--serve-token", "ijklmnop"),
            ["--serve-token and --serve-token:"],
        ),
        (("render", "a.mp4", "m", "--classes", 1, "--classes=car"), ["--classes 1 and", "commas: --classes 1,car"]),
        (("train", "a", "-o", "b", "-o", "c"), ["-o b and -o c: only one is accepted"]),
        (("export-labels", "a.mp4"), ["MASKS is missing"]),
        (("export-labels", "a.mp4", "masks/"), ["--output is missing"]),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(cli, words, texts):
    assert_one_line_error(cli(*words), *texts)


def test_what_repeats_a_value_or_follows_two_dashes_is_not_refused(cli, clip):
    result = cli("run", clip, "-o", "x.mp4", "-o=x.mp4", "--fps", 5, "--fps=5", "-y", "-n", "--", "-o=y.mp4")
    assert_one_line_error(result, "-o=y.mp4: no such file")
    assert_one_line_error(cli("batch", "a", "--pattern", "b", "--pattern", "c"), "no output folder given")


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (("out.mp4",), ["out.mp4: no such file", "-o out.mp4"]),
        (("show=True",), ["show=True: no such file", "--show True"]),
        (("max-fps=3", "--show"), ["max-fps=3: no such file", "--max-fps 3"]),
        (("source=a.mp4",), ["source=a.mp4: no such file", "give its name alone"]),
    ],
)
def test_an_output_or_option_among_the_sources_is_told_before_anything_runs(cli, clip, words, texts):
    assert_one_line_error(cli("run", clip, *words), *texts)


def test_what_may_be_a_source_is_not_taken_for_an_output_or_option(clip):
    refuse_stray_outputs([str(clip), "test:64x48@12.5"], {})
    refuse_stray_outputs(["cam=*.mp4"], {})
    with pytest.raises(ConfigError, match="give its name alone"):
        refuse_stray_outputs(["cam=1.mp4"], {})


def test_an_output_that_exists_may_be_the_input_or_a_name_for_the_pipe(cli, clip, tmp_path):
    result = cli("run", clip, "-o", clip)
    assert_one_line_error(result, f"{clip.name}: is the input itself; choose another name")
    (tmp_path / "-").touch()
    check_files(RunConfig(source=str(clip), output="-"))
    (tmp_path / "a.mp4").touch()
    with pytest.raises(VidsegError, match="exists"):
        check_files(RunConfig(source="test", output="a.mp4"))


LAZY = """
import sys, vidseg.cli.commands
print(*{"numpy", "torch", "cv2", "av", "yaml", "rich", "importlib.metadata"} & set(sys.modules))
sys.modules["torch"] = None
from vidseg.cli import main
for words in sys.argv[1:]:
    sys.argv = ["vidseg", *words.split()]
    try:
        main()
    except SystemExit as end:
        print(end.code)
"""


def test_help_imports_nothing_heavy_and_the_commonest_mistakes_are_told_without_torch(clip):
    wrong = ("run missing.mp4", f"run {clip} -o {clip.parent}/out.mp4", f"run {clip} missing.mp4", f"run {clip} --show")
    (clip.parent / "out.mp4").touch()
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    result = subprocess.run([sys.executable, "-c", LAZY, *wrong], env=environment, capture_output=True, text=True)
    assert result.stdout == "\n" + 4 * "2\n", result.stderr
    told = result.stderr.splitlines()
    assert all(text in line for text, line in zip(("no", "exists", "-o", "--show needs"), told, strict=True)), told


LONG = "x" * 256


@pytest.mark.parametrize(
    "words",
    [
        ("run", "CLIP", "-o", LONG + ".mp4"),
        ("run", "CLIP", "--save-masks", LONG),
        ("run", "CLIP", "-m", LONG),
        ("batch", "CLIP", "-o", LONG),
        ("eval", LONG),
        ("run", "CLIP", "--save-csv", "loop/shares.csv"),
    ],
)
def test_a_name_that_no_file_can_have_is_told_in_one_line(cli, clip, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    result = cli(*(clip if word == "CLIP" else word for word in words))
    assert_one_line_error(result, *(["loop"] if "loop" in words[-1] else ["File name too long", "give another name"]))
