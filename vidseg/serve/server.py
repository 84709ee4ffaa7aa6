"""The web server: `build_site` behind uvicorn, on a socket that listens already."""

from __future__ import annotations

import array
import asyncio
import fcntl
import logging
import socket
import termios
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from vidseg.address import bound_address
from vidseg.serve.access import Access
from vidseg.serve.connections import IDLE_SECONDS, Door, origin_of
from vidseg.serve.site import build_site
from vidseg.serve.view import WebPictures


class WebServer:
    """Serves until `stop`. `run` blocks: it is meant for a thread of its own.

    Args:
        view: what the page and its pictures show; None offers neither.
        metrics: gives the text of /metrics; None offers none.
        token: asked of every request; None asks for none.
    """

    def __init__(
        self,
        listener: socket.socket,
        view: WebPictures | None = None,
        *,
        metrics: Callable[[], str] | None = None,
        token: str | None,
    ) -> None:
        self._listener = listener
        self._bug: Exception | None = None
        self.door = Door()
        site = build_site(Access(bound_address(listener), token), self._note, view=view, metrics=metrics)
        config = uvicorn.Config(
            _limited(site, self.door),
            http=_guarded(self.door),  # h11, also where httptools happens to be installed
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # X-Forwarded-For would let a viewer choose whose places it takes
            timeout_keep_alive=int(IDLE_SECONDS),
            timeout_graceful_shutdown=1,
            callback_notify=self._sweep,
            timeout_notify=0,  # each second
        )
        # its complaints are about viewers that went away (bugs come out of `run`), and addresses hold the token
        for name in ("uvicorn.error", "uvicorn.access"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Serve until `stop`. Raises the first error that was a bug, if there was one."""
        asyncio.run(self._serve())
        if self._bug is not None:
            raise self._bug

    def stop(self) -> None:
        """Make `run` return soon: within about a second, also when a viewer does not read."""
        self._server.should_exit = True

    async def _serve(self) -> None:
        # asyncio would print a traceback for each connection that it cannot take, or that breaks
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        await self._server.serve(sockets=[self._listener])

    async def _sweep(self) -> None:
        self.door.sweep()

    def _note(self, error: Exception) -> None:
        self._bug = self._bug or error


def _limited(app: ASGIApp, door: Door) -> ASGIApp:
    """`app` for as many requests as there are places."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and door.full(_origin(scope["client"])):
            text = "too many viewers at once; close one, or try again later"
            await PlainTextResponse(text, 503, headers={"Connection": "close"})(scope, receive, send)
        else:
            await app(scope, receive, send)

    return limited


def _origin(peer: Any) -> str:
    return origin_of(str(peer[0])) if peer else ""


def _guarded(door: Door) -> type[asyncio.Protocol]:
    """uvicorn's protocol for connections that `door` keeps."""

    class Guarded(H11Protocol):
        deadline = 0.0
        head_due = True
        origin = ""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.origin = _origin(self.client)
            door.enter(self)

        def connection_lost(self, exc: Exception | None) -> None:
            door.leave(self)
            super().connection_lost(exc)
            self._unset_keepalive_if_required()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)  # raises, and is hung up on, if broken in the middle of being answered
            door.heard(self)

        def shutdown(self) -> None:
            try:
                super().shutdown()
            except Exception:  # the server ends before that
                self.abort()

        @property
        def busy(self) -> bool:
            answering = self.cycle is not None and not (self.cycle.response_complete or self.cycle.disconnected)
            return answering or self.transport.get_write_buffer_size() > 0

        @property
        def unread_bytes(self) -> int:
            return self.transport.get_write_buffer_size() + _in_the_kernel(self.transport.get_extra_info("socket"))

        def abort(self) -> None:
            self.transport.abort()

    return Guarded


def _in_the_kernel(connection: Any) -> int:
    """Bytes that were sent and not acknowledged; 0 where the system does not tell."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, count)
    except OSError:
        return 0
    return count[0]
