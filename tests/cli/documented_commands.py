"""The `vidseg ...` commands in the README and in docs/. `python -m tests.cli.documented_commands` lists them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from vidseg.cli.commands import app
from vidseg.cli.options import flags_of
from vidseg.config import OPTIONS
from vidseg.configure import merge
from vidseg.labels import ade20k
from vidseg.option import CLASS_LIST

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_SUBCOMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Documented:
    """One command; `words` come after `vidseg`."""

    place: str
    words: tuple[str, ...]
    mentioned: bool
    """It stands in a sentence, where arguments may be left out."""

    @property
    def runs(self) -> bool:
        """It can be tried here, because its input is in the repository."""
        return not self.mentioned and any(word.startswith("samples/") for word in self.words)

    def __str__(self) -> str:
        return f"{self.place} {shlex.join(('vidseg', *self.words))}"


def documented_commands() -> list[Documented]:
    """Those of code blocks and of `code` in sentences, in order of pages and lines, each once per page."""
    return list(dict.fromkeys(command for page in PAGES for command in _commands_of(page)))


def parse(words: tuple[str, ...]) -> None:
    """What the command line does with these words before it opens anything. Raises click's errors and VidsegError."""
    command, left = _SUBCOMMANDS[words[0]], list(words[1:])
    while left and left[0] in getattr(command, "commands", {}):
        command = command.commands[left.pop(0)]
    if {"--help", "--help-all"} & set(left):
        return
    given = command.make_context(words[0], left).params
    if words[0] in ("run", "batch", "render"):
        flags = flags_of({name: given[name] for name in OPTIONS if name != "source" and given.get(name) is not None})
        config = merge(("the docs", flags))
        for name in (name for name, entry in OPTIONS.items() if entry.check is CLASS_LIST and name != "color"):
            ade20k().find_all(getattr(config, name))


def _commands_of(page: Path) -> Iterator[Documented]:
    text = page.read_text(encoding="utf-8")
    prose = _FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)
    blocks = [(found.start(2), found[2]) for found in _FENCE.finditer(text) if found[1] in ("", "sh")]
    blocks += [(found.start(), found[0]) for found in re.finditer(r"^    .*$", text, re.MULTILINE)]
    for start, block in sorted(blocks):
        first = text.count("\n", 0, start) + 1
        for number, line in enumerate(block.split("\n"), first):
            if "vidseg" in line:
                for words in _after_vidseg(shlex.split(line, comments=True)):
                    yield Documented(f"{page.name}:{number}", words, mentioned=False)
    for found in re.finditer(r"`vidseg(\s[^`]+)`", prose):
        for words in _after_vidseg(["vidseg", *shlex.split(found[1])]):
            yield Documented(f"{page.name}:{prose.count(chr(10), 0, found.start()) + 1}", words, mentioned=True)


def _after_vidseg(tokens: list[str]) -> Iterator[tuple[str, ...]]:
    """The words after each `vidseg` that is a command, also behind a path, `&&` or `docker run`."""
    for start, token in enumerate(tokens):
        rest = tokens[start + 1 :]
        if token.rpartition("/")[2] == "vidseg" and rest and not rest[0].startswith("-") and rest[0] not in _ENDS:
            end = next((place for place, word in enumerate(rest) if word in _ENDS), len(rest))
            yield tuple(rest[:end])


_ENDS = {"&&", "|", ";", "."}

if __name__ == "__main__":
    for each in documented_commands():
        print("runs on the sample" if each.runs else "parsed only       ", each)
