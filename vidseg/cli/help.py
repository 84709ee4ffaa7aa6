"""How commands show their help: examples first, then what matters; `--help-all` shows the rest."""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from vidseg.cli.usage_errors import one_line, refuse_repeated, unknown_command

WIDTHS = (40, 100)
"""Columns that help is made for at least and at most; between them those of the terminal."""
_HELP_COLUMN = 30
"""Where the descriptions of options begin; longer flags get a line of their own."""


class Command(TyperCommand):
    """A command whose `-h` shows the options that matter, where its function says which these are (`made_of`)."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As the library does, but for -o=OUT, which means -o OUT. Raises ConfigError for what cannot be read."""
        end = args.index("--") if "--" in args else len(args)
        taking = {flag for param in self.params if not getattr(param, "is_flag", True) for flag in param.opts}
        args = [w[:2] + w[3:] if w[:2] in taking and w[2:3] == "=" != w[2:] else w for w in args[:end]] + args[end:]
        return _parsed(super().parse_args, ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the short help."""
        self.print_help(ctx, everything=False)

    def print_help(self, ctx: Any, *, everything: bool) -> None:
        """Print usage, examples, arguments and options: all of them, or those that matter."""
        short: frozenset[str] | None = None if everything else getattr(self.callback, "short_help_names", None)
        params = [param for param in self.get_params(ctx) if not getattr(param, "hidden", False)]
        shown = [param for param in params if short is None or _is_always_shown(param) or param.name in short]
        lines = [f"{_bold('Usage:')} {_usage(self, ctx)}", "", *_described(self.help or "")]
        for heading, rows in _panels(shown):
            lines += ["", _bold(heading), *_columns(rows)]
        if len(shown) < len(params):
            rest = f"`{ctx.command_path} --help-all` lists all {len(params)} options."
            lines += ["", *textwrap.wrap(rest, help_width())]
        typer.echo("\n".join(lines))


class Group(TyperGroup):
    """Commands, listed with what each does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As the library does. Raises ConfigError for what cannot be read."""
        return _parsed(super().parse_args, ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As the library does. Raises ConfigError for a word that is no command."""
        if args and args[0] not in self.commands and not ctx.resilient_parsing:
            raise unknown_command(args[0], ctx)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the commands, then the options."""
        lines = [f"{_bold('Usage:')} {_usage(self, ctx)}", "", *_described(self.help or "")]
        commands = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        rows = [(name, _first_sentence(command.help or "")) for name, command in commands if not command.hidden]
        lines += ["", _bold("Commands"), *_columns(rows, 18)]
        for heading, rows in _panels(self.get_params(ctx)):
            lines += ["", _bold(heading), *_columns(rows)]
        typer.echo("\n".join(lines))


def _parsed(parse: Callable[[Any, list[str]], list[str]], ctx: Any, args: list[str]) -> list[str]:
    given = list(args)  # the library takes words out of its list
    try:
        rest = parse(ctx, args)
        if not ctx.resilient_parsing:  # while the shell completes
            refuse_repeated(ctx, given)
        return rest
    except Exception as raised:
        error = one_line(raised, ctx, given)
        if error is raised:
            raise
        raise error from None


def show_everything(context: typer.Context, wanted: bool) -> None:
    """The callback of `--help-all`."""
    if wanted and isinstance(context.command, Command):
        context.command.print_help(context, everything=True)
        raise typer.Exit


def _is_always_shown(param: Any) -> bool:
    return param.param_type_name == "argument" or param.name in ("help", "help_all")


def help_width() -> int:
    """Columns for texts that people read: those of the terminal, within `WIDTHS`."""
    least, most = WIDTHS
    return max(least, min(most, shutil.get_terminal_size().columns))


def _bold(text: str) -> str:
    return typer.style(text, bold=True)


def _usage(command: Any, ctx: Any) -> str:
    """`vidseg train [OPTIONS] DATA...`; an argument that may be left out stands in brackets."""
    words = []
    for param in command.get_params(ctx):
        if param.param_type_name == "argument":
            word = param.metavar if param.required else f"[{param.metavar}]"
            words.append(word + ("..." if param.nargs == -1 else ""))
    subcommand = ["COMMAND", "[ARGS]..."] if isinstance(command, Group) else []
    return " ".join((ctx.command_path, "[OPTIONS]", *words, *subcommand))


def _plain(text: str) -> str:
    """Without the escapes of Rich's markup."""
    return " ".join(text.replace("\\[", "[").split())


def _first_sentence(text: str) -> str:
    return _plain(inspect.cleandoc(text).split("\n\n")[0])


def _described(help_text: str) -> Iterator[str]:
    """Lines of a docstring: its examples, one a line, right after the first paragraph."""
    paragraphs = inspect.cleandoc(help_text).split("\n\n")
    examples = [part for part in paragraphs if part.startswith("Example")]
    texts = [part for part in paragraphs if part not in examples]
    for number, part in enumerate((*texts[:1], *examples, *texts[1:])):
        yield from ("",) if number else ()
        if part not in examples:
            yield from textwrap.wrap(_plain(part), help_width(), break_on_hyphens=False)
            continue
        yield _bold("Examples" if part.startswith("Examples") else "Example")
        for command in re.findall(r"`([^`]+)`", part):
            yield from _command_lines(" ".join(command.split()))


def _command_lines(command: str) -> list[str]:
    """A command that can be copied, also where it takes several lines."""
    lines = textwrap.wrap(command, help_width() - 8, break_on_hyphens=False, break_long_words=False)
    return ["  " + line for line in " \\\n    ".join(lines).split("\n")]


def _panels(params: Iterable[Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Headings with their (flags, description), arguments first, `--help` last."""
    found: dict[str, list[tuple[str, str]]] = {}
    for param in params:
        kind = "Arguments" if param.param_type_name == "argument" else "Options"
        rows = found.setdefault(getattr(param, "rich_help_panel", None) or kind, [])
        rows.append((_flags(param), description(param)))
    rest = found.pop("Options", None)
    yield from found.items()
    if rest:
        yield "Options", rest


def _flags(param: Any) -> str:
    """`-o, --output OUT`; of a switch `--[no-]smooth`, `-y/-n, --[no-]overwrite`."""
    word = param.metavar or str(param.name).rpartition("_")[2].upper()
    if param.param_type_name == "argument":
        return word
    off = set(param.secondary_opts)
    names = []
    for name in sorted(param.opts, key=lambda text: text.startswith("--")):
        opposite = f"--no-{name.removeprefix('--')}"
        names.append(f"--[no-]{name.removeprefix('--')}" if opposite in off else name)
        off.discard(opposite)
    names[0] = "/".join((names[0], *(name for name in param.secondary_opts if name in off)))
    return ", ".join(names) + ("" if param.is_flag else f" {word}")


def description(param: Any) -> str:
    """What a parameter does, with its default, without markup."""
    text = _plain(getattr(param, "help", None) or "")
    default = param.default
    if param.show_default and default is not None and default is not False and not callable(default):
        text = f"{text.removesuffix('.')}; default {'yes' if default is True else default}"
    return f"{text} (required)" if param.required and param.param_type_name == "option" else text


def _columns(rows: Iterable[tuple[str, str]], column: int = _HELP_COLUMN) -> Iterator[str]:
    for left, text in rows:
        wrapped = textwrap.wrap(text, help_width() - column, break_on_hyphens=False)
        styled = "  " + typer.style(left, fg="cyan")
        if len(left) + 4 > column:
            yield styled
        else:
            yield styled + " " * (column - 2 - len(left)) + (wrapped.pop(0) if wrapped else "")
        yield from (" " * column + line for line in wrapped)
