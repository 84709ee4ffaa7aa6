"""Every command of the README and of docs/ is parsed by the real command line; those on the sample run."""

from __future__ import annotations

import os

import pytest

from tests.cli.documented_commands import PAGES, ROOT, documented_commands, parse

COMMANDS = documented_commands()
RUN = [command for command in COMMANDS if command.runs]
PARSED_ONLY = [command for command in COMMANDS if not command.runs and len(command.words) > command.mentioned]
NAMED_ONLY = [command for command in COMMANDS if command.mentioned and len(command.words) == 1]
CHEAP = ("--limit", "2", "--imgsz", "64", "--runtime", "torch", "--threads", "1")
"""What is added to a command so that it takes a moment; `render` has no model."""


@pytest.mark.parametrize("command", PARSED_ONLY, ids=str)
def test_a_command_that_is_not_run_is_parsed(command):
    parse(command.words)


def test_a_command_that_is_named_alone_exists():
    for command in NAMED_ONLY:
        parse((*command.words, "--help"))


@pytest.mark.parametrize("command", RUN, ids=str)
def test_a_command_on_the_sample_runs(cli, command):
    parse(command.words)
    os.symlink(ROOT / "samples", "samples")
    result = cli(*command.words, *(CHEAP[:2] if command.words[0] == "render" else CHEAP))
    assert result.code == 0, result.err
    assert set(os.listdir()) > {"samples"}


def test_every_page_is_looked_at_and_the_commands_of_the_readme_mostly_run():
    assert len(PAGES) > 12 and len(COMMANDS) > 80
    assert sum(command.place.startswith("README") for command in RUN) >= 5


@pytest.mark.parametrize(
    "words",
    [
        ("run", "a.mp4", "--nope"),
        ("eval", "--every", "2"),
        ("run", "a.mp4", "--limit", "two"),
        ("nope", "a"),
        ("run", "a.mp4", "--view", "sied"),
        ("run", "a.mp4", "--matte", "dog"),
    ],
)
def test_a_mistake_in_the_docs_would_be_found(words):
    with pytest.raises(Exception, match=r"[Nn]o such option|[Mm]issing|integer|nope|accepted|unknown class"):
        parse(words)
