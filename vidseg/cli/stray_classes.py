"""Class names mistaken for sources: `--classes person car` instead of `--classes person,car`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from vidseg.errors import ConfigError
from vidseg.labels import ade20k
from vidseg.names import expand_user

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


def _is_class(text: str) -> bool:
    if not text.strip(",").replace(" ", "").isalpha():
        return False
    try:
        return bool(ade20k().find_all([word for word in text.split(",") if word]))
    except ConfigError:
        return False
