"""Addresses to listen at."""

from __future__ import annotations

import socket

import pytest

from vidseg.address import Address, bound_address, listen, parse_address, reachable
from vidseg.errors import ServeError


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("8000", "127.0.0.1", 8000, True),
        ("localhost:80", "localhost", 80, True),
        ("0.0.0.0:8000", "0.0.0.0", 8000, False),
        ("[::1]:0", "::1", 0, True),
        ("[::]:65535", "::", 65535, False),
        ("camera-box:8000", "camera-box", 8000, False),
        ("127.8.0.1:1", "127.8.0.1", 1, True),
    ],
)
def test_a_port_alone_means_this_machine_only(text, host, port, loopback):
    address = parse_address(text)
    assert (address.host, address.port, address.loopback) == (host, port, loopback)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize("text", ["", "http", ":8000", "65536", "host:", "a:b:1", "::1:80", "http://x:80", "1.5", "-1"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="PORT or HOST:PORT"):
        parse_address(text)


def test_a_socket_listens_and_tells_its_port():
    with listen(Address("127.0.0.1", 0), "--serve") as listener:
        address = bound_address(listener)
        socket.create_connection((address.host, address.port), timeout=5).close()


def test_a_taken_port_is_told_with_what_was_written():
    with listen(Address("127.0.0.1", 0), "--serve") as first:
        taken = bound_address(first)
        with pytest.raises(ServeError, match=rf"--metrics {taken}: .*in use.*; give another port"):
            listen(taken, "--metrics")


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(ServeError, match=r"--serve 192\.0\.2\.1:0: .*assign"):
        listen(Address("192.0.2.1", 0), "--serve")


def test_all_addresses_are_shown_as_one_that_can_be_opened():
    assert reachable(Address("0.0.0.0", 7)).host not in ("0.0.0.0", "")
    assert reachable(Address("127.0.0.1", 7)) == Address("127.0.0.1", 7)
