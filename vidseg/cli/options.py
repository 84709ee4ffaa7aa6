"""Commands built from tables: the options of `vidseg run` (`vidseg.config`), and those of each command's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from vidseg.cli.completion import completer
from vidseg.cli.help import show_everything
from vidseg.config import OPTIONS


def parameter(name: str, kind: Any, info: Any, default: Any = None) -> inspect.Parameter:
    """A parameter for a command built by `made_of`.

    Args:
        kind: type of the value; it may also be None if there is no default.
        info: typer's option or argument.
        default: `...` if a value is required.
    """
    if default is ...:
        default = inspect.Parameter.empty
    elif default is None:
        kind = kind | None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info])


def argument(name: str, kind: Any, metavar: str, help_text: str, default: Any = None) -> inspect.Parameter:
    """A positional parameter; the rest as in `parameter`."""
    return parameter(name, kind, typer.Argument(metavar=metavar, help=help_text, show_default=False), default)


def flag(
    name: str,
    kind: Any,
    help_text: str,
    metavar: str | None = None,
    *,
    also: tuple[str, ...] = (),
    flags: tuple[str, ...] | None = None,
    panel: str | None = None,
    default: Any = None,
    **more: Any,
) -> inspect.Parameter:
    """A parameter with flags, whose values shells complete; the rest as in `parameter` and `typer.Option`.

    Args:
        help_text: tells the default, or leaves that to typer.
        also: flags beyond `--name` (and `--no-name`, for a switch that is on).
        flags: all flags, where these are others.
    """
    dashed = name.replace("_", "-")
    flags = flags or (f"--{dashed}/--no-{dashed}" if default is True else f"--{dashed}", *also)
    info = typer.Option(
        *flags,
        help=help_text,
        metavar=metavar,
        rich_help_panel=panel,
        show_default="default" not in help_text,
        **{"autocompletion": completer(name), **more},
    )
    return parameter(name, kind, info, default)


CONFIG_FILE = flag(
    *("config", Path, "Read any of these options from a YAML file.", "FILE"),
    also=("-c",),
    panel="Settings and messages",
)


def run_options(
    names: Iterable[str], *, panels: bool = True, config_file: bool = False, **texts: str
) -> list[inspect.Parameter]:
    """Parameters for these options of a run, from the option table; None stands for "not given".

    Args:
        panels: group them under their headings.
        config_file: add --config after --preset.
        texts: help by name, where this command differs from `vidseg run`.
    """
    made = []
    for name in names:
        entry = OPTIONS[name]
        if not entry.flag:
            continue
        help_text, metavar = entry.texts()
        panel = entry.panel if panels else None
        help_text = texts.get(name, help_text)
        kind = bool if entry.check.kind is bool else str  # the table tells what a number has to be
        made.append(flag(name, kind, help_text, metavar, flags=entry.flags(name), panel=panel))
        if name == "preset" and config_file:
            made.append(CONFIG_FILE)
    return made


_HELP_ALL = flag("help_all", bool, "Show all options and exit.", default=False, is_eager=True, callback=show_everything)


def short_names(own: Iterable[str] = ()) -> frozenset[str]:
    """Options that the short help of a command shows: those of the option table, and these of its own."""
    return frozenset(own) | {name for name, entry in OPTIONS.items() if entry.short}


def made_of(
    *parameters: inspect.Parameter, short: frozenset[str] | None = None
) -> Callable[[Callable[[dict[str, Any]], None]], Callable[..., None]]:
    """Decorator that makes a function a command with these parameters; it receives their values by name.

    Args:
        short: names of the options that its help shows, the others being left to `--help-all`; None: all.
    """
    if short is not None:
        parameters = (*parameters, _HELP_ALL)

    def decorate(command: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
        def wrapper(**given: Any) -> None:
            given.pop("help_all", None)
            command(given)

        wrapper.__name__, wrapper.__doc__, wrapper.__module__ = command.__name__, command.__doc__, command.__module__
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {item.name: item.annotation for item in parameters}
        wrapper.short_help_names = short  # type: ignore[attr-defined]
        return wrapper

    return decorate


def flags_of(given: dict[str, Any], names: Iterable[str] = OPTIONS) -> dict[str, Any]:
    """The values that belong to options of a run, as `vidseg.presets.resolve` takes them."""
    return {name: _value(name, given[name]) for name in names if name in given}


def _value(name: str, value: Any) -> Any:
    """What the text of a flag stands for; the text itself where it is no number, for the error to show."""
    check = OPTIONS[name].check
    if not isinstance(value, str):
        return value
    if check.read_flag is not None:
        return check.read_flag(value)
    try:
        return check.kind(value)
    except ValueError:
        return value
