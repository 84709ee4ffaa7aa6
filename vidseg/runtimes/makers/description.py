"""What was found about a network, as a YAML beside it would say it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidseg.errors import ConfigError

_LARGEST = 8 << 20


@dataclass(frozen=True, slots=True)
class Description:
    """Values in the form of the YAML, see `model_file`, and where they come from."""

    maker: str
    """For people, e.g. "Ultralytics"."""
    files: tuple[Path, ...] = ()
    """Read besides the network."""
    input: dict[str, Any] = field(default_factory=dict)
    output: dict[str, Any] = field(default_factory=dict)
    labels: Any = None
    """None where nothing names the classes."""
    assumed: tuple[str, ...] = ()
    """What the files leave open."""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no such file.

    Raises:
        ConfigError: it cannot be read, is no object, or larger than any maker's.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(f"{path}: is larger than {_LARGEST >> 20} MB, too large for a description of a network")
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as JSON ({str(error)[:80]}); fetch it again, or remove it") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: contains no JSON object; fetch it again, or remove it")
    return content


def names_of(table: Any, origin: str) -> list[str]:
    """Names in the order of their ids, of a list or of {id: name}.

    Raises:
        ConfigError: ids are missing.
    """
    if isinstance(table, list | tuple):
        return [str(name).strip() for name in table]
    try:
        by_id = {int(number): str(name).strip() for number, name in table.items()}
    except (AttributeError, TypeError, ValueError):
        raise ConfigError(f"{origin}: is {str(table)[:60]!r}; accepted: class names by id") from None
    if sorted(by_id) != list(range(len(by_id))):
        raise ConfigError(f"{origin}: ids must run from 0 to {len(by_id) - 1} without gaps")
    return [by_id[number] for number in range(len(by_id))]


def whole(value: Any) -> int | None:
    """The number, if it is a whole one above 0 (makers also write texts and 512.0)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return int(number) if number.is_integer() and 0 < number < 1 << 31 else None
