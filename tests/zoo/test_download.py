from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import shutil
import ssl
import threading
from collections import namedtuple
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, Request

import pytest

from tests.zoo.conftest import GOOD, NAME, OTHER, SAME_SIZE, Client
from tests.zoo.server import Answer, Loopback, serve, status
from vidseg import zoo
from vidseg.errors import DownloadError
from vidseg.zoo import transfer
from vidseg.zoo.cache import read_record
from vidseg.zoo.download import ensure, pull


def test_pull_brings_the_file_and_remembers_it(server: Loopback, client: Client) -> None:
    server.play(serve(GOOD))

    assert client.pull() == client.path

    assert client.path.read_bytes() == GOOD
    record = read_record(client.path)
    assert record is not None
    assert (record.url, record.size) == (server.url, len(GOOD))
    assert record.sha256 == hashlib.sha256(GOOD).hexdigest()
    assert client.leftovers() == [f"{NAME}.pth.json", f"{NAME}.pth.lock"]
    assert client.steps[0] == (0, len(GOOD))
    assert client.steps[-1] == (len(GOOD), len(GOOD))
    assert client.steps == sorted(client.steps)
    assert client.said == [f"downloading {NAME} from {server.url} to {client.folder}"]


def test_announced_length_too_small_gives_a_cut_file_that_is_refused(server: Loopback, client: Client) -> None:
    server.play(lambda _: Answer(200, GOOD, {}, announced=1000))
    client.fails(
        "the server sent 1000 bytes that are not good weights (cut short, damaged, or not written by torch.save)"
    )
    assert client.leftovers() == [f"{NAME}.pth.lock"]
    assert len(server.requests) == 1


def test_garbage_never_gets_the_final_name(server: Loopback, client: Client) -> None:
    server.play(serve(b"nothing of use" * 1000))
    client.fails("the server sent 14000 bytes that are not good weights (not a checkpoint)")
    assert client.leftovers() == [f"{NAME}.pth.lock"]


def test_web_page_is_refused_before_it_is_fetched_or_after(server: Loopback, client: Client) -> None:
    page = b"<!doctype html><title>Log in</title>"
    server.play(lambda _: Answer(200, page, {"Content-Type": "text/html; charset=utf-8"}))
    client.fails("the server sent a web page instead of the file (a log-in page or proxy?); try")
    server.play(serve(page))
    client.fails("the server sent 36 bytes that are not good weights (a web page, not a checkpoint)")
    assert len(server.requests) == 1


def test_empty_answer_is_refused(server: Loopback, client: Client) -> None:
    server.play(serve(b""))
    client.fails("0 bytes that are not good weights (the file is empty)")


def test_missing_file_is_not_asked_for_twice(server: Loopback, client: Client) -> None:
    server.play(status(404))
    client.fails(f"{server.url}: the server answered 404 Not Found; try `vidseg models pull {NAME}` again, or give")
    assert len(server.requests) == 1


def test_busy_server_is_asked_again_after_the_time_it_names(server: Loopback, client: Client) -> None:
    server.play(status(503), status(429, Retry_After="7"), serve(GOOD))
    client.pull()
    assert client.path.read_bytes() == GOOD
    assert client.slept == [1.0, 7.0]


def test_wait_named_by_the_server_is_bounded(server: Loopback, client: Client) -> None:
    server.play(status(503, Retry_After="86400"), status(503, Retry_After="Wed, 01 Jan 2031 00:00:00 GMT"))
    client.fails("the server answered 503 Service Unavailable (3 attempts)")
    assert client.slept == [60.0, 2.0]


def test_nobody_listening(client: Client) -> None:
    client.knows(url="http://127.0.0.1:9/m.pth")
    client.fails("the connection failed (")
    assert client.slept == [1.0, 2.0]


def test_silent_server_times_out(server: Loopback, client: Client) -> None:
    never = threading.Event()
    server.play(serve(GOOD, hold=never))
    client.fails(f"the server did not answer in time after {len(GOOD) - 1} bytes", timeout_seconds=0.1, attempts=1)
    never.set()
    assert client.part.stat().st_size == len(GOOD) - 1


