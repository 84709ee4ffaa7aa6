"""Addresses that streams are sent to: which ones there are, and whether somebody listens there."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from vidseg.errors import SinkError
from vidseg.names import shown_name, url_scheme
from vidseg.video.protocols import has_protocol
from vidseg.video.srt_tool import HOW_TO_GET_TOOL, by_tool

STREAM_MUXERS: Mapping[str, str] = {
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "rtmp": "flv",
    "rtmps": "flv",
    "udp": "mpegts",
    "srt": "mpegts",
}
"""Scheme of an address -> FFmpeg muxer."""
TCP_PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}
"""Schemes over TCP, whose server can be looked for, and where it listens unless the address says."""


def stream_muxer(url: str) -> str:
    """FFmpeg muxer for an address.

    Raises:
        SinkError: nothing can be sent there.
    """
    name, scheme = shown_name(url), url_scheme(url) or ""
    muxer = STREAM_MUXERS.get(scheme)
    if muxer is None:
        accepted = ", ".join(f"{known}://" for known in STREAM_MUXERS)
        raise SinkError(f"{name}: video cannot be sent to {scheme}://; accepted: {accepted}, or a file name")
    host, port = _host_and_port(url, name)
    if not host or (port is None and scheme not in TCP_PORTS):
        example = {"udp": "udp://239.0.0.1:5000", "srt": "srt://host:9000"}.get(scheme, f"{scheme}://host/live/name")
        missing = "has no port" if host else "names no host"
        raise SinkError(f"{name}: {missing}; give an address such as {example}")
    if scheme in ("srt", "rtmps", "rtsps") and not has_protocol(scheme) and not by_tool(url):
        help_out = f", or {HOW_TO_GET_TOOL}" if scheme == "srt" else ""
        raise SinkError(
            f"{name}: the FFmpeg in this PyAV was built without {scheme}; use rtsp://, rtmp:// or udp://{help_out}"
        )
    return muxer


def with_packet_size(url: str) -> str:
    """The URL for FFmpeg: over UDP, whole packets of MPEG-TS in each datagram, as receivers expect."""
    if url_scheme(url) != "udp" or "pkt_size=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}pkt_size={7 * 188}"


def _host_and_port(url: str, name: str) -> tuple[str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.hostname, parts.port
    except ValueError:
        raise SinkError(f"{name}: not a valid address; accepted: scheme://host:port/name") from None


def find_receiver(url: str, name: str, timeout: float) -> None:
    """Raises SinkError unless something listens there; for schemes over TCP."""
    default = TCP_PORTS.get(url_scheme(url) or "")
    if default is None:
        return
    host, port = _host_and_port(url, name)
    try:
        socket.create_connection((host or "", port or default), timeout).close()
    except TimeoutError:
        reason = f"no answer within {timeout:g} seconds"
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    else:
        return
    raise SinkError(
        f"{name}: no receiver answers ({reason}); start the server first, or wait for it: --reconnect always"
    )
