"""The video behind the address of a web page, found by yt-dlp."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vidseg.errors import SourceError
from vidseg.names import printable, shown_name, url_scheme

HOW_TO_GET = "pip install 'vidseg[pages]'"
DEFAULT_QUALITY = 1080


@dataclass(frozen=True, slots=True)
class PageVideo:
    """Where the pictures of a page come from, and the audio, if it is elsewhere."""

    url: str
    headers: Mapping[str, str]
    audio_url: str | None = None
    audio_headers: Mapping[str, str] | None = None


def find_video(page: str, *, quality: int | None = None, timeout: float = 10.0) -> PageVideo:
    """The best video of a page that is at most so many lines high.

    Args:
        quality: lines; None for 1080.
        timeout: seconds to wait for an answer.
    Raises:
        SourceError: yt-dlp is not installed, or finds no video that can be read.
    """
    name = shown_name(page)
    try:
        yt_dlp: Any = importlib.import_module("yt_dlp")
    except ImportError:
        raise SourceError(
            f"{name}: is not a video; if it is a page that shows one, {HOW_TO_GET} installs what finds it"
        ) from None
    lines = f"[height<=?{quality or DEFAULT_QUALITY}]"
    plain = "[protocol^=http][protocol!*=dash]"  # else an address is a list of pieces that FFmpeg does not know
    wanted = f"bv*{lines}{plain}+ba{plain}/b{lines}{plain}/b{lines}[protocol^=m3u8]/bv{lines}{plain}"
    options = {
        "format": wanted,
        "noplaylist": True,
        "playlist_items": "1",
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "cachedir": False,
        "socket_timeout": timeout,
        "logger": _Silent(),
    }
    try:
        with yt_dlp.YoutubeDL(options) as finder:
            found = finder.extract_info(page, download=False)
    except yt_dlp.utils.YoutubeDLError as error:
        reason = printable(str(error).removeprefix("ERROR: ").splitlines()[0])
        raise SourceError(f"{name}: yt-dlp finds no video there ({reason})") from None
    while found and found.get("entries"):
        found = next(iter(found["entries"]), None)
    parts = [part for part in (found or {}).get("requested_formats") or [found] if part and part.get("url")]
    parts.sort(key=lambda part: part.get("vcodec") == "none")
    if not parts or any(url_scheme(part["url"]) not in ("http", "https") for part in parts):
        raise SourceError(f"{name}: yt-dlp finds no video there that FFmpeg can read")
    video, *others = parts
    headers = dict(video.get("http_headers") or {})
    if not others:
        return PageVideo(video["url"], headers)
    return PageVideo(video["url"], headers, others[0]["url"], dict(others[0].get("http_headers") or {}))


class _Silent:
    """Takes yt-dlp's messages; what ends the search is raised as well."""

    def debug(self, text: str) -> None: ...
    def info(self, text: str) -> None: ...
    def warning(self, text: str) -> None: ...
    def error(self, text: str) -> None: ...
