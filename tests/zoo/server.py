"""A web server on loopback that misbehaves as told."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """One HTTP answer. `announced` is Content-Length (None: none is sent); `reset` ends with a TCP reset."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    announced: int | None = -1
    reset: bool = False
    hold: threading.Event | None = None
    """Wait for it before the last byte of the body."""


Behaviour = Callable[[dict[str, str]], Answer]
"""From the request's headers to the answer."""


def serve(
    content: bytes,
    *,
    etag: str | None = '"v1"',
    modified: str | None = None,
    ranges: bool = True,
    honest: bool = True,
    cut: int | None = None,
    **more: object,
) -> Behaviour:
    """A file server. `cut`: bytes of the body before the connection ends; `honest` False: If-Range is not looked at."""

    def answer(request: dict[str, str]) -> Answer:
        headers = {"Content-Type": "application/octet-stream"}
        if etag:
            headers["ETag"] = etag
        if modified:
            headers["Last-Modified"] = modified
        start = 0
        if ranges and "Range" in request and (not honest or request.get("If-Range") in (etag, modified)):
            start = int(request["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return Answer(416, headers={"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        return Answer(
            206 if start else 200,
            body if cut is None else body[:cut],
            headers,
            announced=len(body),
            **more,  # type: ignore[arg-type]
        )

    return answer


def status(code: int, **headers: str) -> Behaviour:
    """An answer without a file."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Answer(code, b"no", named)


class Loopback:
    """Plays its behaviours one per request, the last one for ever, and keeps the headers of the requests."""

    def __init__(self) -> None:
        self.behaviours: list[Behaviour] = []
        self.requests: list[dict[str, str]] = []
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                request = dict(self.headers.items())
                loopback.requests.append(request)
                played = min(len(loopback.requests), len(loopback.behaviours)) - 1
                loopback._send(self, loopback.behaviours[played](request))

            def log_message(self, *_: object) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None: ...  # a client that goes away is part of the tests

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/weights/model_final.pth"

    def play(self, *behaviours: Behaviour) -> None:
        self.behaviours = list(behaviours)
        self.requests.clear()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if answer.announced is not None:
            handler.send_header("Content-Length", str(len(answer.body) if answer.announced < 0 else answer.announced))
        handler.end_headers()
        if answer.hold is not None:
            handler.wfile.write(answer.body[:-1])
            handler.wfile.flush()
            answer.hold.wait(30)
            handler.wfile.write(answer.body[-1:])
        else:
            handler.wfile.write(answer.body)
        handler.wfile.flush()
        if answer.reset:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
