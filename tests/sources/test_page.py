"""The video behind the address of a web page."""

from __future__ import annotations

import functools
import http.server
import sys
import threading
import types
from pathlib import Path

import pytest

from tests.sinks.sink_helpers import audio_packets, write_all
from tests.video.clips import make_clip
from vidseg.errors import SourceError
from vidseg.sinks.av_sink import AvSink
from vidseg.sources.factory import open_source

PAGE = b"<!DOCTYPE html><html><head><title>A film</title></head><body><video src='film.mp4'></video></body></html>"


class Server(http.server.SimpleHTTPRequestHandler):
    """Gives a page to all, and films to those who send the right header."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        if "secret" in self.path and self.headers.get("X-Pass") != "let me in":
            self.send_error(403)
            return
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path):
    make_clip(tmp_path / "film.mp4", frames=5)
    make_clip(tmp_path / "secret.mp4", frames=5)
    make_clip(tmp_path / "secret_sound.mp4", frames=5, audio_seconds=0.2)
    (tmp_path / "page.html").write_bytes(PAGE)
    Server.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch):
    """Stands for yt-dlp: `found` is what it says of a page, `options` what it was asked."""
    fake = types.ModuleType("yt_dlp")
    fake.utils = types.SimpleNamespace(YoutubeDLError=RuntimeError)  # type: ignore[attr-defined]

    class Finder:
        found: object = None
        options: dict[str, object] = {}  # noqa: RUF012

        def __init__(self, options) -> None:
            Finder.options = options

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def extract_info(self, page: str, download: bool):
            assert not download
            if isinstance(Finder.found, Exception):
                raise Finder.found
            return Finder.found

    fake.YoutubeDL = Finder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "yt_dlp", fake)
    return Finder


def test_pictures_and_audio_may_be_two_addresses_with_headers(site, finder, tmp_path) -> None:
    headers = {"X-Pass": "let me in"}
    sound = {"url": f"{site}/secret_sound.mp4", "http_headers": headers, "vcodec": "none"}
    film = {"url": f"{site}/secret.mp4", "http_headers": headers, "vcodec": "h264"}
    finder.found = {"entries": [{"requested_formats": [sound, film]}]}
    with open_source(f"{site}/page.html", quality=720) as source:
        assert source.info.has_audio
        write_all(AvSink(tmp_path / "out.mp4", source.info, overwrite=False), source)
    assert len(audio_packets(tmp_path / "out.mp4")) > 5
    assert "[height<=?720]" in str(finder.options["format"])
    assert {"/page.html", "/secret.mp4", "/secret_sound.mp4"} <= set(Server.asked)


def test_an_address_of_a_video_does_not_go_through_it(site, finder) -> None:
    finder.found = RuntimeError("asked")
    with open_source(f"{site}/film.mp4") as source:
        assert len(list(source)) == 5


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (RuntimeError("ERROR: [generic] Unsupported URL\nmore"), r"no video there \(\[generic\] Unsupported URL\)$"),
        ({"entries": []}, "no video there that FFmpeg can read$"),
        ({"url": "file:///etc/passwd"}, "no video there that FFmpeg can read$"),
    ],
)
def test_what_it_does_not_find_is_told_in_one_line(site, finder, found, message) -> None:
    finder.found = found
    with pytest.raises(SourceError, match=rf"page\.html: yt-dlp finds {message}"):
        open_source(f"{site}/page.html")


def test_without_it_the_message_names_the_extra(site, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "yt_dlp", None)
    with pytest.raises(SourceError, match=r"page\.html: is not a video.*pip install 'vidseg\[pages\]'"):
        open_source(f"{site}/page.html")


def test_yt_dlp_itself_finds_the_video_of_a_page(site) -> None:
    pytest.importorskip("yt_dlp")
    with open_source(f"{site}/page.html") as source:
        assert len(list(source)) == 5
