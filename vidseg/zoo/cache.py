"""Where downloaded weights are stored, and what is recorded about each.

The folder is `$VIDSEG_CACHE`, else `$XDG_CACHE_HOME/vidseg`, else `~/.cache/vidseg`. Beside `NAME.pth` lies
`NAME.pth.json`: where it came from, its size and hash, and when.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from vidseg.errors import ConfigError
from vidseg.zoo.registry import ModelEntry, entries


@dataclass(frozen=True)
class FileRecord:
    """What was true of a weights file when it was downloaded."""

    url: str
    size: int
    """Bytes."""
    sha256: str
    date: str
    """UTC, ISO 8601."""
    accepted: bool = False
    """Somebody took it though it is not the file that was known."""


@dataclass(frozen=True)
class CachedEntry:
    """A model whose weights are on this machine."""

    entry: ModelEntry
    path: Path
    record: FileRecord | None
    """None for bundled weights and for files that were put into the folder by hand."""


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder for downloaded weights. It need not exist.

    Raises:
        ConfigError: no variable names a folder and the user has no home.
    """
    if named := environ.get("VIDSEG_CACHE"):
        return Path(named).expanduser()
    base = environ.get("XDG_CACHE_HOME")
    if base and Path(base).is_absolute():  # the XDG specification says to ignore relative paths
        return Path(base) / "vidseg"
    try:
        return Path.home() / ".cache" / "vidseg"
    except RuntimeError as error:
        raise ConfigError("no home folder to keep weights in; set VIDSEG_CACHE to a folder") from error


def weights_path(entry: ModelEntry, cache_dir: Path | None = None) -> Path:
    """Where the downloaded weights of a model belong, whether they are there or not. Raises ConfigError."""
    folder = cache_folder() if cache_dir is None else cache_dir
    suffix = PurePosixPath(urlsplit(entry.url or "").path).suffix
    return folder / f"{entry.name}{suffix or '.pth'}"


def cached_path(entry: ModelEntry, *, cache_dir: Path | None = None) -> Path | None:
    """The weights file of a model, bundled or downloaded; None where it has to be fetched first.

    A file that has another size than the registry or its record says was cut short or replaced, and counts as missing.

    Raises:
        ConfigError: no folder for the cache.
    """
    if entry.bundled_path is not None:
        return entry.bundled_path
    path = weights_path(entry, cache_dir)
    if not path.is_file():
        return None
    record, size = read_record(path), path.stat().st_size
    if record is not None and record.accepted:
        return path if size == record.size else None
    known_sizes = (entry.size, None if record is None else record.size)
    return path if all(known in (None, size) for known in known_sizes) else None


def cached_entries(*, cache_dir: Path | None = None) -> tuple[CachedEntry, ...]:
    """The models whose weights are here, in the order of the registry. Raises ConfigError."""
    found = []
    for entry in entries():
        path = cached_path(entry, cache_dir=cache_dir)
        if path is not None:
            found.append(CachedEntry(entry, path, None if entry.bundled else read_record(path)))
    return tuple(found)


def read_record(weights: Path) -> FileRecord | None:
    """What is remembered about a weights file; None where there is no record or it cannot be understood."""
    fields = read_json(_record_path(weights))
    try:
        return FileRecord(
            str(fields["url"]),
            int(fields["size"]),
            str(fields["sha256"]),
            str(fields["date"]),
            fields.get("accepted") is True,
        )
    except (KeyError, TypeError, ValueError):
        return None


def write_record(weights: Path, record: FileRecord) -> None:
    """Remember facts about a weights file. Raises OSError."""
    write_json(_record_path(weights), asdict(record))


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a small file; empty where it is missing, unreadable or something else."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}


def write_json(path: Path, fields: Mapping[str, object]) -> None:
    """Write a small JSON file, whole or not at all. Raises OSError."""
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    os.replace(draft, path)


def _record_path(weights: Path) -> Path:
    return weights.with_name(weights.name + ".json")
