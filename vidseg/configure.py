"""Values from presets, config files and flags become one configuration: defaults < preset < config file < flags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidseg.config import OPTIONS, SECRETS, RunConfig
from vidseg.errors import ConfigError
from vidseg.option_words import nearest_options


def option_names() -> list[str]:
    """Names of all options, in the order of the table."""
    return list(OPTIONS)


def merge(*layers: tuple[str, Mapping[str, Any]]) -> RunConfig:
    """The configuration from several layers; later layers override earlier ones.

    Args:
        layers: (origin, values); origin is named in errors, e.g. "presets/street.yaml" or "command line". Keys may
            be written with - or _; a value of None keeps that of earlier layers.
    Raises:
        ConfigError: an unknown key (names the nearest known one) or a value out of range.
    """
    merged: dict[str, Any] = {}
    for origin, values in layers:
        merged.update(checked(origin, values))
    if None not in (merged.get("end"), merged.get("duration")):
        raise ConfigError("--end and --duration both set the end; give one of them")
    return RunConfig(**merged)


def checked(origin: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values converted to their types, without those that are None. Raises ConfigError as `merge` does."""
    good: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in OPTIONS:
            near = nearest_options(name, OPTIONS, cutoff=0)[0]
            raise ConfigError(
                f"{origin}: unknown option '{key}'; did you mean {near}? `vidseg run --help-all` lists all"
            )
        if value is None:
            continue
        if name in good:
            raise ConfigError(f"{origin}: {name} is there twice, with _ and with -; leave one out")
        try:
            good[name] = OPTIONS[name].check(value)
        except ValueError as error:
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            flag = "--" + name.replace("_", "-")
            shown = "***" if name in SECRETS else shown
            raise ConfigError(f"{origin}: {flag} is {shown!r}; accepted: {error}") from None
    if good.get("half"):
        if good.get("precision", "auto") not in ("auto", "half"):
            raise ConfigError(f"{origin}: --half and --precision {good['precision']} contradict each other; give one")
        good["precision"] = "half"
    return good
