"""Downloads published weights: fetched, checked, and only then given their final name.

Several processes may pull the same model at once: one downloads, the others wait for it. A file under its final name
has passed every check; what is unfinished is called `.part` and is continued by the next pull.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from vidseg.atomic import open_lock
from vidseg.errors import CheckpointError, DownloadError, short_reason
from vidseg.zoo.cache import FileRecord, cache_folder, cached_path, read_record, weights_path, write_record
from vidseg.zoo.registry import ModelEntry
from vidseg.zoo.transfer import Progress, TransferError, discard, fetch, http_opener

Announce = Callable[[str], None]
"""Called with one sentence for the user."""

_LONGEST_WAIT_SECONDS = 60.0


def ensure(
    entry: ModelEntry,
    *,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    announce: Announce | None = None,
) -> Path:
    """The weights file of a model, fetched first where it is not here yet. Quick when it is.

    Raises:
        DownloadError: as `pull`.
    """
    return cached_path(entry, cache_dir=cache_dir) or pull(
        entry, cache_dir=cache_dir, progress=progress, announce=announce
    )


def pull(
    entry: ModelEntry,
    *,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    announce: Announce | None = None,
    force: bool = False,
    accept_change: bool = False,
    opener: urllib.request.OpenerDirector | None = None,
    timeout_seconds: float = 30.0,
    attempts: int = 4,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Download the weights of a model, or check those that are here; the path of the good file.

    Ctrl+C leaves a `.part` that the next pull continues.

    Args:
        cache_dir: None for `cache_folder()`.
        progress: called with (bytes so far, bytes in all or None), from the first byte on.
        announce: called with sentences worth showing: what is fetched, retries, waiting, a file that has changed.
        force: download even when a good file is here.
        accept_change: take a file that differs from the one known by the registry, or from the first download.
        opener, timeout_seconds, sleep: how requests are made, how long the server may be silent, how to wait.
        attempts: requests before giving up; the wait between them starts at 1 s and doubles.
    Raises:
        DownloadError: never published, no network, refused, broken off, wrong size or hash, no checkpoint, disk full.
    """
    if entry.bundled_path is not None:
        return entry.bundled_path
    if entry.url is None:
        raise DownloadError(
            f"{entry.name}: its weights were never published; give your own with --weights FILE, "
            "or use another model (`vidseg models` lists them)"
        )
    if urlsplit(entry.url).scheme not in ("http", "https"):
        raise DownloadError(f"{entry.name}: cannot fetch {entry.url}; only http and https are accepted")
    say = announce or _say_nothing
    path = weights_path(entry, cache_folder() if cache_dir is None else cache_dir)
    if not force and _is_intact(entry, path):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(path, entry, say):
            if not force and _is_intact(entry, path):  # the process waited for has brought it
                return path
            say(f"downloading {entry.name} from {entry.url} to {path.parent}")
            part = path.with_name(path.name + ".part")
            digest = _fetch_checked(
                replace(entry, size=None, sha256=None) if accept_change else entry,
                entry.url,
                part,
                progress,
                say,
                opener or http_opener(),
                timeout_seconds,
                attempts,
                sleep,
            )
            if not accept_change:
                _refuse_change(entry, entry.url, part, path, digest)
            _publish(entry, entry.url, part, path, digest, say, accepted=accept_change)
    except OSError as error:
        raise DownloadError(
            f"{entry.name}: cannot store weights in {path.parent} ({short_reason(error)}); "
            "set VIDSEG_CACHE to a folder that can be written, or use --weights FILE"
        ) from error
    return path


