"""Sending to real servers: what arrives, what happens when they die, freeze, and come back, and how a run ends then."""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.servers.processes import RtmpServer, RtspRecorder, free_port, needs_rtmp, needs_rtsp
from tests.sinks.sink_helpers import nothing_seen, video_info
from vidseg.audio import AUDIO_RATE, AudioBlock, AudioQueue
from vidseg.errors import WriteError
from vidseg.pipeline.reconnecting import Backoff, ReconnectOptions
from vidseg.sending.sender_process import Destination, SenderProcess, StreamFormat
from vidseg.sending.stream_sink import StreamSink, Tries
from vidseg.sources.pattern_source import PatternSource
from vidseg.video.encoders import EncodeOptions

pytestmark = pytest.mark.timeout(180)

PATIENCE_SECONDS = 60.0
SIZE = (96, 64)
HERE = Path(__file__).parents[2]


def all_of(marks: list[pytest.MarkDecorator]) -> Callable[[Any], Any]:
    """One decorator for several marks."""

    def decorate(test: Any) -> Any:
        for mark in marks:
            test = mark(test)
        return test

    return decorate


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for what another process does."""
    limit = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < limit, "not seen in time"
        time.sleep(0.02)


@contextmanager
def vidseg_run(*words: str) -> Iterator[subprocess.Popen[str]]:
    """An endless run, which does not outlive the block."""
    command = [sys.executable, "-m", "vidseg", "run", "test:96x64@25,frames=inf", "--imgsz", "64", "--threads", "1"]
    with subprocess.Popen([*command, *words], stderr=subprocess.PIPE, text=True, cwd=HERE) as process:
        try:
            yield process
        finally:
            process.kill()


rtmp, rtsp = all_of(needs_rtmp), all_of(needs_rtsp)


class Sending:
    """A sink that is fed in real time, in the test's thread: a moving picture, or noise, which makes many bytes."""

    def __init__(
        self, url: str, tries: Tries | None = None, timeout: float = 5.0, noise: bool = False, audio: bool = False
    ) -> None:
        self._audio = AudioQueue() if audio else None
        self.said: list[str] = []
        self.sink = StreamSink(
            url,
            video_info(*SIZE, audio=self._audio),
            encode=EncodeOptions(crf=0 if noise else None),
            waits=Backoff(ReconnectOptions()),
            tries=tries,
            timeout=timeout,
            announce=self.said.append,
        )
        self._noise = np.random.default_rng(1) if noise else None
        self._frames = iter(PatternSource(f"test:{SIZE[0]}x{SIZE[1]}@25,frames=inf"))
        self._begin = time.monotonic()
        self.slowest_write = 0.0

    def until(self, wanted: Callable[[], object]) -> None:
        """Write frames at their own speed until something has happened."""
        limit = time.monotonic() + PATIENCE_SECONDS
        while not wanted():
            assert time.monotonic() < limit, f"not seen in time; {self.said}, {self.sink.counters}"
            frame = next(self._frames)
            time.sleep(max(0.0, self._begin + frame.seconds - time.monotonic()))  # the speed of a camera
            picture = frame.image
            if self._audio is not None:
                self._audio.put(AudioBlock(np.full((AUDIO_RATE // 25, 2), 5000, np.int16), Fraction(frame.index, 25)))
            if self._noise is not None:
                picture = self._noise.integers(0, 256, (480, 640, 3), dtype=np.uint8)
            begin = time.monotonic()
            self.sink.write(frame, nothing_seen(frame), picture)
            self.slowest_write = max(self.slowest_write, time.monotonic() - begin)

    def frames(self, count: int) -> None:
        """Write so many."""
        left = iter(range(count))
        self.until(lambda: next(left, None) is None)

    @property
    def lost(self) -> int:
        return self.sink.counters["lost_frames"]

    def __enter__(self) -> Sending:
        return self

    def __exit__(self, *_: object) -> None:
        self.sink.abort()


class Receiver:
    """Reads a stream on a thread, as a player would, until it ends."""

    def __init__(self, url: str, **options: Any) -> None:
        self.pictures: list[tuple[float, tuple[int, int]]] = []
        self.codec = ""
        self._came = threading.Condition()
        self._url, self._options = url, options
        self._thread = threading.Thread(target=self._read, name="receiver", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        limit = time.monotonic() + PATIENCE_SECONDS
        while not self.pictures and time.monotonic() < limit:  # it may be there before the sender
            try:
                with av.open(self._url, options=self._options, timeout=2) as container:
                    self.codec = container.streams.video[0].codec_context.name
                    for frame in container.decode(video=0):
                        assert frame.time is not None
                        with self._came:
                            self.pictures.append((frame.time, (frame.width, frame.height)))
                            self._came.notify_all()
            except (av.FFmpegError, OSError):
                continue

    def has(self, count: int) -> bool:
        return len(self.pictures) >= count

    def wait(self, count: int) -> bool:
        """Wait until so many pictures are there."""
        with self._came:
            return self._came.wait_for(lambda: self.has(count), PATIENCE_SECONDS)

    def join(self) -> None:
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()


class Deaf:
    """A server that accepts and never says a word."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._connections: list[socket.socket] = []
        self.port = int(listener.getsockname()[1])

    def hears(self) -> None:
        """Wait for a connection on which something comes."""
        while True:
            connection, _ = self._listener.accept()
            self._connections.append(connection)
            if connection.recv(1):  # nothing: only a look whether the server is there
                return


@pytest.fixture
def deaf() -> Iterator[Deaf]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_SECONDS)
        yield Deaf(listener)


def test_udp_arrives_as_h264_in_mpegts():
    port = free_port(socket.SOCK_DGRAM)
    receiver = Receiver(f"udp://127.0.0.1:{port}", analyzeduration="500000", overrun_nonfatal="1")
    with Sending(f"udp://127.0.0.1:{port}") as sending:
        sending.until(lambda: receiver.has(50))
        sending.sink.close()
    receiver.join()
    times = [seconds for seconds, _ in receiver.pictures]
    assert receiver.codec == "h264" and {size for _, size in receiver.pictures} == {SIZE}
    assert times == sorted(set(times)) and sending.lost == 0


def test_a_datagram_holds_whole_packets():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(PATIENCE_SECONDS)
        with Sending(f"udp://127.0.0.1:{listener.getsockname()[1]}", noise=True) as sending:
            sending.until(lambda: sending.sink.connected)
            data = listener.recv(65536)
    assert len(data) == 7 * 188 and set(data[::188]) == {0x47}


@rtmp
def test_rtmp_arrives(tmp_path):
    with RtmpServer(tmp_path / "nginx") as server, Sending(server.url) as sending:
        receiver = Receiver(server.url, analyzeduration="500000")
        sending.until(lambda: receiver.has(25))
        sending.sink.close()
        assert sending.lost == 0 and receiver.codec == "h264" and receiver.pictures[0][1] == SIZE


_PLAYER = """
import json, sys, av
sound, pictures = [], []
with av.open(sys.argv[1], options={"analyzeduration": "5000000"}, timeout=10) as container:
    for frame in container.decode():
        (sound if isinstance(frame, av.AudioFrame) else pictures).append(frame.time)
        if len(pictures) == 40:
            break
print(json.dumps([sound, pictures]))
"""


def plays_in_step(url: str, sending: Sending) -> bool:
    """Whether a player, a process of its own, gets audio all the time that it gets pictures."""
    with subprocess.Popen([sys.executable, "-c", _PLAYER, url], stdout=subprocess.PIPE, text=True, cwd=HERE) as player:
        sending.until(lambda: player.poll() is not None)
        assert player.stdout is not None
        audio, pictures = json.loads(player.stdout.read())
    distances = [b - a for a, b in itertools.pairwise(audio)]
    return max(distances) < 0.03 and abs(audio[-1] - pictures[-1]) < 0.2


def test_udp_carries_the_audio_too():
    url = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    with Sending(url, audio=True) as sending:
        assert plays_in_step(url, sending)
        sending.sink.close()


@rtmp
def test_rtmp_carries_the_audio_too_also_after_a_break(tmp_path):
    with RtmpServer(tmp_path / "nginx") as server, Sending(server.url, audio=True) as sending:
        sending.until(lambda: sending.sink.connected)
        assert plays_in_step(server.url, sending)
        server.kill()
        sending.until(lambda: sending.lost >= 10)
        server.start()
        sending.until(lambda: sending.sink.counters["reconnects"] == 1)
        assert plays_in_step(server.url, sending)
        sending.sink.close()


@rtsp
def test_rtsp_carries_the_audio_too_if_the_server_has_a_place_for_it(tmp_path):
    for place in (tmp_path / "in.aac", None):
        with RtspRecorder(tmp_path / "in.h264", audio=place) as server, Sending(server.url, audio=True) as sending:
            sending.until(lambda: server.pictures >= 60)
            sending.sink.close()
            assert any("accepts no audio" in note for note in sending.sink.notes) == (place is None)
        if place is not None:
            with av.open(str(place), format="aac") as container:
                seconds = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
            assert seconds == pytest.approx(sending.sink.counters["frames"] / 25, abs=0.3)


@rtmp
def test_an_rtmp_server_that_dies_and_comes_back_gets_the_stream_again(tmp_path):
    with RtmpServer(tmp_path / "nginx") as server, Sending(server.url) as sending:
        sending.until(lambda: sending.sink.connected)
        server.kill()
        sending.until(lambda: sending.lost >= 10)
        server.start()
        sending.until(lambda: sending.sink.counters["reconnects"] == 1)
        receiver = Receiver(server.url, analyzeduration="500000")
        sending.until(lambda: receiver.has(5))
        sending.sink.close()
    assert len(sending.said) == 2 and "trying again" in sending.said[0] and "is back" in sending.said[1]
    assert sending.slowest_write < 1.0, "nothing waits for the server"
    assert any("frames were lost" in note for note in sending.sink.notes)


@rtmp
def test_a_frozen_rtmp_server_is_left_and_found_again(tmp_path):
    with RtmpServer(tmp_path / "nginx") as server, Sending(server.url, timeout=1.0, noise=True) as sending:
        sending.until(lambda: sending.sink.connected)
        server.freeze()
        sending.until(lambda: sending.said)
        assert "no answer within 1 seconds" in sending.said[0]
        server.thaw()
        sending.until(lambda: sending.sink.counters["reconnects"] == 1)
        sending.sink.close()
    assert sending.slowest_write < 1.0


@rtsp
def test_rtsp_is_announced_and_recorded(tmp_path):
    with RtspRecorder(tmp_path / "in.h264") as server, Sending(server.url) as sending:
        sending.until(lambda: server.pictures >= 60)
        sending.sink.close()
        assert sending.lost == 0
    with av.open(str(tmp_path / "in.h264"), format="h264") as container:
        sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert set(sizes) == {SIZE} and len(sizes) >= 55


@rtsp
def test_an_rtsp_server_that_dies_and_comes_back_gets_the_stream_again(tmp_path):
    with RtspRecorder(tmp_path / "in.h264") as server, Sending(server.url) as sending:
        sending.until(lambda: server.pictures >= 10)
        server.kill()
        sending.until(lambda: sending.lost >= 10)
        server.start()
        sending.until(lambda: server.pictures >= 10)
        sending.sink.close()
    assert sending.sink.counters["reconnects"] == 1


@rtsp
def test_rtsp_with_a_password_that_is_never_told(tmp_path):
    with RtspRecorder(tmp_path / "in.h264", password="s3cret") as server:
        with Sending(server.url) as sending:
            sending.until(lambda: server.pictures >= 5)
            sending.sink.close()
        with (
            Sending(server.url.replace("s3cret", "wr0ng")) as refused,
            pytest.raises(WriteError, match="cannot connect to it") as caught,
        ):
            refused.until(lambda: False)
    assert "wr0ng" not in str(caught.value) and "joe" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["rtmp", "rtsp"])
def test_a_server_that_never_answers_is_given_up_in_time(deaf, scheme):
    tries = Tries(2, wait_for_first=True)
    with Sending(f"{scheme}://127.0.0.1:{deaf.port}/live/x", tries, timeout=0.5) as sending:
        sending.until(lambda: sending.sink.given_up)
        assert "no answer within 0.5 seconds" in (sending.sink.given_up or "")
        assert sending.slowest_write < 1.0
        with pytest.raises(WriteError, match=r"gave up after 2 attempts; \d+ frames were lost"):
            sending.sink.close()


@pytest.mark.parametrize("scheme", ["rtmp", "rtsp"])
def test_ending_does_not_wait_for_a_server_that_does_not_answer(deaf, scheme):
    with Sending(f"{scheme}://127.0.0.1:{deaf.port}/live/x", timeout=60.0) as sending:
        sending.frames(3)
        begin = time.monotonic()
        with pytest.raises(WriteError, match="it no longer accepts data"):
            sending.sink.close()
        assert time.monotonic() - begin < 10


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_ends_a_run_whose_receiver_does_not_answer(deaf, signals):
    url = f"rtmp://joe:s3cret@127.0.0.1:{deaf.port}/live/x"
    with vidseg_run("-o", url, "--timeout", "100") as run:
        assert run.stderr is not None
        deaf.hears()
        begin = time.monotonic()
        run.send_signal(signal.SIGINT)
        if signals == 2:
            assert any("press Ctrl+C again to abort" in line for line in run.stderr), "the first was not heard"
            run.send_signal(signal.SIGINT)
        said = run.stderr.read()
        assert run.wait(30) == (1 if "error" in said else 130)
        assert time.monotonic() - begin < 50
    assert "s3cret" not in said


@rtmp
def test_a_receiver_that_is_given_up_costs_no_other_output(tmp_path):
    with (
        RtmpServer(tmp_path / "nginx") as server,
        vidseg_run("-o", server.url, "--reconnect", "0", "--save-csv", str(tmp_path / "shares.csv")) as run,
    ):
        assert run.stderr is not None
        assert Receiver(server.url, analyzeduration="500000").wait(5)
        server.kill()
        said = run.stderr.read()
        assert run.wait(30) == 1
    assert "did not get everything: the connection broke" in said and said.count("error") == 1
    assert len((tmp_path / "shares.csv").read_text().splitlines()) > 10


@rtsp
def test_what_a_receiver_missed_is_in_the_stats_of_a_run(tmp_path):
    with (
        RtspRecorder(tmp_path / "in.h264") as server,
        vidseg_run("-o", server.url, "--stats", str(tmp_path / "s.json")) as run,
    ):
        assert run.stderr is not None
        wait_until(lambda: server.pictures >= 5)
        server.kill()
        assert any("trying again" in line for line in run.stderr)
        server.start()
        wait_until(lambda: server.pictures >= 5)
        run.send_signal(signal.SIGINT)
        said = run.stderr.read()
        assert run.wait(30) == 130, said
    stats = json.loads((tmp_path / "s.json").read_text())
    assert stats["lost_in_sending"] > 0 and stats["receiver_reconnects"] == 1
    assert f"{stats['lost_in_sending']} frames were lost" in said


def test_a_receiver_that_takes_nothing_is_owed_pictures_and_loses_the_audio_with_them():
    sender = SenderProcess(Destination("udp://127.0.0.1:9", "mpegts", {}, 5.0))
    try:
        os.kill(sender._process.pid, signal.SIGSTOP)
        packet = av.Packet(bytes(10_000))
        packet.pts = packet.dts = packet.duration = 0
        for _ in range(50):
            sender.send(packet, StreamFormat("h264", *SIZE, Fraction(25), Fraction(1, 90_000)))
            sender.send_audio(packet)
        waiting = sender.backlog
        assert 40 <= waiting < 50 and len(sender._waiting) > 80
        assert waiting - 1 <= sender.drop_backlog() <= waiting and len(sender._waiting) == 1, (
            "one is in the pipe in part"
        )
    finally:
        sender.kill()


def test_a_killed_run_leaves_no_process_behind(deaf):
    code = (
        "import os, sys\n"
        "from tests.servers.test_sending import Sending\n"
        "sending = Sending(sys.argv[1], timeout=2.0)\n"
        "sending.frames(3)\n"
        "print(sending.sink._sender._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    url = f"rtmp://127.0.0.1:{deaf.port}/live/x"
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, timeout=60)
    try:
        descriptor = os.pidfd_open(int(done.stdout))
    except ProcessLookupError:
        return  # it is gone already
    try:
        assert select.select([descriptor], [], [], PATIENCE_SECONDS)[0], "the sending process is still there"
    finally:
        os.close(descriptor)
