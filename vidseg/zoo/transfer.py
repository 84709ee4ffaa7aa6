"""One attempt to download a file over HTTP, continuing where an earlier attempt broke off.

`FILE.part` holds the bytes so far and `FILE.part.json` which version of the remote file they belong to. A part is only
continued when the server proves with ETag or Last-Modified (If-Range, RFC 9110 section 13.1.5) that the file is still
the same one; otherwise it is begun again.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import ssl
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from vidseg.zoo.cache import read_json, write_json

Progress = Callable[[int, int | None], None]
"""Called with (bytes so far, bytes in all or None)."""

MAX_BYTES = 2 * 1024**3
"""A file whose size nobody knows is fetched up to this: the largest known weights have a tenth of it."""
_CHUNK_BYTES = 256 * 1024
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes\s+(?:(\d+)-(\d+)|\*)/(\d+|\*)", re.IGNORECASE)


class TransferError(Exception):
    """An attempt failed. `again` says whether another one may help, `after_seconds` the wait the server asks for."""

    def __init__(self, detail: str, *, again: bool, after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.again = again
        self.after_seconds = after_seconds


@dataclass(frozen=True)
class _Version:
    """Which remote file the bytes of a part come from."""

    url: str
    etag: str | None
    last_modified: str | None
    total: int | None

    @property
    def validator(self) -> str | None:
        """What If-Range accepts: a strong ETag, else the date."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified

    def is_same_file(self, other: _Version) -> bool:
        """False when a fact that both sides know differs."""
        pairs = ((self.etag, other.etag), (self.last_modified, other.last_modified), (self.total, other.total))
        return all(mine is None or theirs is None or mine == theirs for mine, theirs in pairs)


