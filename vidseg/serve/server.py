"""The web server: `build_site` behind uvicorn, on a socket that listens already."""

from __future__ import annotations

import logging
import socket

import uvicorn

from vidseg.address import bound_address
from vidseg.serve.access import Access
from vidseg.serve.site import build_site
from vidseg.serve.view import LivePictures

MAX_CONNECTIONS = 128
"""More are answered with 503."""


class WebServer:
    """Serves until `stop`. `run` blocks: it is meant for a thread of its own.

    Args:
        token: asked of every request; None asks for none.
    """

    def __init__(self, listener: socket.socket, view: LivePictures, *, token: str | None) -> None:
        self._listener = listener
        self._bug: Exception | None = None
        access = Access(bound_address(listener), token)
        config = uvicorn.Config(
            build_site(view, access, self._note),
            http="h11",  # what is tested here, also where httptools happens to be installed
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        # its complaints are about viewers that went away; bugs come out of `run`
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Serve until `stop`. Raises the first error that was a bug, if there was one."""
        self._server.run(sockets=[self._listener])
        if self._bug is not None:
            raise self._bug

    def stop(self) -> None:
        """Make `run` return soon: within about a second, also when a viewer does not read."""
        self._server.should_exit = True

    def _note(self, error: Exception) -> None:
        self._bug = self._bug or error
