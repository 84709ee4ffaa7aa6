"""The options of `vidseg run` for other commands: declared once, and new ones are picked up by themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

from vidseg.cli.run import run
from vidseg.config import option_names


def with_run_options(*, without: Collection[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator: the command gets all options of `vidseg run` but those named, after its own.

    Their values reach it as one mapping, in the argument `settings`; None stands for "not said". `config` is among
    them: the file's path.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters
        shared = inspect.signature(run, eval_str=True).parameters
        taken = [item for name, item in own.items() if name != "settings"]
        added = [item for name, item in shared.items() if name not in without]
        clash = {item.name for item in taken} & {item.name for item in added}
        assert not clash, f"{command.__name__} and run both have {clash}"
        names = {item.name for item in added}

        def wrapper(**values: Any) -> None:
            settings = {name: values.pop(name) for name in names}
            command(**values, settings=settings)

        parameters = [*taken, *added]
        wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {item.name: item.annotation for item in parameters}
        return wrapper

    return decorate


def flags_of(settings: dict[str, Any]) -> dict[str, Any]:
    """Those of the settings that are options of a run, as `vidseg.presets.resolve` takes them."""
    known = set(option_names())
    return {name: value for name, value in settings.items() if name in known}
