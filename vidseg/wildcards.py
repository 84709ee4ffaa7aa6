"""Files that match a pattern, also where symbolic links go in circles."""

from __future__ import annotations

import glob
import os
from collections import deque
from collections.abc import Iterator

_ANY_DEPTH = "**"


def is_glob(text: str) -> bool:
    """Whether a name holds characters that stand for others: * ? ["""
    return not set("*?[").isdisjoint(text)


def matching_paths(pattern: str) -> list[str]:
    """Files and folders that match, sorted; hidden ones only where the pattern names them.

    As `glob.glob(pattern, recursive=True)`, but below `**` every folder is entered once, by its shortest way. That
    function follows links that lead back up, some forty times: with one of them every file has forty names, with two
    it does not end.
    """
    return sorted(set(_matches(pattern)))


def _matches(pattern: str) -> Iterator[str]:
    parts = pattern.split("/")
    if _ANY_DEPTH not in parts:
        yield from glob.iglob(pattern)
        return
    at = parts.index(_ANY_DEPTH)
    head, rest = "/".join(parts[:at]), parts[at + 1 :]
    while rest and rest[0] == _ANY_DEPTH:
        del rest[0]
    tops = glob.glob(head) if head else ["/" if at else ""]
    for top in filter(os.path.isdir, tops) if head else tops:
        for folder in _folders(top):
            yield from _matches(os.path.join(glob.escape(folder), "/".join(rest) or "*"))


def _folders(top: str) -> Iterator[str]:
    """`top` and all folders below it that are not hidden, each once, those nearest to `top` first."""
    seen = {os.path.realpath(top)}
    waiting = deque([top])
    while waiting:
        folder = waiting.popleft()
        yield folder
        try:
            entries = sorted(os.scandir(folder or "."), key=lambda entry: (entry.is_symlink(), entry.name))
        except OSError:
            continue
        for entry in entries:
            path = os.path.join(folder, entry.name)
            if not entry.name.startswith(".") and os.path.isdir(path) and os.path.realpath(path) not in seen:
                seen.add(os.path.realpath(path))
                waiting.append(path)
