"""Against GStreamer's RTSP server: killed, frozen, cut, damaged, switched. After each the picture is back in time."""

from __future__ import annotations

import itertools
import threading
import time

import av
import numpy as np
import pytest

from tests.fakes import FakeSegmenter
from tests.servers.processes import RtspServer, needs_rtsp
from tests.servers.proxy import Relay
from tests.servers.viewer import Viewer
from vidseg.config import RunConfig
from vidseg.errors import SourceError
from vidseg.pipeline.pipeline import Pipeline
from vidseg.sinks.av_sink import AvSink
from vidseg.wiring.run_source import Announcements, open_run_source

pytestmark = [*needs_rtsp, pytest.mark.timeout(60)]

BACK_SECONDS = 2.0
"""From the moment the source is back until its picture is."""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_server_that_is_killed_again_and_again_comes_back_each_time(times):
    with RtspServer() as server, Viewer(server.url) as viewer:
        assert viewer.source.info.live
        viewer.frames(5)
        for _ in range(times):
            server.kill()
            viewer.away()
            server.start()
            assert viewer.back() < BACK_SECONDS
            viewer.frames(5)
        assert viewer.source.counters["reconnects"] == times


def test_a_frozen_server_is_left_and_found_again():
    with RtspServer() as server, Viewer(server.url) as viewer:
        viewer.frames(5)
        server.freeze()
        viewer.hears("no data for 1 seconds; trying again")
        assert viewer.cards >= 1
        viewer.away()  # meanwhile an attempt is on its way to a server that accepts and does not answer
        server.thaw()
        assert viewer.back() < BACK_SECONDS
        viewer.frames(5)


def test_a_short_freeze_is_bridged_by_cards_on_the_same_connection():
    with RtspServer() as server, Viewer(server.url, timeout=10) as viewer:
        viewer.frames(5)
        server.freeze()
        viewer.away()
        server.thaw()
        assert viewer.back() < BACK_SECONDS
        assert "reconnects" not in viewer.source.counters


def test_a_line_cut_in_the_middle_of_a_packet_is_connected_again():
    with RtspServer() as server, Relay(server.port) as relay, Viewer(relay.behind(server.url)) as viewer:
        for cuts in (1, 2):
            viewer.frames(5)
            relay.cut_in_packet(100)
            viewer.until(lambda frame, cuts=cuts: viewer.source.counters.get("reconnects", 0) == cuts)
        viewer.frames(5)


def test_an_attempt_that_is_never_answered_does_not_hold_up_the_next():
    with RtspServer() as server, Relay(server.port) as relay, Viewer(relay.behind(server.url), timeout=20) as viewer:
        viewer.frames(5)
        relay.ignore(1)
        relay.cut_in_packet(100)
        viewer.until(lambda frame: not relay.ignores)
        begin = time.monotonic()
        viewer.until(lambda frame: viewer.source.counters.get("reconnects", 0) == 1)
        viewer.back()
        assert time.monotonic() - begin < 2 * BACK_SECONDS


def test_garbage_in_the_stream_does_not_end_it():
    with RtspServer() as server, Relay(server.port) as relay, Viewer(relay.behind(server.url)) as viewer:
        viewer.frames(5)
        relay.send_garbage(20)
        viewer.until(lambda frame: relay.clean)
        assert viewer.back() < BACK_SECONDS
        viewer.frames(20)


def test_a_picture_that_changes_its_size_in_mid_stream_is_fitted():
    with RtspServer(size="640x480") as server, Viewer(server.url) as viewer:
        assert (viewer.source.info.width, viewer.source.info.height) == (640, 480)
        viewer.frames(5)
        server.tell("size 1280x720")
        viewer.until(lambda frame: viewer.source.counters.get("rescaled_frames", 0) >= 5)


def test_another_size_after_a_restart_is_fitted_and_said():
    with RtspServer(size="640x480") as server, Viewer(server.url) as viewer:
        viewer.frames(5)
        server.kill()
        with RtspServer(size="1280x720", port=server.port):
            viewer.until(lambda frame: viewer.source.counters.get("rescaled_frames", 0) >= 5)
            assert "the source now sends 1280x720; fitted into 640x480" in viewer.said


def test_no_message_holds_the_password():
    with RtspServer(password="s3cret") as server:
        with pytest.raises(SourceError, match=r"127\.0\.0\.1") as caught:
            Viewer(server.url.replace("s3cret", "wr0ng"))
        assert "wr0ng" not in str(caught.value) and "joe" not in str(caught.value)
        with Viewer(server.url, verbose=True) as viewer:
            viewer.frames(3)
            server.kill()
            viewer.away()
            server.start()
            viewer.back()
            assert viewer.said and not any("s3cret" in text or "joe" in text for text in viewer.said)