def _fetch_checked(
    entry: ModelEntry,
    url: str,
    part: Path,
    progress: Progress | None,
    say: Announce,
    opener: urllib.request.OpenerDirector,
    timeout_seconds: float,
    attempts: int,
    sleep: Callable[[float], None],
) -> str:
    """SHA-256 of the part, once it is complete and valid. Raises DownloadError after the last attempt."""
    for attempt in range(1, attempts + 1):
        try:
            continued = fetch(
                url, part, opener=opener, timeout_seconds=timeout_seconds, size=entry.size, progress=progress
            )
            return _checked_digest(entry, part, continued)
        except TransferError as error:
            if not error.again or attempt == attempts:
                tries = f" ({attempts} attempts)" if error.again and attempts > 1 else ""
                raise DownloadError(
                    f"{entry.name}: {url}: {error}{tries}; "
                    f"try `vidseg models pull {entry.name}` again, or give a file with --weights FILE"
                ) from error
            wait = min(
                2.0 ** (attempt - 1) if error.after_seconds is None else error.after_seconds, _LONGEST_WAIT_SECONDS
            )
            say(f"{entry.name}: {error}; trying again in {wait:.0f} s (attempt {attempt + 1} of {attempts})")
            sleep(wait)
    raise ValueError(f"attempts must be at least 1, got {attempts}")


def _checked_digest(entry: ModelEntry, part: Path, continued: bool) -> str:
    """SHA-256 of a whole part. Raises TransferError, and forgets the part, when it is not what was asked for.

    A part put together in several goes gets a second chance, begun from nothing.
    """
    size, digest = part.stat().st_size, file_sha256(part)
    problem = None
    if entry.size is not None and size != entry.size:
        problem = f"got {size} bytes, expected {entry.size} (--accept-change accepts it)"
    elif entry.sha256 is not None and digest != entry.sha256:
        problem = f"wrong SHA-256: got {digest[:12]}..., expected {entry.sha256[:12]}... (--accept-change accepts it)"
    else:
        from vidseg.zoo.checkpoint import read_checkpoint  # torch is slow to import and not needed before

        try:
            read_checkpoint(part)
        except CheckpointError as error:
            problem = f"the server sent {size} bytes that are not good weights ({_without_path(error, part)})"
    if problem is None:
        return digest
    discard(part)
    raise TransferError(problem, again=continued)


def _refuse_change(entry: ModelEntry, url: str, part: Path, path: Path, digest: str) -> None:
    """Raises DownloadError where the file is not the one that came first; it is forgotten, and the first one stays."""
    before = read_record(path)
    if before is None or before.url != url or before.sha256 == digest:
        return
    size = part.stat().st_size
    discard(part)
    raise DownloadError(
        f"{entry.name}: the published file has changed since {before.date}: {before.size} bytes with SHA-256 "
        f"{before.sha256[:12]}... then, {size} with {digest[:12]}... now; --accept-change accepts it"
    )


def _publish(
    entry: ModelEntry, url: str, part: Path, path: Path, digest: str, say: Announce, *, accepted: bool
) -> None:
    """Give a good part its final name, for good, and remember where it came from. Raises OSError."""
    before = read_record(path)
    record = FileRecord(url, part.stat().st_size, digest, datetime.now(UTC).isoformat(timespec="seconds"), accepted)
    os.replace(part, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename survives a power cut
    finally:
        os.close(folder)
    write_record(path, record)
    discard(part)  # what remains of it: the note of its version
    if before is not None and before.url == url and before.sha256 != digest:
        say(
            f"{entry.name}: the published file has changed since {before.date}: "
            f"SHA-256 was {before.sha256[:12]}..., is {digest[:12]}..."
        )


def _is_intact(entry: ModelEntry, path: Path) -> bool:
    """True when the file has the hash of the registry, or else of its record; a file put there by hand counts."""
    if not path.is_file():
        return False
    record = read_record(path)
    wanted = entry.sha256 or (record.sha256 if record is not None else None)
    if record is not None and record.accepted:
        wanted = record.sha256
    return wanted is None or file_sha256(path) == wanted


@contextmanager
def _only_one(path: Path, entry: ModelEntry, say: Announce) -> Iterator[None]:
    """Hold the download of one file for this process. The kernel releases it when the process ends, however it ends."""
    # the lock file stays: removing it would let a third process lock a new file while a second still waits for the old
    with os.fdopen(open_lock(path.with_name(path.name + ".lock")), "wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{entry.name}: another process is downloading it; waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of the content. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _without_path(error: CheckpointError, path: Path) -> str:
    """The error text without the name of a file that is about to go, and without advice about it."""
    return str(error).removeprefix(f"{path}: ").split("; ")[0]


def _say_nothing(_: str) -> None: ...
