"""Opening a file or URL with FFmpeg, and saying in one line why it cannot be."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import av
from av.codec.hwaccel import HWAccel

from vidseg.errors import SourceError
from vidseg.names import expand_user, url_scheme
from vidseg.sources.file_checks import explain_unreadable
from vidseg.sources.pipe_reader import PIPES, PipeReader
from vidseg.sources.srt_reader import SrtReader
from vidseg.video.pyav import open_input
from vidseg.video.srt_tool import HOW_TO_GET_TOOL

LIVE_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "rtmpt", "udp", "rtp", "srt", "tcp"})
HTTP_SCHEMES = frozenset({"http", "https"})
_QUICK_START = {"fpsprobesize": "3", "analyzeduration": "1000000"}
"""FFmpeg watches a stream before it says what is in it, by default up to 5 s. With these an RTSP or UDP stream opens in
0.5 instead of 1.2 s, and what has not been seen by then is seen when it is decoded."""
_QUICK_START_RTMP = {"fpsprobesize": "3", "analyzeduration": "500000"}
"""RTMP always uses up its time (0.7 instead of 5.5 s)."""
_PATIENT_START = {"analyzeduration": "10000000"}
"""A server that lets a viewer in between two key frames may send audio alone up to the next one. Once FFmpeg has seen
both, it looks no further."""


class NoVideoError(SourceError):
    """An address leads to something that is no video."""


def open_file(
    text: str, name: str, options: dict[str, str], device: HWAccel | None = None
) -> av.container.InputContainer:
    """An open container.

    Args:
        device: to decode on, from `hwaccel.open_device`.
    Raises:
        SourceError: with the likely reason.
    """
    path = Path(expand_user(text))
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise SourceError(f"{name}: {_why_no_file(error)}") from None
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(f"{name}: this is a folder, not a video file")
    if not os.access(path, os.R_OK):
        raise SourceError(f"{name}: no permission to read this file")
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        raise SourceError(f"{name}: the file is empty")
    try:
        # Absolute, because FFmpeg takes "10:30.mp4" for a URL of the scheme "10".
        return open_input(os.path.abspath(path), options=options, hwaccel=device)
    except (av.FFmpegError, UnicodeError) as error:
        reason = reason_of(error) if isinstance(error, av.FFmpegError) else "its name is not valid UTF-8"
        raise SourceError(f"{name}: {explain_unreadable(path) or reason}") from None


def open_pipe(name: str, options: dict[str, str], reader: PipeReader) -> av.container.InputContainer:
    """An open container of what comes through a pipe. Raises SourceError."""
    try:
        return open_input(reader, options=options)
    except (av.FFmpegError, OSError) as error:
        reason = reason_of(error) if isinstance(error, av.FFmpegError) else str(error.strerror)
        raise SourceError(f"{name}: {reason}; {PIPES}") from None


def stream_options(scheme: str) -> dict[str, str]:
    """FFmpeg options with which a live stream of this scheme opens soon and goes on; empty for others."""
    if scheme not in LIVE_SCHEMES:
        return {}
    # packets that come faster than they are read are lost, and no reason to end
    lossy = {"overrun_nonfatal": "1"} if scheme == "udp" else {}
    return (_QUICK_START_RTMP if scheme.startswith("rtmp") else _QUICK_START) | lossy


def open_url(
    text: str,
    name: str,
    options: dict[str, str],
    timeout: tuple[float, float],
    device: HWAccel | None = None,
    reader: SrtReader | None = None,
) -> av.container.InputContainer:
    """An open container.

    Args:
        device: as in `open_file`.
        reader: gives the bytes of the address, as MPEG-TS; None for FFmpeg itself.
    Raises:
        SourceError: without the credentials in the URL, which FFmpeg's own message would hold.
    """
    file: Any = text if reader is None else reader
    more: Any = {"timeout": timeout, "hwaccel": device, "format": None if reader is None else "mpegts"}
    try:
        container = open_input(file, options=options, **more)
        if "analyzeduration" in options and container.streams.audio and not container.streams.video:
            container.close()
            container = open_input(file, options=options | _PATIENT_START, **more)
        return container
    except (av.error.ExitError, av.error.TimeoutError):
        raise SourceError(f"{name}: no answer within {timeout[0]:g} seconds") from None
    except av.error.ProtocolNotFoundError:
        if (scheme := url_scheme(text)) in LIVE_SCHEMES:
            help_out = f"; {HOW_TO_GET_TOOL}" if scheme == "srt" else ""
            raise SourceError(f"{name}: the FFmpeg in this PyAV was built without {scheme}{help_out}") from None
        raise SourceError(f"{name}: unknown kind of URL; known: {_known_schemes()}") from None
    except av.InvalidDataError as error:
        raise NoVideoError(f"{name}: cannot be opened: {reason_of(error)}") from None
    except av.FFmpegError as error:
        raise SourceError(f"{name}: cannot be opened: {reason_of(error)}") from None
    except (UnicodeError, ValueError):
        raise SourceError(f"{name}: not a valid URL") from None


def reason_of(error: av.FFmpegError) -> str:
    """FFmpeg's few words, without the file name or URL that its full message holds."""
    if isinstance(error, av.InvalidDataError):
        return "not a video that FFmpeg can read, or badly damaged"
    return str(error.strerror or type(error).__name__).rstrip(".").replace("\n", " ")


def _why_no_file(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "no permission to look into its folder"
    return str(error.strerror).lower() if isinstance(error, OSError) and error.strerror else "not a valid file name"


def _known_schemes() -> str:
    return ", ".join(sorted(LIVE_SCHEMES | HTTP_SCHEMES | {"file"}))