def test_the_first_connection_is_waited_for_only_if_asked():
    server = RtspServer()
    begin = time.monotonic()
    with pytest.raises(SourceError, match=f"rtsp://127.0.0.1:{server.port}/cam"):
        Viewer(server.url)
    with pytest.raises(SourceError, match="gave up after 2 attempts"):
        Viewer(server.url, reconnect="2")
    assert time.monotonic() - begin < 5
    later = threading.Timer(0.5, server.start)
    later.start()
    try:
        with Viewer(server.url, reconnect="always") as viewer:
            viewer.frames(3)
            assert len(viewer.said) == 1 and viewer.said[0].endswith("trying again"), "told once"
    finally:
        later.join()
        server.kill()


def test_a_recording_goes_on_in_one_file_with_the_time_away_in_it(tmp_path):
    path = tmp_path / "day.mp4"
    with RtspServer() as server:
        source = open_run_source(RunConfig(source=server.url, timeout=1.0), Announcements(), print)
        sink = AvSink(path, source.info, overwrite=False)
        pipeline = Pipeline(source, FakeSegmenter(), Picture(), [sink])
        steps = itertools.count()

        def watch(_: Pipeline) -> None:
            stats = pipeline.stats
            number = next(steps)
            if stats.delivered >= 10 and server.process is not None and not stats.placeholders:
                server.kill()
                watch.killed = number  # type: ignore[attr-defined]
            elif server.process is None and stats.placeholders >= 2:
                server.start()
                watch.again = stats.delivered  # type: ignore[attr-defined]
            elif hasattr(watch, "again") and stats.delivered >= watch.again + 15:
                pipeline.request_stop()

        stats = pipeline.run(on_tick=watch)
    assert stats.placeholders >= 2 and stats.source_counters["reconnects"] == 1 and stats.broken_source is None
    assert stats.decoded == stats.dropped + stats.delivered + stats.discarded
    with av.open(str(path)) as recording:
        times = [float(f.pts * f.time_base) for f in recording.decode(video=0)]
    assert len(times) == stats.delivered and times == sorted(set(times)) and times[0] == 0
    assert times[-1] == pytest.approx(stats.last_pts_seconds, abs=2.0)
    assert max(b - a for a, b in itertools.pairwise(times)) < 2, "cards fill the gap"


@pytest.mark.parametrize(("first", "later"), [("alaw", "opus"), ("aac", None)])
def test_a_recording_has_the_audio_in_step_whatever_it_is_after_the_return(tmp_path, first, later):
    path = tmp_path / "day.mkv"
    server = RtspServer(audio=first)
    with server:
        announcements = Announcements()
        config = RunConfig(source=server.url, timeout=1.0, output=str(path))
        source = open_run_source(config, announcements, print)
        sink = AvSink(path, source.info, overwrite=False)
        pipeline = Pipeline(source, FakeSegmenter(), Picture(), [sink])
        again: list[int] = []

        def watch(_: Pipeline) -> None:
            stats = pipeline.stats
            if stats.delivered >= 40 and server.process is not None and not stats.placeholders:
                server.kill()
            elif server.process is None and stats.placeholders >= 2:
                server.audio(later)
                server.start()
                again.append(stats.delivered)
            elif again and stats.delivered >= again[0] + 45:
                pipeline.request_stop()

        stats = pipeline.run(on_tick=watch)
    assert stats.source_counters["reconnects"] == 1 and any("no audio arrived for" in note for note in sink.notes)
    said: list[str] = []
    announcements.print(said.append)
    assert ("the source has no audio any more; silence from here on" in said) == (later is None)
    with av.open(str(path)) as recording:
        length = max(float((f.pts or 0) * f.time_base) for f in recording.decode(video=0))  # type: ignore[operator]
    with av.open(str(path)) as recording:
        audio = recording.streams.audio[0]
        frames = [(float(f.time), f.samples, float(np.abs(f.to_ndarray()).max())) for f in recording.decode(audio)]  # type: ignore[arg-type]
    seconds = sum(samples for _, samples, _ in frames) / audio.codec_context.sample_rate
    assert audio.codec_context.name == "aac" and seconds == pytest.approx(length, abs=0.15), "silence fills the gap"
    ticks = [
        time for (time, _, level), last in zip(frames, [(0.0, 0, 0.0), *frames], strict=False) if level > 0.1 > last[2]
    ]
    assert ticks and (ticks[-1] > length - 1.5) == (later is not None)


class Picture:
    """Renders nothing."""

    def render(self, image, segmentation):
        return image
