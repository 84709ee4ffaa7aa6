"""Names of sources and sinks for messages: one printable line, without passwords."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

PIPE = "-"
"""Stands for standard input where a source is named, and for standard output where an output is."""
STANDARD_OUTPUT = "standard output"

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://(?P<rest>.*)", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.%]*\]|[^:@]*)(:\d*)?")
_SECRET_VALUE = re.compile(
    r"(?i)([?&;][^=&;]*(?:pass|pwd|token|key|secret|auth|sig|user|login|streamid)[^=&;]*=)[^&;]*"
)
_MASKED = r"\1***"


def counted(number: int, noun: str) -> str:
    """ "1 frame", "2 frames"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def url_scheme(text: str) -> str | None:
    """The lower-case scheme of `scheme://...`, None for anything else, Windows paths included."""
    found = _URL.fullmatch(text)
    return found["scheme"].lower() if found and len(found["scheme"]) > 1 else None


def redact_url(text: str) -> str:
    """`text` with user name, password and secret-looking query values replaced by `***`; paths come back as they are.

    Rather hides too much than too little: where there are credentials, everything up to the last `@` goes, because a
    password may hold an unescaped `/`, `?` or `@`.
    """
    found = _URL.fullmatch(text)
    if found is None:
        return text
    scheme, rest = found["scheme"], found["rest"]
    if "@" in rest and not _HOST_AND_PORT.fullmatch(re.split(r"[/?#]", rest, maxsplit=1)[0]):
        rest = "***@" + rest.rpartition("@")[2]
    return f"{scheme}://{_SECRET_VALUE.sub(_MASKED, rest)}"


def shown_name(spec: str) -> str:
    """`spec` for use in a message: credentials hidden, line breaks and other unprintable characters escaped."""
    return printable(redact_url(spec))


def printable(text: str) -> str:
    """`text` in one line, with escape sequences and whatever else a terminal would act upon as visible text."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def expand_user(path: str) -> str:
    """`path` with a leading `~` replaced by the home folder; unchanged where there is none."""
    return path if "\0" in path else os.path.expanduser(path)


def annotated_folder(path: str) -> str:
    """Where the pictures and films of a folder go unless told: NAME_annotated in the working directory."""
    return f"{os.path.basename(os.path.abspath(path))}_annotated"


def without_file_scheme(spec: str) -> str:
    """The path in a `file://` URL; anything else comes back as it is."""
    if url_scheme(spec) != "file":
        return spec
    path = spec[len("file://") :]
    return unquote(path.removeprefix("localhost") if path.startswith("localhost/") else path)


def page_title(source: str) -> str:
    """The source's name for viewers: without passwords, and without the folders it lies in."""
    name = shown_name(without_file_scheme(source))
    return name if "://" in name else os.path.basename(name.rstrip("/" + os.sep)) or name