def http_opener() -> urllib.request.OpenerDirector:
    """An opener for http and https only, proxies from the environment; unlike urllib's own it refuses ftp and file."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def fetch(
    url: str,
    part: Path,
    *,
    opener: urllib.request.OpenerDirector,
    timeout_seconds: float,
    size: int | None = None,
    progress: Progress | None = None,
) -> bool:
    """Bring a file to `part`, whole. True when bytes of an earlier attempt were used.

    Args:
        url: http or https.
        size: bytes the file must have; None where unknown, then it may have up to `MAX_BYTES`.
    Raises:
        TransferError: this attempt failed; what arrived stays in `part` where it can be continued.
        OSError: the folder of `part` cannot be used.
    """
    version = _version_of(part)
    start = part.stat().st_size if part.is_file() else 0
    if version is None or version.url != url or version.validator is None or (version.total or start) < start:
        discard(part)
        version, start = None, 0
    if version is not None and start == version.total:
        return True
    headers = {"User-Agent": "vidseg", "Accept-Encoding": "identity"}
    if version is not None and version.validator is not None and start:
        headers |= {"Range": f"bytes={start}-", "If-Range": version.validator}
    try:
        response = opener.open(urllib.request.Request(url, headers=headers), timeout=timeout_seconds)
    except HTTPError as error:
        with error:
            if error.code == 416 and start:  # the file got shorter, or had exactly the bytes that are here
                if _content_range(error.headers)[2] == start:
                    return True
                discard(part)
                raise TransferError("the server's file is shorter than the part here", again=True) from error
            raise _refusal(error) from error
    except (OSError, HTTPException) as error:
        raise _network_failure(error) from error
    with response:
        start, end, now = _agree(response, url, version, start, part)
        if size is not None and now.total not in (None, size):
            raise TransferError(f"the server offers {now.total} bytes, expected {size}", again=False)
        if size is None and (now.total or 0) > MAX_BYTES:
            raise TransferError(f"the server offers {now.total} bytes; accepted: up to {MAX_BYTES}", again=False)
        if start == 0:
            discard(part)  # before the new version is noted: old bytes must never be taken for it
        _make_room(part, (now.total or size or start) - start)
        _save_version(part, now)
        done = _receive(response, part, start, now.total, size or min(end or MAX_BYTES, MAX_BYTES), progress)
    expected = now.total if now.total is not None else end
    if expected is not None and done < expected:
        raise TransferError(f"the connection broke after {done} of {expected} bytes", again=True)
    return start > 0


def discard(part: Path) -> None:
    """Forget a part. Raises OSError."""
    part.unlink(missing_ok=True)
    _version_path(part).unlink(missing_ok=True)


def _agree(
    response: HTTPResponse, url: str, version: _Version | None, start: int, part: Path
) -> tuple[int, int | None, _Version]:
    """First byte of the answer, the byte after its last (None: until it ends), and the version it belongs to."""
    headers = response.headers
    if headers.get_content_type() == "text/html":
        raise TransferError("the server sent a web page instead of the file (a log-in page or proxy?)", again=False)
    etag, last_modified = headers.get("ETag"), headers.get("Last-Modified")
    if response.status != 206:  # the whole file: a first attempt, no support for ranges, or another version
        length = _length(headers)
        return 0, length, _Version(url, etag, last_modified, length)
    first, last, total = _content_range(headers)
    now = _Version(url, etag, last_modified, total)
    if first != start or last is None or (version is not None and not version.is_same_file(now)):
        discard(part)
        raise TransferError("the server continued with another file or place; starting over", again=True)
    if version is not None:  # a 206 may leave out what the first answer said
        now = _Version(url, etag or version.etag, last_modified or version.last_modified, total or version.total)
    return start, last + 1, now


def _receive(
    response: HTTPResponse, part: Path, start: int, total: int | None, limit: int, progress: Progress | None
) -> int:
    """Write the body behind the first `start` bytes of `part` and to the disk. Returns the size of `part`."""
    done = start
    # unbuffered: nothing is left to be written when the disk is full or Ctrl+C comes
    with _open_part(part, "ab" if start else "wb") as file:
        while True:
            if progress is not None:
                progress(done, total)
            try:
                chunk = response.read1(_CHUNK_BYTES)
            except (OSError, HTTPException) as error:
                raise _network_failure(error, done) from error
            if not chunk:
                break
            _write(file, chunk, part)
            done += len(chunk)
            if done > limit:
                discard(part)
                raise TransferError(f"the server sent more than the expected {limit} bytes", again=False)
        try:
            os.fsync(file.fileno())
        except OSError as error:
            raise _disk_failure(part, error) from error
    return done


def _open_part(part: Path, mode: str) -> IO[bytes]:
    try:
        return open(part, mode, buffering=0)
    except OSError as error:
        raise _disk_failure(part, error) from error


def _write(file: IO[bytes], chunk: bytes, part: Path) -> None:
    rest = memoryview(chunk)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise _disk_failure(part, error) from error


def _make_room(part: Path, missing_bytes: int) -> None:
    """Raises TransferError when the disk cannot hold what is still to come."""
    free = shutil.disk_usage(part.parent).free
    if missing_bytes > free:
        raise TransferError(
            f"{part.parent} has {free / 1e6:.0f} MB free, {missing_bytes / 1e6:.0f} MB are needed; "
            "make room or set VIDSEG_CACHE to another folder",
            again=False,
        )


def _disk_failure(part: Path, error: OSError) -> TransferError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TransferError(
            f"the disk of {part.parent} is full; make room or set VIDSEG_CACHE to another folder", again=False
        )
    return TransferError(
        f"cannot write {part} ({error.strerror}); set VIDSEG_CACHE to a folder that can be written", again=False
    )


def _network_failure(error: Exception, done: int | None = None) -> TransferError:
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return TransferError(f"the server's certificate is not trusted ({reason.verify_message})", again=False)
    if isinstance(reason, TimeoutError):
        what = "the server did not answer in time"
    else:
        what = f"the connection failed ({str(reason) or type(reason).__name__})".replace("\n", " ")
    return TransferError(what if done is None else f"{what} after {done} bytes", again=True)


def _refusal(error: HTTPError) -> TransferError:
    wait = error.headers.get("Retry-After", "")
    return TransferError(
        f"the server answered {error.code} {error.reason}".rstrip(),
        again=error.code in _PASSING_STATUS,
        after_seconds=float(wait) if wait.isascii() and wait.isdigit() else None,  # dates are not worth a parser
    )


def _content_range(headers: Message) -> tuple[int | None, int | None, int | None]:
    """(first, last, total) of Content-Range, None for what is not said."""
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    first, last, total = found.groups() if found else (None, None, None)
    return tuple(int(text) if text is not None and text.isdigit() else None for text in (first, last, total))  # type: ignore[return-value]


def _length(headers: Message) -> int | None:
    text = headers.get("Content-Length", "").strip()
    return int(text) if text.isascii() and text.isdigit() else None


def _version_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _version_of(part: Path) -> _Version | None:
    fields = read_json(_version_path(part))
    url, etag, last_modified, total = (fields.get(name) for name in ("url", "etag", "last_modified", "total"))
    if (
        isinstance(url, str)
        and isinstance(etag, str | None)
        and isinstance(last_modified, str | None)
        and isinstance(total, int | None)
    ):
        return _Version(url, etag, last_modified, total)
    return None


def _save_version(part: Path, version: _Version) -> None:
    try:
        write_json(_version_path(part), asdict(version))
    except OSError as error:
        raise _disk_failure(part, error) from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but only to http or https and never from https down to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (req.type == "https" and scheme == "http"):
            raise TransferError(f"the server redirects to {newurl}, which is not followed", again=False)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]
