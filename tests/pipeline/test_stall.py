"""A stage that is blocked inside a library is left behind; one that works, or waits for the disk, is waited for."""

from __future__ import annotations

import os
import threading

import pytest

from tests.fakes import FakeRenderer, FakeSegmenter, FakeSender, FakeSink, FakeSource, frame
from vidseg import atomic
from vidseg.frames import Segmentation
from vidseg.pipeline import pipeline as module
from vidseg.pipeline.pipeline import Pipeline
from vidseg.pipeline.stall import LONGEST_STEP_SECONDS, StallWatch, bytes_written, waits_for_disk

pytestmark = pytest.mark.timeout(60)


class Blocked:
    """Holds up whoever passes it at the given number, until the test is over."""

    def __init__(self, at):
        self.at, self.reached, self.release = at, threading.Event(), threading.Event()

    def __call__(self, number):
        if number == self.at:
            self.reached.set()
            self.release.wait()


@pytest.fixture
def blocked(monkeypatch):
    monkeypatch.setattr(module, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(module, "SINK_STALL_SECONDS", 0.3)
    gate = Blocked(3)
    yield gate
    gate.release.set()
    for thread in threading.enumerate():
        if thread.name.startswith("vidseg-"):
            thread.join(5)


def run_and_stop(pipeline, gate):
    return pipeline.run(on_tick=lambda p: p.request_stop() if gate.reached.is_set() else None)


class BlockedAtClose(FakeSink):
    def __init__(self, gate):
        super().__init__()
        self._gate = gate

    def close(self):
        self._gate(self._gate.at)
        super().close()


def frames(count=8):
    return FakeSource([frame(index) for index in range(count)])


def test_a_sink_that_blocks_is_left_and_the_others_keep_what_they_have(blocked):
    before, hung, after = FakeSink(), FakeSink(before=blocked), FakeSink()
    hung.path = "hung.mp4"
    pipeline = Pipeline(frames(), FakeSegmenter(), FakeRenderer(), [before, hung, after])
    stats = run_and_stop(pipeline, blocked)
    assert (before.state, hung.state, after.state) == ("closed", "open", "closed")
    assert [index for index, _ in before.written] == [0, 1, 2, 3] and len(after.written) == 3 == stats.delivered
    assert pipeline.left_sinks == (hung,) and pipeline.left_behind == (
        "hung.mp4: was blocked for 0.3 seconds and is left unfinished"
    )
    blocked.release.set()
    assert not pipeline.aborted and hung.state == "open", "what comes too late does nothing more"


def test_an_encoder_that_blocks_at_its_end_is_left_without_being_asked(blocked):
    hung, other = BlockedAtClose(blocked), FakeSink()
    pipeline = Pipeline(frames(), FakeSegmenter(), FakeRenderer(), [hung, other])
    stats = pipeline.run()
    assert other.state == "closed" and len(other.written) == 8 == stats.delivered
    assert pipeline.left_sinks == (hung,) and not stats.stopped_early


def test_two_sinks_that_block_are_left_one_after_the_other(blocked):
    hung = [BlockedAtClose(blocked), FakeSink(), BlockedAtClose(blocked)]
    pipeline = Pipeline(frames(), FakeSegmenter(), FakeRenderer(), hung)
    pipeline.run()
    assert [sink.state for sink in hung] == ["open", "closed", "open"] and len(pipeline.left_sinks) == 2


def test_a_sender_waits_for_nobody_and_is_never_left_unasked(blocked):
    class Slow(FakeSender):
        def close(self):
            threading.Timer(1.0, blocked.release.set).start()
            blocked(blocked.at)
            super().close()

    sender = Slow(lost=0, reconnects=0)
    pipeline = Pipeline(frames(), FakeSegmenter(), FakeRenderer(), [sender])
    pipeline.run()
    assert sender.state == "closed" and pipeline.left_behind is None


def test_a_model_that_blocks_is_left_and_what_it_gave_is_written(blocked):
    sink = FakeSink()
    pipeline = Pipeline(frames(), FakeSegmenter(before=blocked), FakeRenderer(), [sink])
    run_and_stop(pipeline, blocked)
    assert sink.state == "closed" and [index for index, _ in sink.written] == [0, 1, 2]
    assert "the model: was blocked" in pipeline.left_behind and pipeline.left_sinks == ()


def test_masks_that_block_are_left_and_what_came_before_is_written(blocked):
    class Stepped(FakeSegmenter):
        def begin(self, items):
            return [lambda found=found: self.finish(found) for found in self.segment(items)]

        def finish(self, found: Segmentation):
            blocked(found.frame_index)
            return found

    sink = FakeSink()
    pipeline = Pipeline(frames(), Stepped(), FakeRenderer(), [sink])
    run_and_stop(pipeline, blocked)
    assert (
        sink.state == "closed" and len(sink.written) == 3 and "the model or the smoothing: was" in pipeline.left_behind
    )


def test_an_aborted_run_does_not_wait_for_a_blocked_stage_either(blocked):
    hung, other = FakeSink(before=blocked), FakeSink()
    pipeline = Pipeline(frames(), FakeSegmenter(), FakeRenderer(), [hung, other])
    pipeline.run(on_tick=lambda p: p.abort() if blocked.reached.is_set() else None)
    assert pipeline.aborted and other.state == "aborted" and hung.state == "open"


def test_a_disk_may_take_as_long_as_it_needs(blocked, monkeypatch, tmp_path):
    flush = os.fsync

    def slow(descriptor):
        threading.Timer(1.5, blocked.release.set).start()
        blocked(blocked.at)
        flush(descriptor)

    class OnDisk(FakeSink):
        def close(self):
            part = atomic.PartFile(tmp_path / "out", overwrite=False)
            part.commit()
            super().close()

    monkeypatch.setattr(os, "fsync", slow)
    sink = OnDisk()
    pipeline = Pipeline(frames(), FakeSegmenter(), FakeRenderer(), [sink])
    pipeline.run(on_tick=lambda p: p.request_stop() if p.stats.delivered else None)
    assert sink.state == "closed" and (tmp_path / "out").exists() and pipeline.left_behind is None


class Machine:
    """A clock, the processor time used, and whether a thread waits for the disk."""

    def __init__(self):
        self.now = self.used = 0.0
        self.disk = False
        self.watch = StallWatch(clock=lambda: self.now, busy=lambda: self.used, at_disk=lambda threads: self.disk)

    def after(self, seconds, *, marks=0, busy=0.0, step=0.5):
        """Whether it is stalled when so much time has gone by in steps, with that share of a core at work."""
        for _ in range(round(seconds / step)):
            self.now += step
            self.used += busy * step
            said = self.watch.stalled(marks, (), 10.0)
        return said


def test_without_counts_processor_time_and_disk_it_is_stalled_after_the_limit():
    machine = Machine()
    machine.after(0.5)
    assert not machine.after(9.5, busy=0.05) and machine.after(0.5)


@pytest.mark.parametrize("busy", [0.2, 1.0])
def test_work_without_counts_is_no_stall(busy):
    machine = Machine()
    assert not machine.after(60, busy=busy)
    assert machine.after(20.5), "once it stops"


def test_counts_and_the_disk_start_it_anew():
    machine = Machine()
    machine.after(9)
    assert not machine.after(0.5, marks=1) and not machine.after(9.5, marks=1)
    machine.disk = True
    assert not machine.after(30, marks=1)
    machine.disk = False
    assert machine.after(10, marks=1)


def test_a_process_that_was_stopped_was_not_blocked():
    machine = Machine()
    machine.after(1)
    assert not machine.after(3600, step=3600) and not machine.after(8)
    assert LONGEST_STEP_SECONDS == 1.0 and machine.after(2)


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="reads Linux's /proc")
def test_a_thread_that_waits_for_an_event_does_not_wait_for_the_disk(tmp_path):
    go, wrote, end = threading.Event(), threading.Event(), threading.Event()

    def work():
        go.wait()
        (tmp_path / "file").write_bytes(b"x" * 1000)
        wrote.set()
        end.wait()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert not waits_for_disk([thread])
        before = bytes_written([thread])
        go.set()
        assert wrote.wait(5) and bytes_written([thread]) - before in (0, 1000), "0 where nobody counts"
    finally:
        go.set()
        end.set()
        thread.join(5)


def test_what_stands_before_a_blocked_sink_is_not_taken_for_blocked(blocked):
    hung = FakeSink(before=blocked)
    hung.path = "hung.mp4"
    pipeline = Pipeline(frames(60), FakeSegmenter(), FakeRenderer(), [hung])
    run_and_stop(pipeline, blocked)
    assert pipeline.left_behind == "hung.mp4: was blocked for 0.3 seconds and is left unfinished"
