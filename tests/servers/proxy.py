"""A TCP relay in the way of a stream: it can cut the line in the middle of a packet, and damage what passes."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from typing import Self


class Relay:
    """Relays connections to a port. The client connects to `port`; what the server sends can be harmed."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._cut_after: int | None = None
        self._garbage = 0
        self._ignored = 0
        self._threads = [threading.Thread(target=self._accept, name="relay-accept", daemon=True)]
        self._threads[0].start()

    def behind(self, url: str) -> str:
        """The URL of what is reached through this relay."""
        return url.replace(f":{self._target}/", f":{self.port}/")

    @property
    def clean(self) -> bool:
        """True once no more is to be damaged."""
        return self._garbage == 0

    def cut_in_packet(self, after_bytes: int = 1) -> None:
        """Reset the line after so many further bytes: wherever in a packet that is."""
        with self._lock:
            self._cut_after = after_bytes

    def send_garbage(self, chunks: int) -> None:
        """Replace up to so many next pieces of what the server sends on this line with noise of the same length."""
        with self._lock:
            self._garbage = chunks

    def ignore(self, lines: int) -> None:
        """Keep to itself all that the client says on so many lines, counted once it says something."""
        with self._lock:
            self._ignored = lines

    @property
    def ignores(self) -> bool:
        """True while a line that is to be ignored has not come yet."""
        return self._ignored > 0

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._pairs.append((client, server))
            for source, sink, harmed in ((server, client, True), (client, server, False)):
                thread = threading.Thread(
                    target=self._pass, args=(source, sink, harmed), name="relay-pass", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket, harmed: bool) -> None:
        ignored = False
        first = not harmed
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if first:
                    with self._lock:
                        ignored, first = self._ignored > 0, False
                        self._ignored -= ignored
                if ignored:
                    continue
                sink.sendall(self._harm(data) if harmed else data)
                if harmed and self._cut_after == -1:
                    with self._lock:
                        self._cut_after = None
                    for end in (source, sink):
                        # a reset, not a goodbye
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
        if harmed:
            with self._lock:
                self._garbage = 0  # the next line is a good one
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _harm(self, data: bytes) -> bytes:
        with self._lock:
            if self._garbage > 0:
                self._garbage -= 1
                return random.Random(len(data)).randbytes(len(data))
            if self._cut_after is not None and self._cut_after >= 0:
                kept = data[: self._cut_after]
                self._cut_after = -1 if len(data) > self._cut_after else self._cut_after - len(data)
                return kept
            return data

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
