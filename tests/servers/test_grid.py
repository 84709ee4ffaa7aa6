"""Two real RTSP servers in a grid: what becomes of one is no matter to the other; how a run of both ends."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest

from tests.cli.test_signals import started, wait_for
from tests.fakes import FakeSegmenter
from tests.servers.processes import RtspServer, needs_rtsp
from vidseg.app.grid import open_lanes
from vidseg.config import RunConfig
from vidseg.pipeline.background_inference import BackgroundInference
from vidseg.pipeline.grid_lane import GridLane
from vidseg.pipeline.inference_worker import InferenceWorker
from vidseg.wiring.run_source import Announcements

pytestmark = [*needs_rtsp, pytest.mark.timeout(60)]

BACK_SECONDS = 4.0
"""From the moment the source is back until its picture is; twice what `benchmarks/soak.py` finds, for busy machines."""
PATIENCE_SECONDS = 20.0
RATE = 25
SLOWEST_RATE = 5
"""New pictures a second of a stream that nothing has happened to, on a machine with other things to do."""


class Watching:
    """Looks at a grid of streams in the test's thread. Leaving it closes the grid."""

    def __init__(self, *urls: str) -> None:
        self.said: list[str] = []
        self._announcements = Announcements()
        config = RunConfig(source=urls[0], more_sources=urls[1:], timeout=1.0)
        self._grid = open_lanes(config, self._announcements, self.said.append)
        segmenters = [FakeSegmenter() for _ in urls]
        worker = InferenceWorker(
            lambda asked: [segmenters[number].segment([item])[0] for number, item in asked], slots=len(urls)
        )
        self._grid.infer_with(worker, lambda slot: BackgroundInference(slot, shared=True))
        self._pictures = iter(self._grid)
        self.lanes = self._grid.lanes

    def until(self, wanted: Callable[[], object]) -> float:
        """Seconds until something has happened."""
        begin = time.monotonic()
        for _ in self._pictures:
            self._announcements.print(self.said.append)
            if wanted():
                return time.monotonic() - begin
            assert time.monotonic() - begin < PATIENCE_SECONDS, f"not seen in time; {self.said}"
        raise AssertionError(f"the grid ended; {self.said}")

    def back(self, lane: GridLane) -> float:
        """Seconds until there are new pictures of the stream that are no cards."""
        real = pictures_of(lane)
        return self.until(lambda: pictures_of(lane) >= real + 3)

    def away(self, lane: GridLane) -> None:
        """Wait for a card in its tile."""
        cards = lane.stats.placeholders
        self.until(lambda: lane.stats.placeholders > cards)

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *_: object) -> None:
        self._grid.close()


def pictures_of(lane: GridLane) -> int:
    return lane.stats.decoded - lane.stats.placeholders


@pytest.fixture
def servers() -> Iterator[tuple[RtspServer, RtspServer]]:
    with RtspServer() as first, RtspServer() as second:
        yield first, second


def test_a_stream_that_dies_or_freezes_comes_back_and_the_other_goes_on_meanwhile(servers):
    with Watching(*(server.url for server in servers)) as grid:
        steady, troubled = grid.lanes
        grid.until(lambda: min(lane.stats.shown for lane in grid.lanes) >= 5)
        shown, begin = steady.stats.shown, time.monotonic()
        servers[1].kill()
        grid.away(troubled)
        servers[1].start()
        assert grid.back(troubled) < BACK_SECONDS
        servers[1].freeze()
        grid.away(troubled)
        servers[1].thaw()
        assert grid.back(troubled) < BACK_SECONDS
        assert (steady.stats.shown - shown) / (time.monotonic() - begin) > SLOWEST_RATE
        assert steady.stats.placeholders == steady.stats.reconnects == 0 and troubled.stats.reconnects >= 1
    for lane in grid.lanes:
        assert not lane._reader.is_alive() and not lane._follower.is_alive()


def hear(process: subprocess.Popen[str], words: str) -> None:
    """Read on until the run says these words."""
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"the run ended without '{words}'")


@contextmanager
def run_of_both(folder: Path, servers: tuple[RtspServer, RtspServer]) -> Iterator[subprocess.Popen[str]]:
    """A recording of a grid that has begun, with one of the streams away."""
    urls = [server.url for server in servers]
    words = ("-o", "out.mkv", "--codec", "mjpeg", "--stats", "s.json", "--timeout", "2")
    with started(folder, *urls, *words) as process:
        wait_for(folder / "out.mkv.part", 2000, process)
        servers[1].kill()
        hear(process, "trying again")
        yield process


def assert_whole(folder: Path) -> None:
    """The recording is there with all that was counted, and nothing else but the counts."""
    assert sorted(os.listdir(folder)) == ["out.mkv", "s.json"]
    stats = json.loads((folder / "s.json").read_text())
    with av.open(str(folder / "out.mkv")) as recording:
        times = [float(item.pts * item.time_base) for item in recording.decode(video=0)]
    assert len(times) == stats["delivered"] and all(stream["shown"] > 0 for stream in stats["streams"])
    assert max(after - before for before, after in itertools.pairwise(times)) < 2


def test_ctrl_c_finishes_the_recording_while_a_stream_is_away(tmp_path, servers):
    with run_of_both(tmp_path, servers) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in said, said
    assert_whole(tmp_path)


def test_ctrl_c_twice_leaves_nothing_half_done_though_no_stream_answers(tmp_path, servers):
    with run_of_both(tmp_path, servers) as process:
        servers[0].freeze()
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(0.03)  # else the system makes one signal of two
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode in (130, -signal.SIGINT) and "Traceback" not in said, said
    assert time.monotonic() - begin < 15
    if "aborted" in said:
        assert os.listdir(tmp_path) == []
    else:  # it was finished before the second
        assert_whole(tmp_path)
