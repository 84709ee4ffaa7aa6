"""UDP, RTMP and a made-up camera through the same code."""

from __future__ import annotations

import random
import socket
import time

import pytest

from tests.servers.processes import Publisher, RtmpServer, free_port, needs_rtmp
from tests.servers.viewer import Viewer
from tests.sources.graph_camera import plug_in
from vidseg.errors import SourceError
from vidseg.sources.av_source import AvSource

pytestmark = pytest.mark.timeout(60)

BACK_SECONDS = 2.0


def test_a_udp_stream_that_stops_and_starts_again():
    port = free_port(socket.SOCK_DGRAM)
    url = f"udp://127.0.0.1:{port}"
    with Publisher(f"{url}?pkt_size=1316", "mpegts") as publisher, Viewer(url, timeout=1.0) as viewer:
        viewer.frames(5)
        publisher.kill()
        viewer.away()
        publisher.start()
        assert viewer.back() < BACK_SECONDS
        viewer.frames(5)
        assert len(viewer.said) == 2, "away and back: what FFmpeg still held is no return"


def test_times_that_start_anew_on_the_same_connection_do_not_go_back():
    port = free_port(socket.SOCK_DGRAM)
    url = f"udp://127.0.0.1:{port}"
    with Publisher(f"{url}?pkt_size=1316", "mpegts") as publisher, Viewer(url, timeout=10.0) as viewer:
        viewer.frames(25)
        publisher.kill()
        publisher.start()  # its count of time begins at zero again
        viewer.frames(10)
        begin, first = time.monotonic(), viewer.last_pts
        viewer.frames(25)
        seconds = (viewer.last_pts - first) * viewer.source.info.time_base
        assert "reconnects" not in viewer.source.counters
        assert float(seconds) == pytest.approx(time.monotonic() - begin, abs=0.5)


def test_garbage_in_a_udp_stream_is_skipped_and_counted():
    port = free_port(socket.SOCK_DGRAM)
    noise = random.Random(1)
    with Publisher(f"udp://127.0.0.1:{port}?pkt_size=1316", "mpegts"), Viewer(f"udp://127.0.0.1:{port}") as viewer:
        viewer.frames(5)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(20):
                # packets of the picture's stream with noise inside, and plain noise
                sender.sendto(b"\x47\x01\x00\x10" + noise.randbytes(184), ("127.0.0.1", port))
                sender.sendto(noise.randbytes(1316), ("127.0.0.1", port))
                viewer.frames(1)
        viewer.frames(25)
        counters = viewer.source.counters
        assert counters.get("corrupt_packets", 0) + counters.get("damaged_frames", 0) > 0


@pytest.mark.parametrize("part", [pytest.param(part, marks=needs_rtmp) for part in ("server", "publisher")])
def test_rtmp_comes_back_whichever_side_dies(tmp_path, part):
    with (
        RtmpServer(tmp_path / "nginx") as server,
        Publisher(server.url, "flv") as publisher,
        Viewer(server.url, timeout=1.5, reconnect="always") as viewer,
    ):
        viewer.frames(5)
        publisher.kill()
        if part == "server":
            server.kill()
        viewer.away()
        if part == "server":
            server.start()
        publisher.start()
        assert viewer.back() < BACK_SECONDS + 1.0, "the publisher has to connect first, and is looked at for 0.7 s"
        viewer.frames(5)


@needs_rtmp[0]
@needs_rtmp[1]
def test_rtmp_that_sends_audio_alone_up_to_the_next_key_frame_is_opened_all_the_same(tmp_path):
    with (
        RtmpServer(tmp_path / "nginx") as server,
        Publisher(server.url, "flv", key_distance=50, audio=True),
        Viewer(server.url, timeout=5.0, reconnect="always") as viewer,
    ):
        viewer.frames(5)
        with AvSource(server.url) as source:  # while it is under way
            assert source.info.has_audio and (source.info.width, source.info.height) == (96, 64)


def test_a_camera_that_is_pulled_out_and_plugged_in_again(monkeypatch):
    with Viewer(plug_in(monkeypatch, "testsrc=size=96x64:rate=50:duration=0.3")) as viewer:
        assert viewer.source.info.live and (viewer.source.info.width, viewer.source.info.height) == (96, 64)
        viewer.until(lambda frame: viewer.source.counters.get("reconnects", 0) >= 3)
        viewer.frames(5)
        assert viewer.cards >= 3 and viewer.source.counters["empty_reads"] >= 10
        assert any("cam7" in text and "unplugged?; trying again" in text for text in viewer.said)


def test_a_camera_that_cannot_be_made_is_said_so(monkeypatch):
    with pytest.raises(SourceError, match="cam7: cannot be opened"):
        Viewer(plug_in(monkeypatch, "nonsense"))
