"""`vidseg doctor`: what this machine has, in one screen."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import typer

from vidseg.cli.help import help_width
from vidseg.cli.options import flag, made_of
from vidseg.names import printable

_MARKS = {True: "ok", False: "missing", None: ""}
_COLOURS = {True: "green", False: "red", None: None}
_TEXT_COLUMN = 22


@made_of(flag("json", bool, "Print the findings as JSON.", default=False))
def doctor(given: dict[str, Any]) -> None:
    """Show versions, extras, devices, encoders, cameras, display and cached models."""
    from vidseg.commands.doctor import examine

    findings = examine()
    if given["json"]:
        print(json.dumps([{"topic": each.topic, "good": each.good, "text": each.text} for each in findings], indent=2))
        return
    for each in findings:
        mark = typer.style(f"{_MARKS[each.good]:7}", fg=_COLOURS[each.good])
        width = help_width() - _TEXT_COLUMN
        first, *more = textwrap.wrap(printable(each.text), width, break_on_hyphens=False) or [""]
        lines = [f"{each.topic:12}  {mark} {first}".rstrip(), *(" " * _TEXT_COLUMN + line for line in more)]
        typer.echo("\n".join(lines))
