"""Words mistaken for sources: of `--classes person car`, `--smooth 0`, `in.mp4 out.mp4`, `show=True`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from vidseg.config import OPTIONS
from vidseg.errors import ConfigError
from vidseg.names import expand_user, url_scheme
from vidseg.wildcards import is_glob

_OPTIONS = ("classes", "ignore_classes", "blur_classes", "foreground", "highlight", "matte")


def refuse_stray_classes(sources: Iterable[str], settings: Mapping[str, Any]) -> None:
    """Raises ConfigError if a source is not a file but a class, and an option names classes."""
    for option in _OPTIONS:
        given = settings.get(option)
        if not given:
            continue
        stray = [source for source in sources if not os.path.lexists(expand_user(source)) and _is_class(source)]
        if stray:
            flag = "--" + option.replace("_", "-")
            together = ",".join((str(given), *stray))
            raise ConfigError(f"{' '.join(stray)}: no such file; separate class names with commas: {flag} {together}")


def refuse_stray_numbers(sources: Sequence[str], words: Sequence[str]) -> None:
    """Raises ConfigError if a number behind a switch became one of several sources: the camera of that number.

    Args:
        words: of the command line.
    """
    if len(sources) < 2:
        return  # `run --show 0` means that camera
    switches = {
        flag: name
        for name, entry in OPTIONS.items()
        if entry.check.kind is bool
        for flags in entry.flags(name)
        for flag in flags.split("/")
    }
    for flag, number in pairwise(words):
        if flag in switches and number.isascii() and number.isdecimal() and number in sources:
            off = f"--no-{switches[flag].replace('_', '-')}"
            instead = f"; {off} switches it off" if off in switches and flag != off else ""
            raise ConfigError(
                f"{flag} {number}: {flag} takes no value{instead}; camera {number} is written cam{number}"
            )


def refuse_stray_outputs(sources: Sequence[str], settings: Mapping[str, Any]) -> None:
    """Raises ConfigError if a source is not a file but an output without its flag, or `name=value`."""
    named = [source for source in sources if not is_glob(source) and not source.startswith("test:")]
    missing = [source for source in named if not os.path.lexists(expand_user(source)) and url_scheme(source) is None]
    for source in missing:
        name, equals, value = source.partition("=")
        name = name.replace("-", "_")
        if equals and name.isidentifier():
            known = name in OPTIONS and name != "source"
            instead = f"options are written --{name.replace('_', '-')} {value}" if known else "give its name alone"
            raise ConfigError(f"{source}: no such file; {instead}")
    if len(sources) < 2 or settings.get("output") or missing != [sources[-1]]:
        return
    if os.path.splitext(missing[0])[1]:
        raise ConfigError(f"{missing[0]}: no such file; if it is to be written: -o {missing[0]}")


def _is_class(text: str) -> bool:
    if not text.strip(",").replace(" ", "").isalpha():
        return False
    from vidseg.labels import ade20k

    try:
        return bool(ade20k().find_all([word for word in text.split(",") if word]))
    except ConfigError:
        return False
