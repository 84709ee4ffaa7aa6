"""The web server in front of a stand-in for the run, asked over real connections."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from vidseg.address import Address, bound_address, listen
from vidseg.pipeline.background import BackgroundTask
from vidseg.serve import site
from vidseg.serve.server import WebServer
from vidseg.serve.view import Picture, PictureSpec

pytestmark = pytest.mark.timeout(60)


class FakePictures:
    """A run whose newest frame is `number`; a picture is a text that tells its number and wishes."""

    default = PictureSpec()
    class_count = 150

    def __init__(self, size: int = 0) -> None:
        self.number = 0
        self.closed = False
        self.asked = 0
        self.recordings: list[PictureSpec] = []
        self._size = size
        self._tickets: list = []
        self._lock = threading.Lock()

    def show(self, number: int) -> None:
        with self._lock:
            self.number = number
            tickets, self._tickets = self._tickets, []
        for ticket in tickets:
            self.ask(ticket)

    def ask(self, ticket) -> None:
        with self._lock:
            self.asked += 1
            if not self.closed and ticket.after >= self.number:
                self._tickets.append(ticket)
                return
        data = f"{self.number} {ticket.spec.encoding} {ticket.spec.view}".encode().ljust(self._size)
        ticket.deliver(None if self.closed else Picture(self.number, data))

    def forget(self, ticket) -> None:
        with self._lock:
            self._tickets = [other for other in self._tickets if other is not ticket]

    @property
    def waiting(self) -> int:
        return len(self._tickets)

    def close(self) -> None:
        self.closed = True
        self.show(self.number)

    def status(self):
        return {"frame": self.number}

    def start_recording(self, spec) -> None:
        if spec.view == "mask":
            raise ValueError("recording is off")
        self.recordings.append(spec)

    def stop_recording(self) -> None:
        raise RuntimeError("a bug")


class Site:
    """A running server and its stand-in."""

    def __init__(self, view: FakePictures, address: Address) -> None:
        self.view = view
        self.address = address

    def ask(self, path: str, method: str = "GET", **headers: str):
        """Status, headers and body of one request."""
        connection = http.client.HTTPConnection(self.address.host, self.address.port, timeout=20)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def stream(self, path: str = "/stream.mjpeg") -> socket.socket:
        """A connection on which the stream was asked for and nothing was read."""
        connection = socket.create_connection((self.address.host, self.address.port), timeout=20)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return connection


@contextmanager
def serving(view: FakePictures, *, token: str | None = None) -> Iterator[Site]:
    with listen(Address("127.0.0.1", 0), "--serve") as listener:
        server = WebServer(listener, view, token=token)
        with BackgroundTask("web", server.run, server.stop), BackgroundTask("view", lambda: None, view.close):
            yield Site(view, bound_address(listener))


@pytest.fixture
def open_site() -> Iterator[Site]:
    with serving(FakePictures()) as running:
        yield running


@pytest.fixture
def locked_site() -> Iterator[Site]:
    with serving(FakePictures(), token="open-sesame") as running:
        yield running


def test_the_page_is_whole_and_lets_nothing_foreign_in(open_site):
    status, headers, body = open_site.ask("/")
    policy = headers["Content-Security-Policy"]
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    nonce = policy.split("script-src 'nonce-")[1].split("'")[0]
    assert f'<script nonce="{nonce}">'.encode() in body and b"{{" not in body
    assert b"http://" not in body.replace(b"http://www.w3.org/2000/svg", b"") and b"https://" not in body
    assert open_site.ask("/")[1]["Content-Security-Policy"] != policy


def test_a_picture_comes_as_it_is_wished_for(open_site):
    open_site.view.show(3)
    status, headers, body = open_site.ask("/frame.jpg?view=side")
    assert (status, headers["X-Frame"], headers["Content-Type"], body) == (200, "3", "image/jpeg", b"3 jpeg side")
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin" and headers["Cache-Control"] == "no-store"
    status, headers, body = open_site.ask("/snapshot.png?width=480")
    assert (
        status == 200 and body == b"3 png overlay" and 'attachment; filename="vidseg-' in headers["Content-Disposition"]
    )


def test_who_has_the_newest_picture_waits_for_the_next(open_site):
    open_site.view.show(3)
    connection = http.client.HTTPConnection(open_site.address.host, open_site.address.port, timeout=20)
    connection.request("GET", "/frame.jpg?after=3")
    while not open_site.view.waiting:
        open_site.ask("/status.json")
    open_site.view.show(8)
    assert connection.getresponse().headers["X-Frame"] == "8"
    connection.close()


def test_without_a_new_frame_the_answer_is_empty(open_site, monkeypatch):
    monkeypatch.setattr(site, "PATIENCE_SECONDS", 0.05)
    assert open_site.ask("/frame.jpg")[::2] == (204, b"")
    assert open_site.ask("/snapshot.png")[::2] == (503, b"no picture yet")
    assert open_site.view.waiting == 0


def test_wishes_that_cannot_be_are_told(open_site):
    assert open_site.ask("/frame.jpg?opacity=2")[::2] == (400, b"opacity is '2'; accepted: a number from 0 to 1")
    assert open_site.ask("/frame.jpg?after=x")[0] == 400
    assert open_site.ask("/record", "POST")[::2] == (400, b"do is missing; accepted: start, stop")
    assert open_site.ask("/record?do=start&view=mask", "POST")[::2] == (400, b"recording is off")
    assert open_site.ask("/nothing")[0] == 404


def test_status_is_json(open_site):
    open_site.view.show(5)
    assert json.loads(open_site.ask("/status.json")[2]) == {"frame": 5}


def test_several_viewers_see_the_stream_at_once(open_site):
    viewers = [open_site.stream().makefile("rb") for _ in range(4)]
    for number in (1, 2):
        open_site.view.show(number)
        for viewer in viewers:
            while not viewer.readline().startswith(b"%d jpeg" % number):
                pass
    for viewer in viewers:
        viewer.close()


def test_a_viewer_that_never_reads_harms_nobody_and_does_not_ask_for_more():
    view = FakePictures(size=16_000_000)  # more than the sockets hold
    with serving(view) as running:
        view.show(1)
        deaf = running.stream()
        while view.asked == 0:
            running.ask("/status.json")
        for number in range(2, 12):
            view.show(number)
            assert running.ask("/frame.jpg")[1]["X-Frame"] == str(number)
        # ten were asked for by the one that reads
        assert view.asked <= 10 + 3 and view.waiting == 0
    deaf.close()  # and the server ended before it did


def test_a_stream_ends_with_the_run():
    with serving(FakePictures()) as running:
        viewer = running.stream().makefile("rb")
        running.view.show(1)
        while not viewer.readline().startswith(b"1 jpeg"):
            pass
    assert viewer.read().endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("path", ["/", "/frame.jpg", "/stream.mjpeg", "/snapshot.png", "/status.json", "/nothing"])
def test_without_the_token_nothing_is_told(locked_site, path):
    locked_site.view.show(1)
    for given in ("", "?token=open-sesam", "?token=%C3%A9"):
        status, headers, body = locked_site.ask(path + given)
        assert status == 401 and b"overlay" not in body and "Set-Cookie" not in headers
    assert locked_site.ask("/record?do=start", "POST")[0] == 401 and not locked_site.view.recordings


def test_the_first_visit_leaves_a_cookie_that_opens_everything(locked_site):
    status, headers, _ = locked_site.ask("/?token=open-sesame")
    cookie = headers["Set-Cookie"]
    assert (status, headers["Location"]) == (303, "/")
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and f"vidseg_{locked_site.address.port}=" in cookie
    pair = cookie.split(";")[0]
    assert locked_site.ask("/", Cookie=pair)[0] == 200
    assert locked_site.ask("/status.json", Cookie=pair)[0] == 200
    assert locked_site.ask("/status.json", Cookie=pair + "x")[0] == 401


def test_other_programs_bring_the_token_in_the_address_or_a_header(locked_site):
    locked_site.view.show(1)
    assert locked_site.ask("/frame.jpg?token=open-sesame")[0] == 200
    assert locked_site.ask("/status.json", Authorization="Bearer open-sesame")[0] == 200
    assert locked_site.ask("/status.json", Authorization="Basic open-sesame")[0] == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "[", ""])
def test_a_foreign_name_that_points_here_gets_nothing(open_site, host):
    assert open_site.ask("/status.json", Host=host)[0] == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:9000", "[::1]:80"])
def test_names_of_this_machine_get_through(open_site, host):
    assert open_site.ask("/status.json", Host=host)[0] == 200


def test_with_a_token_any_name_will_do(locked_site):
    assert locked_site.ask("/status.json?token=open-sesame", Host="cam.example")[0] == 200


def test_only_the_own_page_can_change_something(open_site):
    start = "/record?do=start&view=side"
    own = f"127.0.0.1:{open_site.address.port}"
    assert open_site.ask(start, "POST", Origin="http://evil.example")[0] == 403
    assert open_site.ask(start, "POST", Origin="null")[0] == 403
    assert open_site.ask(start, "GET")[0] == 405
    assert not open_site.view.recordings
    assert open_site.ask(start, "POST", Origin=f"http://{own}")[0] == 200
    assert open_site.ask(start, "POST", Origin="https://proxy.example", Sec_Fetch_Site="same-origin")[0] == 200
    assert [spec.view for spec in open_site.view.recordings] == ["side", "side"]


def test_a_bug_is_told_at_the_end_and_the_others_are_served_on():
    with pytest.raises(RuntimeError, match="a bug"), serving(FakePictures()) as running:
        assert running.ask("/record?do=stop", "POST")[0] == 500
        assert running.ask("/status.json")[0] == 200
