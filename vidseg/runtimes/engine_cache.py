"""Converted networks on disk, so that only the first run of a model pays for the conversion.

Under `engines/` in the cache folder lies one ZIP file, not compressed, per model, engine and weights. Its member
`facts.json` says what it was made of, and the hash of every other member, which tells damage. A file whose facts are
not the wanted ones (another version of anything) and a file that cannot be read whole are built again and replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import lzma
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vidseg import zoo
from vidseg.errors import short_reason

Parts = dict[str, bytes]
"""Content by member name, e.g. "model.onnx"."""

_FACTS = "facts.json"
DAMAGE = (
    *(OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, struct.error),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
"""What zipfile and json raise for damage: bad checksums, cut files, headers that now name other features."""


@dataclass(frozen=True)
class EngineKey:
    """What a converted network depends on."""

    model: str
    engine: str
    weights_sha256: str
    facts: Mapping[str, str] = field(default_factory=dict)
    """Everything else: versions, code, options."""

    @property
    def file_name(self) -> str:
        """Without the facts: a new version replaces the file of the old one, other weights get their own."""
        return f"{self.model}-{self.engine}-{self.weights_sha256[:16]}.zip"


def engines_folder() -> Path:
    """Where converted networks lie. It need not exist. Raises ConfigError where there is no folder for the cache."""
    return zoo.cache_folder() / "engines"


def cached_parts(
    key: EngineKey,
    build: Callable[[], Parts],
    *,
    folder: Path | None = None,
    announce: Callable[[str], None] = lambda text: None,
) -> Parts:
    """The parts of the file for `key`, built and stored where there is no good one.

    Args:
        build: makes the parts; takes seconds.
        folder: instead of `engines_folder()`.
        announce: told one sentence before building, and one where the result cannot be stored, which is no error.
    """
    path = (engines_folder() if folder is None else folder) / key.file_name
    found = _read(path, key)
    if found is not None:
        return found
    announce(f"converting {key.model} for {key.engine}, once; kept in {path.parent}")
    parts = build()
    try:
        _write(path, key, parts)
    except OSError as error:
        announce(f"{path}: cannot be written ({short_reason(error)}); the next run will convert again")
    return parts


def _facts(key: EngineKey, parts: Parts) -> dict[str, object]:
    """What `facts.json` holds."""
    return {**asdict(key), "parts": part_hashes(parts)}


def part_hashes(parts: Parts) -> dict[str, str]:
    """Hex SHA-256 of each part, by name."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}


def _read(path: Path, key: EngineKey) -> Parts | None:
    """The parts, or None where the file is missing, stale or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist() if name != _FACTS}
            return parts if json.loads(archive.read(_FACTS)) == _facts(key, parts) else None
    except DAMAGE:
        return None


def _write(path: Path, key: EngineKey, parts: Parts) -> None:
    """Write whole or not at all; of two processes that write at once the later one wins. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f"{path.stem}-", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            archive.writestr(_FACTS, json.dumps(_facts(key, parts), indent=2))
            for name, content in parts.items():
                archive.writestr(name, content)
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
