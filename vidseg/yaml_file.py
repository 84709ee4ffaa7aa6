"""YAML as data: plain values out of a text whose size, depth and aliases have limits. The only reader of YAML here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from vidseg.errors import ConfigError, short_reason

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_VALUES = 20_000
"""Keys and values, each alias counted as all that it stands for."""
_LONGEST_NUMBER = 1000
"""Characters; longer ones take long to compute, and Python does not print them."""


class _Refused(Exception):
    """What is wrong with a node, in a few words."""

    def __init__(self, reason: str, node: yaml.Node | yaml.Event) -> None:
        super().__init__(reason)
        self.problem_mark = node.start_mark


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with limits. Counts what was composed, and what each node holds."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._values = 0
        self._held: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        before = self._values
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Refused(f"more than {MAX_DEPTH} levels", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if not isinstance(event, yaml.AliasEvent):
            self._values += 1
            self._held[id(node)] = self._values - before
        elif id(node) in self._held:
            self._values += self._held[id(node)]
        else:
            raise _Refused("a value that contains itself", event)
        if self._values > MAX_VALUES:
            raise _Refused(f"more than {MAX_VALUES} values", event)
        if isinstance(node, yaml.ScalarNode):
            _check_scalar(node)
        elif isinstance(node, yaml.MappingNode):
            _check_keys(node)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (yaml.YAMLError, _Refused):
            raise
        except Exception:  # of int(), date() and the like, a dozen kinds
            raise _Refused(f"{str(node.value)[:40]!r} is not a value", node) from None


def _check_scalar(node: yaml.ScalarNode) -> None:
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in node.value):
        raise _Refused("a character that is not allowed in names or text", node)
    if node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float") and len(node.value) > _LONGEST_NUMBER:
        raise _Refused(f"a number of {len(node.value)} characters", node)


def _check_keys(node: yaml.MappingNode) -> None:
    """YAML wants each key once; PyYAML takes the last of several without a word."""
    known = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
            if (key.tag, key.value) in known:
                raise _Refused(f"{key.value[:40]!r} is there twice", key)
            known.add((key.tag, key.value))


def parse_yaml(text: str, origin: str, *, accepted: str) -> Any:
    """The value of a YAML text: mappings, lists, strings, numbers, dates, None.

    Args:
        origin: of the text, begins the error.
        accepted: ends the error.
    Raises:
        ConfigError: no YAML, a value that cannot be built, or one above the limits.
    """
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except Exception as error:  # PyYAML's scanner lets others pass, too, e.g. of chr()
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        detail = f" ({error})" if isinstance(error, _Refused) else ""
        raise ConfigError(f"{origin}: not valid YAML{line}{detail}; {accepted}") from None


def read_yaml(path: Path, *, missing: str, accepted: str) -> Any:
    """The value of a YAML file; as `parse_yaml`.

    Args:
        missing: what is said where there is no such file, e.g. "no such config file".
    Raises:
        ConfigError: it cannot be read, is too large, or as `parse_yaml`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES // 1024} kB; {accepted}")
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: {missing}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({short_reason(error)}); a YAML text file is needed") from None
    return parse_yaml(text, str(path), accepted=accepted)
