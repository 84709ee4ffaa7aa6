"""The web server in front of a stand-in for the run, asked over real connections."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from vidseg.address import Address, bound_address, listen
from vidseg.pipeline.background import BackgroundTask
from vidseg.serve import connections, site
from vidseg.serve.connections import PLACES
from vidseg.serve.server import WebServer
from vidseg.serve.view import Picture, PictureSpec

pytestmark = pytest.mark.timeout(60)


class FakePictures:
    """A run whose newest frame is `number`; a picture is a text that tells its number and wishes."""

    default = PictureSpec()
    class_count = 150
    stream_count = 2
    has_confidence = False

    def __init__(self, size: int = 0) -> None:
        self.number = 0
        self.closed = False
        self.asked = 0
        self.recordings: list[PictureSpec] = []
        self.files: dict[str, Path] = {}
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

    def status(self, stream=None):
        return {"frame": self.number}

    def start_recording(self, spec) -> None:
        if spec.view == "mask":
            raise ValueError("recording is off")
        self.recordings.append(spec)

    def stop_recording(self) -> None:
        raise RuntimeError("a bug")

    def recording(self, name):
        return self.files.get(name)


class Site:
    """A running server and its stand-in."""

    def __init__(self, view: FakePictures, address: Address, server: WebServer) -> None:
        self.view = view
        self.address = address
        self.door = server.door

    def ask(self, path: str, method: str = "GET", **headers: str):
        """Status, headers and body of one request."""
        connection = http.client.HTTPConnection(self.address.host, self.address.port, timeout=20)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def connect(self, words: bytes = b"") -> socket.socket:
        """A connection on which these bytes were sent."""
        connection = socket.create_connection((self.address.host, self.address.port), timeout=20)
        connection.sendall(words)
        return connection

    def stream(self, path: str = "/stream.mjpeg", method: str = "GET") -> socket.socket:
        """A connection on which the stream was asked for and nothing was read."""
        return self.connect(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


@contextmanager
def serving(view: FakePictures, *, token: str | None = None) -> Iterator[Site]:
    with listen(Address("127.0.0.1", 0), "--serve") as listener:
        server = WebServer(listener, view, metrics=lambda: f"frames {view.number}\n", token=token)
        with BackgroundTask("web", server.run, server.stop), BackgroundTask("view", lambda: None, view.close):
            yield Site(view, bound_address(listener), server)


def until(look: Callable[[], bool]) -> None:
    """Returns once `look` is true; fails after 20 s."""
    deadline = time.monotonic() + 20
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def rest_of(connection: socket.socket) -> bytes:
    """What comes until the other side hangs up."""
    read = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(1 << 16):
            read += part
    return read


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


def test_finished_recordings_are_played_from_any_place_and_nothing_else_is_given_out(open_site, tmp_path):
    (tmp_path / "vidseg-now.mp4").write_bytes(b"0123456789")
    open_site.view.files = {name: tmp_path / name for name in ("vidseg-now.mp4", "gone.mp4")}
    status, headers, body = open_site.ask("/recordings/vidseg-now.mp4", Range="bytes=2-4")
    assert (status, headers["Content-Type"], body) == (206, "video/mp4", b"234")
    assert headers["Content-Disposition"].startswith("inline")
    for path in ("gone.mp4", "other.mp4", "..%2fother.mp4", ""):
        assert open_site.ask(f"/recordings/{path}")[0] == 404


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


@pytest.mark.parametrize(
    "path", ["/", "/frame.jpg", "/stream.mjpeg", "/snapshot.png", "/status.json", "/metrics", "/nothing"]
)
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
    assert open_site.ask(start, "POST", Origin="http://[")[0] == 403
    assert open_site.ask(start, "GET")[0] == 405
    assert not open_site.view.recordings
    assert open_site.ask(start, "POST", Origin=f"http://{own}")[0] == 200
    assert open_site.ask(start, "POST", Origin="https://proxy.example", Sec_Fetch_Site="same-origin")[0] == 200
    assert [spec.view for spec in open_site.view.recordings] == ["side", "side"]


def test_a_bug_is_told_at_the_end_and_the_others_are_served_on():
    with pytest.raises(RuntimeError, match="a bug"), serving(FakePictures()) as running:
        assert running.ask("/record?do=stop", "POST")[0] == 500
        assert running.ask("/status.json")[0] == 200


def test_silent_connections_lock_nobody_out(open_site, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1000)
    silent = [open_site.connect() for _ in range(PLACES)]
    started = time.monotonic()
    assert open_site.ask("/status.json")[0] == 200
    assert time.monotonic() - started < 1
    # all are from one address, which may have half of the places
    until(lambda: len(open_site.door) <= PLACES // 2)
    for connection in silent:
        connection.close()


def test_who_does_not_speak_or_not_to_the_end_is_hung_up_on(open_site, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    silent, dripping = open_site.connect(), open_site.connect(b"GET / HTTP/1.1\r\nHost: local")
    assert rest_of(silent) == rest_of(dripping) == b""
    # a second head on a connection that had an answer is no different
    monkeypatch.setattr(connections, "HEAD_SECONDS", 5)
    second = open_site.connect(b"GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while b"frame" not in second.recv(1 << 16):
        pass
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    second.sendall(b"GET /")
    assert rest_of(second) == b""


def test_a_connection_without_a_request_is_closed_after_a_while(open_site, monkeypatch):
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.2)
    connection = open_site.connect(b"GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200 OK" in rest_of(connection)


@pytest.mark.parametrize("path", ["/stream.mjpeg", "/frame.jpg"])  # the second is complete for the server, but not gone
def test_who_does_not_read_his_picture_is_hung_up_on(path, monkeypatch):
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.2)
    view = FakePictures(size=16_000_000)  # more than the sockets hold
    with serving(view) as running:
        view.show(1)
        deaf = running.stream(path)
        until(lambda: view.asked > 0)
        until(lambda: len(running.door) == 0)
        assert len(rest_of(deaf)) < 16_000_000


def test_more_requests_than_one_address_may_have_are_refused_and_the_others_go_on(open_site, monkeypatch):
    monkeypatch.setattr(connections, "PLACES", 4)
    viewers = [open_site.stream().makefile("rb") for _ in range(2)]
    until(lambda: open_site.view.waiting == 2)
    refusal = (503, b"too many viewers at once; close one, or try again later")
    assert open_site.ask("/status.json")[::2] == refusal
    assert open_site.ask("/status.json", X_Forwarded_For="192.0.2.7")[::2] == refusal
    open_site.view.show(1)
    for viewer in viewers:
        while not viewer.readline().startswith(b"1 jpeg"):
            pass
        viewer.close()


def test_a_viewer_that_has_gone_is_not_drawn_for(open_site, monkeypatch):
    monkeypatch.setattr(site, "PATIENCE_SECONDS", 1000)
    for path in ("/frame.jpg?after=7", "/snapshot.png", "/stream.mjpeg"):
        connection = open_site.stream(path)
        until(lambda: open_site.view.waiting == 1)
        connection.close()
        until(lambda: open_site.view.waiting == 0)


def test_the_head_of_a_stream_is_no_stream(open_site):
    connection = open_site.stream(method="HEAD")
    while b"multipart/x-mixed-replace" not in connection.recv(1 << 16):
        pass
    open_site.view.show(1)
    assert open_site.ask("/status.json")[0] == 200 and open_site.view.asked == 0
    connection.close()


BROKEN_CHUNK = b"POST /record HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"


@pytest.mark.parametrize(
    "words",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),  # TLS, as a browser tries it
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"x" * 100_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"Cookie: " + b'a="\\' * 3000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000,
        b"GET /%00../..//etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /stream.mjpeg HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        BROKEN_CHUNK,
    ],
)
def test_what_is_no_proper_request_neither_ends_the_server_nor_is_printed(words, capfd, caplog):
    with serving(FakePictures()) as running:
        connection = running.connect(words)
        assert running.ask("/status.json")[0] == 200
        connection.shutdown(socket.SHUT_WR)
        rest_of(connection)
        assert running.ask("/status.json")[0] == 200 and not running.view.recordings
    assert capfd.readouterr() == ("", "") and caplog.text == ""


def test_a_request_that_breaks_when_its_answer_is_under_way_is_hung_up_on(capfd, caplog):
    with serving(FakePictures()) as running:
        head, _, rest = BROKEN_CHUNK.replace(b"POST /record", b"GET /stream.mjpeg").partition(b"zz")
        connection = running.connect(head)
        while b"multipart" not in connection.recv(1 << 16):
            pass
        connection.sendall(b"zz" + rest)
        until(lambda: len(running.door) == 0)
        connection.close()
    assert capfd.readouterr() == ("", "") and caplog.text == ""


def test_tokens_are_not_logged(locked_site, caplog):
    caplog.set_level(logging.DEBUG)
    locked_site.ask("/?token=open-sesame")
    locked_site.connect(b"GET /?token=open-sesame HTTP/1.1\r\nbroken\r\n\r\n").close()
    locked_site.ask("/status.json", Authorization="Bearer open-sesame")
    assert "sesame" not in caplog.text


def test_figures_for_prometheus_are_guarded_like_the_page(open_site, locked_site):
    open_site.view.show(7)
    status, headers, body = open_site.ask("/metrics")
    assert (status, body) == (200, b"frames 7\n") and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert open_site.ask("/metrics", Host="evil.example")[0] == 403
    status, headers, _ = locked_site.ask("/metrics")
    assert status == 401 and headers["WWW-Authenticate"] == "Bearer"
    assert locked_site.ask("/metrics", Authorization="Bearer open-sesame")[0] == 200


def test_a_server_of_figures_alone_has_no_pages():
    with listen(Address("127.0.0.1", 0), "--metrics") as listener:
        server = WebServer(listener, metrics=lambda: "", token=None)
        with BackgroundTask("web", server.run, server.stop):
            site = Site(FakePictures(), bound_address(listener), server)
            assert [site.ask(path)[0] for path in ("/metrics", "/", "/frame.jpg", "/status.json")] == [
                200,
                404,
                404,
                404,
            ]
            assert site.ask("/record?do=start", "POST")[0] == 404