def test_untrusted_certificate_is_not_retried(client: Client) -> None:
    class Opener:
        def open(self, *_: object, **__: object) -> None:
            error = ssl.SSLCertVerificationError()
            error.verify_message = "self-signed certificate"
            raise URLError(error)

    client.fails("the server's certificate is not trusted (self-signed certificate)", opener=Opener())
    assert client.slept == []


def test_hash_of_the_registry_is_checked(server: Loopback, client: Client) -> None:
    client.knows(sha256=hashlib.sha256(GOOD).hexdigest(), size=len(GOOD))
    server.play(serve(SAME_SIZE))
    client.fails("wrong SHA-256: got ")
    assert client.leftovers() == [f"{NAME}.pth.lock"]
    server.play(serve(GOOD))
    assert client.pull().read_bytes() == GOOD


def test_size_of_the_registry_is_checked_before_the_body(server: Loopback, client: Client) -> None:
    client.knows(size=len(GOOD) + 5)
    server.play(serve(GOOD))
    client.fails(f"the server offers {len(GOOD)} bytes, expected {len(GOOD) + 5}")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("surplus", "text"), [(-5, "the server sent more than the expected"), (5, f"got {len(GOOD)} bytes, expected")]
)
def test_size_of_the_registry_is_checked_without_an_announced_length(
    server: Loopback, client: Client, surplus: int, text: str
) -> None:
    client.knows(size=len(GOOD) + surplus)
    server.play(lambda _: Answer(200, GOOD, {}, announced=None))
    client.fails(text)


def test_file_without_an_announced_length_is_taken_when_it_is_good(server: Loopback, client: Client) -> None:
    server.play(lambda _: Answer(200, GOOD, {}, announced=None))
    client.pull()
    assert client.path.read_bytes() == GOOD
    assert client.steps[-1] == (len(GOOD), None)


def test_full_disk_is_found_before_the_download(
    server: Loopback, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 100_000))
    server.play(serve(GOOD))
    client.fails("cache has 0 MB free, 1 MB are needed; make room or set VIDSEG_CACHE to another folder")
    assert len(server.requests) == 1


