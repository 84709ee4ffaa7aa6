"""How the files of a batch are recognised: by name."""

from __future__ import annotations

import os
import re

from vidseg.names import shown_name, url_scheme

WEB_SCHEMES = frozenset({"http", "https"})
REMOTE_SCHEMES = WEB_SCHEMES | {
    *("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss"),
    *("ftp", "sftp", "ssh", "smb", "hdfs", "webhdfs", "local", "memory"),
}
"""URLs that fsspec copies from and to. What is not here is a stream, or nothing."""

_SIGNATURE = re.compile(r"(?i)[?&](x-amz-signature|x-goog-signature|signature|sig)=")


def is_remote(path: str) -> bool:
    """Whether this is a URL that fsspec copies from and to."""
    return url_scheme(path) in REMOTE_SCHEMES


def known_as(path: str) -> str:
    """The one name of a file: without links, or the URL without what is secret or new in every signed URL."""
    if not is_remote(path):
        return os.path.realpath(path)
    if url_scheme(path) in WEB_SCHEMES and _SIGNATURE.search(path):
        path = path.partition("?")[0]
    return shown_name(path)


def plain_path(path: str) -> str:
    """The path itself, or one with the host and path of a URL: "/host/rec/a.mp4" of "https://host/rec/a.mp4?key=1"."""
    if not is_remote(path):
        return path
    rest = path.partition("://")[2]
    if url_scheme(path) in WEB_SCHEMES:
        rest = rest.partition("?")[0].partition("#")[0]
    host, slash, below = rest.partition("/")
    return "/" + host.rpartition("@")[2] + slash + below
