"""Addresses to listen at: `PORT` or `HOST:PORT`, loopback unless a host is named."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from dataclasses import dataclass

from vidseg.errors import ServeError

_ADDRESS = re.compile(r"(?:(?P<host>[^\s:/\[\]]+|\[[0-9a-fA-F:.]+\]):)?(?P<port>\d{1,5})")
ACCEPTED = "PORT or HOST:PORT, e.g. 8000, 0.0.0.0:8000 or [::1]:8000 (port 0: any free port)"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0 stands for any free one."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """True where only programs of this machine get through."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.casefold() == "localhost"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """The address that `text` stands for.

    Raises:
        ValueError: it stands for none; the message says what is accepted.
    """
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or int(match["port"]) > 65_535:
        raise ValueError(ACCEPTED)
    host = (match["host"] or "127.0.0.1").strip("[]")
    return Address(host, int(match["port"]))


def listen(address: Address, option: str) -> socket.socket:
    """A socket that listens at `address`; who connects waits until it is served.

    Args:
        option: what the user wrote, named in errors.
    Raises:
        ServeError: the address is taken, not of this machine, or not allowed.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family)
    except socket.gaierror:
        raise ServeError(
            f"{option} {address}: no such host; accepted: an address of this machine, or 0.0.0.0"
        ) from None
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise ServeError(f"{option} {address}: {reason}; give another port or host, or port 0 for a free one") from None


def bound_address(listener: socket.socket) -> Address:
    """Where `listener` really listens, the port included."""
    host, port = listener.getsockname()[:2]
    return Address(str(host), int(port))


def reachable(address: Address) -> Address:
    """What to write into a browser: for "all addresses" the one by which this machine reaches others."""
    if address.host not in ("0.0.0.0", "::"):
        return address
    family, far = (socket.AF_INET, "192.0.2.1") if address.host == "0.0.0.0" else (socket.AF_INET6, "2001:db8::1")
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))  # sends nothing: it only makes the system choose a way out
            return Address(str(probe.getsockname()[0]), address.port)
    except OSError:
        return Address(socket.gethostname(), address.port)