class FullDisk(io.RawIOBase):
    """A file on a disk with room for 1000 bytes more."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.room = path, 1000

    def write(self, data: Any) -> int:
        taken = min(len(data), self.room)
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= taken
        with self.path.open("ab") as file:
            return file.write(data[:taken])


def test_disk_that_fills_up_is_one_line(server: Loopback, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "open", lambda path, *_, **__: FullDisk(path), raising=False)
    server.play(serve(GOOD))
    client.fails(f"the disk of {client.folder} is full; make room or set VIDSEG_CACHE to another folder; try")
    assert client.part.read_bytes() == GOOD[:1000]
    assert client.slept == []


def test_cache_folder_that_is_a_file(client: Client) -> None:
    client.folder.write_bytes(b"")
    with pytest.raises(DownloadError, match=r"cannot store weights in .*cache \(.*\); set VIDSEG_CACHE to a folder"):
        client.pull()


def test_unpublished_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"^fai-m2f-s-ade: its weights were never published; give your own with "):
        pull(zoo.entry("fai-m2f-s-ade"), cache_dir=tmp_path)


def test_bundled_model_needs_no_download(tmp_path: Path) -> None:
    entry = zoo.entry("fai-m2f-n-ade")
    assert pull(entry, cache_dir=tmp_path) == ensure(entry, cache_dir=tmp_path) == entry.bundled_path


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/m.pth", "/m.pth"])
def test_only_http_addresses_are_fetched(client: Client, url: str) -> None:
    client.knows(url=url)
    with pytest.raises(DownloadError, match=f"cannot fetch {re.escape(url)}; only http and https are accepted"):
        client.pull()


@pytest.mark.parametrize(
    ("target", "text"), [("file:///etc/passwd", "is not allowed"), ("ftp://127.0.0.1/m.pth", "which is not followed")]
)
def test_redirect_to_another_scheme_is_refused(server: Loopback, client: Client, target: str, text: str) -> None:
    server.play(status(302, Location=target))
    client.fails(text)
    assert client.slept == []


def test_redirect_from_https_to_http_is_refused() -> None:
    handler = next(handler for handler in transfer.http_opener().handlers if isinstance(handler, HTTPRedirectHandler))
    request = Request("https://example.org/m.pth")
    with pytest.raises(transfer.TransferError, match=r"redirects to http://example\.org/m\.pth, which is not followed"):
        handler.redirect_request(request, io.BytesIO(), 302, "Found", Message(), "http://example.org/m.pth")
    moved = handler.redirect_request(request, io.BytesIO(), 302, "Found", Message(), "https://example.org/n.pth")
    assert moved is not None and moved.full_url == "https://example.org/n.pth"


def test_good_file_is_not_fetched_again_and_a_damaged_one_is(server: Loopback, client: Client) -> None:
    server.play(serve(GOOD))
    client.pull()
    client.pull()
    assert len(server.requests) == 1

    client.path.write_bytes(bytes([GOOD[0] ^ 1]) + GOOD[1:])
    client.pull()

    assert len(server.requests) == 2
    assert client.path.read_bytes() == GOOD


def test_a_published_file_that_has_changed_is_refused_unless_the_change_is_accepted(
    server: Loopback, client: Client
) -> None:
    server.play(serve(GOOD), serve(OTHER, etag='"v2"'), serve(OTHER, etag='"v2"'))
    client.pull()
    record = read_record(client.path)
    assert record is not None

    with pytest.raises(DownloadError, match=r"has changed since .*; --accept-change accepts it"):
        client.pull(force=True)
    assert client.path.read_bytes() == GOOD and read_record(client.path) == record

    client.pull(force=True, accept_change=True)

    assert client.path.read_bytes() == OTHER
    client.pull()  # what was accepted is good from now on
    assert len(server.requests) == 3
    assert client.said[-1] == (
        f"{NAME}: the published file has changed since {record.date}: SHA-256 was {record.sha256[:12]}..., "
        f"is {hashlib.sha256(OTHER).hexdigest()[:12]}..."
    )


def test_failed_forced_pull_keeps_the_good_file(server: Loopback, client: Client) -> None:
    server.play(serve(GOOD), serve(b"garbage"))
    client.pull()
    with pytest.raises(DownloadError, match="not good weights"):
        client.pull(force=True)
    assert client.path.read_bytes() == GOOD


def test_ensure_fetches_on_first_use_only(server: Loopback, client: Client) -> None:
    server.play(serve(GOOD))
    assert ensure(client.entry, cache_dir=client.folder, announce=client.said.append) == client.path
    assert ensure(client.entry, cache_dir=client.folder, announce=client.said.append) == client.path
    assert len(server.requests) == len(client.said) == 1


def test_cache_folder_comes_from_the_environment(
    server: Loopback, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSEG_CACHE", str(tmp_path / "mine"))
    server.play(serve(GOOD))
    assert ensure(client.entry) == tmp_path / "mine" / f"{NAME}.pth"


@pytest.mark.parametrize(
    ("announced", "text"),
    [
        (None, "the server sent more than the expected 1000 bytes"),
        (5000, "the server offers 5000 bytes; accepted: up to 1000"),
    ],
)
def test_a_file_of_unknown_size_has_a_limit(
    server: Loopback, client: Client, monkeypatch: pytest.MonkeyPatch, announced: int | None, text: str
) -> None:
    monkeypatch.setattr(transfer, "MAX_BYTES", 1000)
    monkeypatch.setattr(transfer, "_CHUNK_BYTES", 500)
    server.play(lambda _: Answer(200, bytes(5000), {}, announced=announced))
    client.fails(text)
    assert client.leftovers() == [f"{NAME}.pth.lock"] and len(server.requests) == 1
    assert all(done <= 1500 for done, _ in client.steps)


def test_a_file_of_unknown_size_that_is_continued_has_the_same_limit(
    server: Loopback, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MAX_BYTES", len(GOOD) - 10)
    monkeypatch.setattr(transfer, "_version_of", lambda part: transfer._Version(server.url, '"v1"', None, None))
    client.part.parent.mkdir(parents=True, exist_ok=True)
    client.part.write_bytes(GOOD[:100])
    server.play(lambda _: Answer(206, GOOD[100:], {"ETag": '"v1"', "Content-Range": f"bytes 100-{len(GOOD)}/*"}))
    client.fails(f"the server sent more than the expected {len(GOOD) - 10} bytes")
    assert not client.part.exists()
