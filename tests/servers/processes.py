"""Real servers on loopback, in processes that tests start, freeze, kill and start again."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import pytest

from vidseg.video.srt_tool import TOOL, find_tool

HERE = Path(__file__).parent
SYSTEM_PYTHON = "/usr/bin/python3"
NGINX_RTMP = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")


@functools.cache
def has_gstreamer() -> bool:
    """Whether the system's Python can make an RTSP server with H.264."""
    code = (
        "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0')\n"
        "from gi.repository import Gst, GstRtspServer; Gst.init(None)\n"
        "assert all(map(Gst.ElementFactory.find, ('videotestsrc', 'x264enc', 'rtph264pay')))"
    )
    try:
        return subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


needs_rtsp = [
    pytest.mark.server,
    pytest.mark.skipif(
        not has_gstreamer(), reason="needs gir1.2-gst-rtsp-server-1.0, python3-gi, gstreamer1.0-plugins-ugly"
    ),
]
needs_rtmp = [
    pytest.mark.server,
    pytest.mark.skipif(not (shutil.which("nginx") and NGINX_RTMP.exists()), reason="needs nginx, libnginx-mod-rtmp"),
]

needs_srt = [pytest.mark.server, pytest.mark.skipif(find_tool() is None, reason="needs srt-tools")]


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port on loopback that nobody had a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One process. `start`, `kill`, `freeze`, `thaw`; a context manager that leaves nothing behind."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Start it, and return the line with which it says that it is ready."""
        process = self._spawn()
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready"), f"{self.words} did not start"
        return line

    def _spawn(self) -> subprocess.Popen[str]:
        self.process = subprocess.Popen(
            self.words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=HERE.parent.parent,
            env={**os.environ, "LC_ALL": "C"},
        )
        return self.process

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a word, as when the power is cut."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class RtspServer(Server):
    """A camera at `url`, on the same port after each start."""

    def __init__(
        self, *, size: str = "96x64", password: str | None = None, port: int | None = None, audio: str | None = None
    ) -> None:
        self.port = free_port() if port is None else port
        login = f"joe:{password}@" if password else ""
        self.url = f"rtsp://{login}127.0.0.1:{self.port}/cam"
        words = ["--port", str(self.port), "--size", size]
        words += ["--password", password] if password else []
        super().__init__(SYSTEM_PYTHON, str(HERE / "rtsp_server.py"), *words)
        self._silent_words = self.words
        self.audio(audio)

    def audio(self, codec: str | None) -> None:
        """Have this audio from the next start on."""
        self.words = (*self._silent_words, *(["--audio", codec] if codec else []))


class RtspRecorder(Server):
    """A server at `url` that takes a stream and writes it to a file, on the same port after each start."""

    def __init__(self, path: Path, *, password: str | None = None, audio: Path | None = None) -> None:
        self.port = free_port()
        login = f"joe:{password}@" if password else ""
        self.url = f"rtsp://{login}127.0.0.1:{self.port}/in"
        self.pictures = 0
        """That came since the last start."""
        words = ["--port", str(self.port), *(["--password", password] if password else [])]
        words += ["--audio", str(audio)] if audio else []
        super().__init__(SYSTEM_PYTHON, str(HERE / "rtsp_recorder.py"), str(path), *words)

    def start(self) -> str:
        line = super().start()
        assert self.process is not None and self.process.stdout is not None
        self.pictures = 0
        threading.Thread(target=self._count, args=(self.process.stdout,), name="recorder-count", daemon=True).start()
        return line

    def _count(self, lines: Iterable[str]) -> None:
        with contextlib.suppress(ValueError):  # closed: it was killed
            for line in lines:
                self.pictures = int(line.split()[1])


class Publisher(Server):
    """Sends a moving picture to a URL, also with a tone. It is ready before it is connected."""

    def __init__(
        self, url: str, container: str, size: str = "96x64", rate: int = 25, key_distance: int = 10, audio: bool = False
    ) -> None:
        words = [url, container, size, str(rate), str(key_distance), *(["sound"] if audio else [])]
        super().__init__(sys.executable, "-m", "tests.servers.publisher", *words)


class SrtRelay(Server):
    """libsrt's program between two addresses, or up to a file. It does not say when it is ready: SRT asks again."""

    def __init__(self, source: str, target: str | Path) -> None:
        if isinstance(target, Path):
            super().__init__("/bin/sh", "-c", f'exec {TOOL} -a:no "$0" file://con >"$1"', source, str(target))
        else:
            super().__init__(TOOL, source, target)

    def start(self) -> str:
        self._spawn()
        return "ready"


class RtmpServer(Server):
    """nginx with its RTMP module, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"rtmp://127.0.0.1:{self.port}/live/cam"
        folder.mkdir()
        (folder / "nginx.conf").write_text(
            f"load_module {NGINX_RTMP};\ndaemon off;\nmaster_process off;\nworker_processes 1;\n"
            f"pid {folder}/pid;\nerror_log {folder}/log;\nevents {{ }}\n"
            f"rtmp {{ server {{ listen 127.0.0.1:{self.port}; application live {{ live on; }} }} }}\n"
        )
        super().__init__("nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"))

    def start(self) -> str:
        process = self._spawn()
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.05):
                return "ready"
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
                break
        raise AssertionError("nginx did not start")
