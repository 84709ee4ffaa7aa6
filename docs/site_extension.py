"""What the site adds to the pages: the option reference, files of the repository, a check for outside loads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PAGE_OF = {
    "../benchmarks/RESULTS.md": "results.md",
    "../CHANGELOG.md": "changes.md",
    "../CONTRIBUTING.md": "contributing.md",
}
"""Files of the repository that are pages of the site; links in docs/ name the files, as readers of the files need."""

_LOADS = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)[^>]*\ssrc=["'](?:https?:)?//[^"']*
    |<link(?![^>]*rel=["']canonical)[^>]*\shref=["'](?:https?:)?//[^"']*
    |url\(\s*["']?(?:https?:)?//[^)]*|@import\s+["'](?:https?:)?//[^"']*""",
    re.VERBOSE | re.IGNORECASE,
)


def option_reference() -> str:
    """Markdown with each command's usage, help, arguments and options, from the click commands of the CLI."""
    import typer

    from vidseg.cli.commands import app

    return "\n".join(_command_lines(typer.main.get_command(app), "vidseg"))


def outside_loads(text: str) -> list[str]:
    """Whatever an HTML page or a style sheet fetches from another server while it is shown; links are none of it."""
    return _LOADS.findall(text)


def _command_lines(command: Any, path: str) -> Iterator[str]:
    from vidseg.cli.help import description

    subcommands = getattr(command, "commands", {})
    if not subcommands or (command.invoke_without_command and " " in path):  # `vidseg` alone shows its help
        yield from (f"## {path}", "", _unmarked(command.help or "").strip(), "")
        panels: dict[str, list[Any]] = {}
        for param in command.params:
            if not getattr(param, "hidden", False):
                kind = "Arguments" if param.param_type_name == "argument" else "Options"
                panels.setdefault(getattr(param, "rich_help_panel", None) or kind, []).append(param)
        for panel, params in panels.items():
            yield from (f"| {panel} | |", "|---|---|")
            yield from (f"| {_names(param)} | {_cell(_unmarked(description(param)))} |" for param in params)
            yield ""
    for name, subcommand in subcommands.items():
        yield from _command_lines(subcommand, f"{path} {name}")


def _names(param: Any) -> str:
    """`--output`, `-o OUT`; of a switch all names, of an argument its word."""
    word = param.metavar or param.name.upper()
    if param.param_type_name == "argument":
        return f"`{word}`"
    *names, last = [*param.opts, *param.secondary_opts]
    return ", ".join(f"`{name}`" for name in [*names, _cell(last if param.is_flag else f"{last} {word}")])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _unmarked(text: str) -> str:
    """Rich's markup would have `[` escaped; Markdown would take `*` and `<` for its own."""
    return text.replace("\\[", "[").replace("*", "\\*").replace("<", "&lt;")


def _complete(app: Sphinx, page: str, source: list[str]) -> None:
    if page == "options":
        source[0] += "\n" + option_reference()
    for file, its_page in PAGE_OF.items():
        source[0] = source[0].replace(f"]({file})", f"]({its_page})")


def _check_loads(app: Sphinx, error: Exception | None) -> None:
    if error is None:
        found = [
            f"{path.name}: {load}"
            for path in Path(app.outdir).rglob("*")
            if path.suffix in {".html", ".css"}
            for load in outside_loads(path.read_text(encoding="utf-8"))
        ]
        if found:
            from sphinx.errors import ExtensionError

            raise ExtensionError(f"pages load from outside: {'; '.join(found)}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", _complete)
    app.connect("build-finished", _check_loads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
