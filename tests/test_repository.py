"""The promises that the repository's own files make."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import vidseg

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_runs_the_test_command_of_the_readme():
    commands = re.findall(r"^.*python3 -m venv .*pytest.*$", README, flags=re.M)
    assert len(commands) == 1
    assert commands[0].strip() in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == vidseg.__version__


def test_constraints_pin_every_direct_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8").lower(), re.M))
    assert {re.match(r"[\w.-]+", line)[0].lower() for line in wanted} <= pinned
