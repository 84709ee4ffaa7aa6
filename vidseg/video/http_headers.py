"""What servers want to hear with the request for an address: kept here, because many places open one by its name."""

from __future__ import annotations

from collections.abc import Mapping

_HEADERS: dict[str, str] = {}


def remember_headers(url: str, headers: Mapping[str, str]) -> None:
    """Send these with each request for the address."""
    lines = (f"{name}: {value}\r\n" for name, value in headers.items() if not {"\r", "\n"} & set(f"{name}{value}"))
    _HEADERS[url] = "".join(lines)


def header_options(url: str) -> dict[str, str]:
    """FFmpeg's options for opening the address."""
    headers = _HEADERS.get(url)
    return {"headers": headers} if headers else {}
