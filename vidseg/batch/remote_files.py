"""Files behind URLs (s3://, gs://, https:// ...): found, downloaded and uploaded through fsspec."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from vidseg.atomic import PART_SUFFIX, write_failure
from vidseg.batch.identity import WEB_SCHEMES
from vidseg.errors import ConfigError, SinkError, SourceError, VidsegError, WriteError, first_line
from vidseg.names import shown_name, url_scheme
from vidseg.wildcards import is_glob
from vidseg.wiring.input_files import Identity

WHOLE_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss"})
"""Stores in which a file is there when all of it is, and not before."""
CHUNK_BYTES = 4 << 20
CONNECT_SECONDS, SILENT_SECONDS = 30, 60
"""A web server may take so long to answer, and to send the next byte. (aiohttp's own limit is for whole transfers.)"""

_TAGS = ("ETag", "etag", "md5Hash", "Content-MD5", "content_md5", "Digest", "checksum", "modify")
_TIMES = ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified", "created")
_URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^\s'\"]+")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that was found."""

    url: str
    folder: str
    """Where below the searched folder, relative; empty for a file named by itself."""
    identity: Identity


def connect(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it.

    Raises:
        ConfigError: a package is missing, with its name.
        SourceError: the server cannot be reached. Only the reason, without the URL.
    """
    web = url_scheme(url) in WEB_SCHEMES
    try:
        import fsspec

        options: dict[str, Any] = {}
        if web:
            import aiohttp

            limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
            options["client_kwargs"] = {"timeout": limits}
        system, path = fsspec.url_to_fs(url, **options)
    except ImportError as error:
        if web or (error.name or "").startswith("fsspec"):
            raise ConfigError(
                f"{shown_name(url)}: {error.name or 'fsspec'} is not installed; pip install 'vidseg[remote]'"
            ) from None
        raise ConfigError(f"{shown_name(url)}: a package for fsspec is missing ({error})") from None
    except Exception as error:
        raise SourceError(_reason(error)) from error
    return system, path


def find_files(word: str, is_wanted: Callable[[str], bool]) -> list[RemoteFile]:
    """The file of a URL; those in it if it is a folder (searched to the bottom), or that match it if it is a pattern.

    Args:
        is_wanted: whether a file of this name is taken where it was not named by itself.
    Raises:
        ConfigError: a package is missing.
        SourceError: there is none, or the server does not let in. Only the reason, without the URL.
    """
    system, path = connect(word)
    try:
        if url_scheme(word) in WEB_SCHEMES:
            if path.endswith("/"):
                raise SourceError("a web server cannot list its files; name each file")
            return [RemoteFile(word, "", _identity(system.info(path)))]
        kind = None
        with contextlib.suppress(FileNotFoundError):
            _forget(system)
            info = system.info(path)
            kind = info["type"]
        if kind == "file":
            return [RemoteFile(word, "", _identity(info))]
        if kind is None and not word.endswith("/") and not is_glob(path):
            raise SourceError("no such file")
        if kind is not None or not is_glob(path):
            found = _below(system, word, path, is_wanted)
            nothing = "no video in this folder"
        else:
            found = _matches(system, word, path, is_wanted)
            nothing = "no video matches"
    except VidsegError:
        raise
    except Exception as error:
        raise SourceError(_reason(error)) from error
    if not found:
        raise SourceError(nothing)
    return found


def _below(system: Any, url: str, top: str, is_wanted: Callable[[str], bool]) -> list[RemoteFile]:
    found = []
    for path, info in sorted(system.find(top, detail=True).items()):
        relative = path[len(top) :].strip("/")
        *folders, name = relative.split("/")
        if info["type"] == "file" and is_wanted(name) and not any(folder.startswith(".") for folder in folders):
            found.append(RemoteFile(f"{url.rstrip('/')}/{relative}", "/".join(folders), _identity(info)))
    return found


def _matches(system: Any, url: str, pattern: str, is_wanted: Callable[[str], bool]) -> list[RemoteFile]:
    base = re.split(r"[*?[]", url, maxsplit=1)[0].rpartition("/")[0] + "/"
    above = connect(base)[1]
    last = pattern.rpartition("/")[2]
    ending = last.rpartition(".")[2] if "." in last else "*"
    any_ending = not is_glob(ending)
    found = []
    for path, info in sorted(system.glob(pattern, detail=True).items()):
        one = base + path[len(above) :].lstrip("/")
        if info["type"] == "directory":
            if "**" not in pattern:
                found += _below(system, one, path, is_wanted)
        elif any_ending or is_wanted(path.rpartition("/")[2]):
            found.append(RemoteFile(one, "", _identity(info)))
    return found


def download(url: str, target: str, *, aborted: Callable[[], bool]) -> Identity | None:
    """Copy a file here; returns what it is known by, None when it was aborted.

    Raises:
        ConfigError: a package is missing.
        SourceError: cut off, changed meanwhile, gone, or no way to it. Only the reason, without the URL.
        WriteError: no space here.
    """
    system, path = connect(url)
    web = url_scheme(url) in WEB_SCHEMES
    done = 0
    try:
        before = _fresh_info(system, path)
        # for a web server 0 means one request for all: not every one can send parts
        with system.open(path, "rb", **({"block_size": 0} if web else {})) as source, open(target, "wb") as copy:
            while data := source.read(CHUNK_BYTES):
                if aborted():
                    return None
                _write(copy, data, target)
                done += len(data)
        after = _fresh_info(system, path)
    except VidsegError:
        raise
    except Exception as error:
        raise SourceError(f"cannot be downloaded ({_reason(error)})") from error
    if _identity(after) != _identity(before):
        raise SourceError("changed while it was being copied; try again when nothing writes to it any more")
    if before["size"] is not None and done != before["size"]:
        raise SourceError(f"the transfer was cut off after {done} of {before['size']} bytes; try again")
    return _identity(before)


def _write(copy: Any, data: bytes, target: str) -> None:
    try:
        copy.write(data)
        copy.flush()
    except OSError as error:
        raise WriteError(f"{write_failure(target, error)} (TMPDIR names another folder for copies)") from error


def upload(files: Mapping[str, str], *, mark: str | None = None, new: tuple[str, ...] = ()) -> dict[str, Identity]:
    """Copy files there, from local path to URL; returns what each URL is known by.

    Names appear when their files are whole: in object stores by themselves, elsewhere by renaming a `.part` file. After
    a failure nothing is left but what replaced something.

    Args:
        mark: URL of an empty file that tells later attempts that this one came so far; with it `new` does not matter.
        new: URLs that have to be free, unless an earlier attempt left its mark.
    Raises:
        ConfigError: a package is missing.
        WriteError: no way to it, not allowed, or a name is taken.
    """
    suffix = f"{PART_SUFFIX}-{uuid.uuid4().hex[:12]}"
    left: dict[str, Any] = {}
    url = next(iter(files.values()), mark or "")
    try:
        marked = mark is not None and _exists(mark)
        for url in () if marked else new:
            if _exists(url):
                raise WriteError(f"{shown_name(url)}: was created by another program meanwhile; -y replaces it")
        if mark is not None:
            url = mark
            system, path = connect(mark)
            system.makedirs(system._parent(path), exist_ok=True)
            system.pipe_file(path, b"")
        renames = []
        for local, url in files.items():
            system, path = connect(url)
            if url_scheme(url) not in WHOLE_OBJECTS:
                system.makedirs(system._parent(path), exist_ok=True)
                left[path + suffix] = system
                system.put_file(local, path + suffix)
                renames.append((url, system, path))
        for url, system, path in renames:  # noqa: B007 - named in the error
            if not system.exists(path):
                left[path] = system
            system.mv(path + suffix, path)
            del left[path + suffix]
        for local, url in files.items():
            if url_scheme(url) in WHOLE_OBJECTS:
                system, path = connect(url)
                if not _exists(url):
                    left[path] = system
                system.put_file(local, path)
        known = {}
        for url in files.values():
            system, path = connect(url)
            known[url] = _identity(_fresh_info(system, path))
        left.clear()
        return known
    except (ConfigError, SinkError):
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, SourceError) else _reason(error)
        raise WriteError(f"{shown_name(url)}: cannot be written ({reason})") from error
    finally:
        for path, system in left.items():
            with contextlib.suppress(Exception):
                system.rm_file(path)


def remove_folder(url: str) -> None:
    """Remove a folder and all in it. Never raises."""
    with contextlib.suppress(Exception):
        system, path = connect(url)
        system.rm(path, recursive=True)


class RemoteFolder:
    """What was in an output folder when this was made."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError for a missing package, SinkError if the folder cannot be listed."""
        if url_scheme(url) in WEB_SCHEMES:
            raise SinkError(
                f"{shown_name(url)}: a web server cannot take outputs; give a folder, or e.g. s3://bucket/out"
            )
        try:
            system, top = connect(url)
            found: dict[str, Any] = {}
            _forget(system)
            with contextlib.suppress(FileNotFoundError):
                found = system.find(top, detail=True)
        except ConfigError:
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, SourceError) else _reason(error)
            raise SinkError(f"{shown_name(url)}: the output folder cannot be listed ({reason})") from error
        self._files = {f"{url}/{path[len(top) :].strip('/')}": _identity(info) for path, info in found.items()}
        self._folders = {name[:end] for name in self._files for end in _slashes(name)}

    def identify(self, url: str) -> Identity | None:
        """By what a file is known again; None for folders, and for what is not there."""
        return self._files.get(url)

    def exists(self, url: str) -> bool:
        """Whether there is a file or folder of this name."""
        return url in self._files or url.rstrip("/") in self._folders


def _slashes(text: str) -> list[int]:
    return [index for index, character in enumerate(text) if character == "/"]


def _exists(url: str) -> bool:
    system, path = connect(url)
    _forget(system)
    return bool(system.exists(path))


def _fresh_info(system: Any, path: str) -> Any:
    _forget(system)
    return system.info(path)


def _forget(system: Any) -> None:
    """Let the next question be asked of the server; file systems remember listings."""
    system.invalidate_cache()


def _identity(info: Mapping[str, Any]) -> Identity:
    """From what a file system tells of a file: the first that it has of content tags, and of times."""
    tag = next((str(info[key]) for key in _TAGS if info.get(key)), "")
    time_ns = next((_nanoseconds(info[key]) for key in _TIMES if info.get(key)), 0)
    if tag:  # one store tells the time of one file in seconds here, and more exactly there
        time_ns -= time_ns % 1_000_000_000
    return Identity(info.get("size") or 0, time_ns, tag)


def _nanoseconds(value: Any) -> int:
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value) if value[:4].isdigit() else parsedate_to_datetime(value)
        seconds = value.timestamp() if isinstance(value, datetime) else float(value)
        return int(seconds * 1_000_000_000)
    except (ValueError, TypeError, OverflowError):
        return 0


def _reason(error: BaseException) -> str:
    """One line without passwords. A web file system says "not found" of everything; what was wrong is the cause."""
    cause = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
    status = getattr(cause, "status", None)
    if isinstance(cause, FileNotFoundError) or status in (404, 410):
        return "no such file"
    if isinstance(status, int) and status:
        return f"the server answered {status} {shown_name(str(getattr(cause, 'message', '')))}".rstrip()
    if isinstance(cause, TimeoutError):
        return "the server did not answer in time"
    return _URL_IN_TEXT.sub(lambda found: shown_name(found[0]), first_line(cause))
