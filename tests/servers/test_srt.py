"""SRT by libsrt's program: cameras and receivers that die and come back, wrong passphrases, nothing left behind."""

from __future__ import annotations

import contextlib
import itertools
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from tests.fakes import FakeSegmenter
from tests.servers.processes import Publisher, SrtRelay, free_port, needs_srt
from tests.servers.test_rtsp import Picture
from tests.servers.test_sending import HERE, SIZE, Sending, wait_until
from tests.servers.viewer import Viewer
from vidseg.config import RunConfig
from vidseg.errors import SourceError, WriteError
from vidseg.pipeline.pipeline import Pipeline
from vidseg.sending.stream_sink import Tries
from vidseg.sinks.av_sink import AvSink
from vidseg.sources.av_source import AvSource
from vidseg.video.srt_tool import TOOL, SrtTool
from vidseg.wiring.run_source import Announcements, open_run_source

pytestmark = [*needs_srt, pytest.mark.timeout(60)]

SECRET = "passphrase=s3cret-s3cret"


def programs_at(port: int) -> list[bytes]:
    """The commands that run with this port, and their keepers."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = path.read_bytes()
            if TOOL.encode() in command and f":{port}".encode() in command:
                commands.append(command)
    return commands


@pytest.fixture
def port(capfd: pytest.CaptureFixture[str]) -> Iterator[int]:
    """A port; afterwards nothing is left there, and nobody has said the passphrase."""
    port = free_port(socket.SOCK_DGRAM)
    yield port
    wait_until(lambda: not programs_at(port))
    assert "s3cret" not in "".join(capfd.readouterr())


@pytest.fixture
def camera(port: int) -> Iterator[SrtRelay]:
    """A camera that plays to whoever calls the port with the passphrase."""
    behind = free_port(socket.SOCK_DGRAM)
    with (
        Publisher(f"udp://127.0.0.1:{behind}?pkt_size=1316", "mpegts"),
        SrtRelay(f"udp://:{behind}", f"srt://127.0.0.1:{port}?mode=listener&{SECRET}") as relay,
    ):
        yield relay


def called(port: int) -> str:
    return f"srt://127.0.0.1:{port}?{SECRET}"


def decoded(path: Path) -> list[float]:
    """Times of the pictures of a received stream."""
    with av.open(str(path), format="mpegts") as container:
        frames = list(container.decode(video=0))
    assert {(frame.width, frame.height) for frame in frames} == {SIZE}
    return [float(frame.time) for frame in frames if frame.time is not None]


def test_a_camera_that_dies_and_comes_back_is_recorded_in_one_file(camera, port, tmp_path):
    path = tmp_path / "day.mkv"
    announcements = Announcements()
    source = open_run_source(RunConfig(source=called(port), timeout=1.5, reconnect="always"), announcements, print)
    sink = AvSink(path, source.info, overwrite=False)
    pipeline = Pipeline(source, FakeSegmenter(), Picture(), [sink])
    again: list[int] = []

    def watch(_: Pipeline) -> None:
        stats = pipeline.stats
        if stats.delivered >= 10 and camera.process is not None and not again:
            camera.kill()
        elif camera.process is None and stats.placeholders >= 2:
            camera.start()
            again.append(stats.delivered)
        elif again and stats.delivered >= again[0] + 15:
            pipeline.request_stop()

    stats = pipeline.run(on_tick=watch)
    assert stats.placeholders >= 2 and stats.source_counters["reconnects"] == 1 and stats.broken_source is None
    with av.open(str(path)) as recording:
        times = [float(f.pts * f.time_base) for f in recording.decode(video=0)]  # type: ignore[operator]
    assert len(times) == stats.delivered and times == sorted(set(times))
    assert max(b - a for a, b in itertools.pairwise(times)) < 2, "cards fill the gap"
    announcements.print(print)  # for the passphrase


def test_a_camera_may_also_call(port):
    behind = free_port(socket.SOCK_DGRAM)
    with (
        Publisher(f"udp://127.0.0.1:{behind}?pkt_size=1316", "mpegts"),
        SrtRelay(f"udp://:{behind}", f"srt://127.0.0.1:{port}"),
        Viewer(f"srt://:{port}?mode=listener", timeout=10.0) as viewer,
    ):
        viewer.frames(5)


def test_a_wait_for_pictures_is_ended_at_once(camera, port):
    with AvSource(called(port), read_timeout=60) as source:
        assert source.info.live and (source.info.width, source.info.height) == SIZE
        camera.freeze()
        reader = threading.Thread(target=lambda: list(source))
        reader.start()
        source.interrupt()
        reader.join(20)
        assert not reader.is_alive()


def test_a_wrong_passphrase_is_refused(camera, port):
    with pytest.raises(SourceError, match=r"^srt://127.0.0.1:\d+\?passphrase=\*\*\*: cannot be opened: .*passphrase$"):
        Viewer(called(port).replace("s3cret-", "wrong-s3cret-"), timeout=10.0, reconnect="0")


def test_a_source_that_never_answers_is_given_up_in_time(port):
    with pytest.raises(SourceError, match=r"no answer within 0.5 seconds"):
        Viewer(called(port), timeout=0.5, reconnect="0")


def test_a_receiver_that_dies_and_comes_back_gets_the_stream_again(port, tmp_path):
    paths = [tmp_path / "first.ts", tmp_path / "second.ts"]
    receivers = [SrtRelay(f"srt://127.0.0.1:{port}?mode=listener&{SECRET}", path) for path in paths]
    with Sending(called(port)) as sending:
        with receivers[0]:
            sending.until(lambda: sending.sink.connected and paths[0].stat().st_size > 20_000)
        sending.until(lambda: sending.lost >= 5)
        with receivers[1]:
            sending.until(lambda: sending.sink.counters["reconnects"] and paths[1].stat().st_size > 20_000)
            sent = sending.sink.counters["frames"]
            sending.sink.close()
            assert receivers[1].process is not None and receivers[1].process.wait(20) == 0, "it was told the end"
    assert sending.slowest_write < 1.0 and sent > 25
    print(*sending.said, *sending.sink.notes)  # for the passphrase
    for path in paths:
        times = decoded(path)
        assert len(times) > 10 and times == sorted(set(times))


def test_all_that_was_sent_arrives(port, tmp_path):
    path, url = tmp_path / "in.ts", f"srt://127.0.0.1:{port}"
    with SrtRelay(f"{url}?mode=listener", path) as receiver, Sending(url) as sending:
        sending.until(lambda: sending.sink.connected)
        sending.frames(10)
        sending.sink.close()
        assert receiver.process is not None and receiver.process.wait(20) == 0
    assert path.stat().st_size % (7 * 188) == 0 and len(decoded(path)) == sending.sink.counters["frames"]


def test_a_receiver_that_never_answers_is_given_up_in_time(port):
    with Sending(called(port), Tries(2, wait_for_first=True), timeout=0.5) as sending:
        sending.until(lambda: sending.sink.given_up)
        assert "no answer within 0.5 seconds" in (sending.sink.given_up or "")
        with pytest.raises(WriteError, match=r"gave up after 2 attempts; \d+ frames were lost"):
            sending.sink.close()
        assert sending.sink.counters["frames"] == 0


def test_a_killed_run_leaves_no_program_behind(port):
    code = (
        "import os, sys\n"
        "from tests.servers.test_srt import SrtTool, programs_at, wait_until\n"
        "tool = SrtTool(sys.argv[1], 60)\n"
        "wait_until(lambda: len(programs_at(int(sys.argv[2]))) == 2)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    words = [sys.executable, "-c", code, f"srt://:{port}?mode=listener", str(port)]
    assert subprocess.run(words, cwd=HERE, timeout=50).returncode == -9


def test_ending_it_while_nobody_answers_takes_no_time_and_leaves_nothing(port):
    tool = SrtTool(f"srt://:{port}?mode=listener", 60)
    assert tool.failure is None
    tool.kill()
    tool.kill()
