"""The help of every command: examples first, what matters, and no line that a terminal of 80 columns breaks."""

from __future__ import annotations

import pytest
import typer

from vidseg.cli.commands import app
from vidseg.config import OPTIONS

COMMANDS = sorted(typer.main.get_command(app).commands)
LONG = ("run", "batch", "render", "train")


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("words", [(), ("models", "info"), *((name,) for name in COMMANDS)], ids=" ".join)
def test_help_fits_80_columns_and_one_and_a_half_screens(cli, words):
    shown = cli(*words, "-h")
    assert shown.code == 0 and shown.err == "" and max(map(len, shown.out.splitlines())) <= 80
    assert len(shown.out.splitlines()) <= 72


@pytest.mark.parametrize("name", LONG)
def test_a_long_command_shows_what_matters_and_the_rest_with_help_all(cli, name):
    short, whole = cli(name, "-h").out, cli(name, "--help-all").out
    assert max(map(len, whole.splitlines())) <= 80 and len(whole.splitlines()) > 1.4 * len(short.splitlines())
    command = typer.main.get_command(app).commands[name]
    for param in command.params:
        if param.param_type_name == "option":
            assert param.opts[0].removeprefix("--") in whole, param.name
    assert f"vidseg {name} --help-all` lists all {len(command.params) + 1} options." in " ".join(short.split())
    assert short.index("Example") < short.index("Arguments") and "lists all" not in whole


def test_the_help_of_run_has_the_options_that_the_table_marks_and_no_others(cli):
    shown = cli("run", "-h").out
    for name, entry in OPTIONS.items():
        if name not in ("source", "more_sources"):
            flag = name.replace("_", "-")
            told = any(f"{prefix}{flag}" in shown.replace(",", " ").split() for prefix in ("--", "--[no-]"))
            assert told == entry.short, name
    assert "-y/-n, --[no-]overwrite" in shown and "\n  vidseg run street.mp4\n" in shown


def test_a_long_example_can_be_copied(cli):
    assert "\n  vidseg train street/ photos/" in cli("train", "-h").out
    lines = cli("train", "-h").out.split("Example\n")[1].split("\n\n")[0].splitlines()
    assert len(lines) > 1 and all(line.endswith(" \\") for line in lines[:-1])


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        ((), "[OPTIONS] COMMAND [ARGS]..."),
        (("run",), "run [OPTIONS] [SOURCE]..."),
        (("render",), "render [OPTIONS] CLIP MASKS"),
        (("train",), "train [OPTIONS] DATA..."),
        (("classes",), "classes [OPTIONS] [TEXT]"),
    ],
)
def test_the_usage_line_brackets_what_may_be_left_out_once(cli, words, usage):
    assert cli(*words, "-h").out.splitlines()[0].endswith(f"vidseg {usage}")


@pytest.mark.parametrize("words", [(), ("models",), *((name,) for name in COMMANDS if name != "doctor")], ids=" ".join)
def test_examples_come_before_arguments_and_options(cli, words):
    shown = cli(*words, "-h").out
    assert 0 < shown.index("\nExample") < shown.index("\nOptions\n")
