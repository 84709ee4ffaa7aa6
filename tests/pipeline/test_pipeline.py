from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial

import pytest

from tests.fakes import FakePropagator, FakeRenderer, FakeSegmenter, FakeSink, FakeSource, all_end, frame
from vidseg.errors import SourceError
from vidseg.frames import Segmentation
from vidseg.pipeline import pipeline as module
from vidseg.pipeline.buffer import Closed
from vidseg.pipeline.options import PipelineOptions, Result
from vidseg.pipeline.pipeline import Pipeline

pytestmark = pytest.mark.timeout(60)


def make(source, segmenter=None, sinks=(), renderer=None, propagator=None, **options):
    return Pipeline(
        source,
        segmenter or FakeSegmenter(),
        renderer or FakeRenderer(),
        sinks,
        propagator=propagator,
        options=PipelineOptions(**options),
    )


def frames(count, **kwargs):
    return [frame(i, **kwargs) for i in range(count)]


def no_vidseg_threads() -> bool:
    return all_end("vidseg-")


def accounted(stats) -> bool:
    return stats.decoded == stats.skipped + stats.dropped + stats.delivered + stats.discarded and stats.discarded >= 0


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("stride", [1, 2, 5])
def test_every_frame_reaches_the_sink_in_order_with_the_masks_of_its_stride(batch, stride):
    source, segmenter, sink = FakeSource(frames(23)), FakeSegmenter(), FakeSink()
    stats = make(source, segmenter, [sink], batch=batch, stride=stride).run()
    assert sink.written == [(i, i - i % stride) for i in range(23)]
    assert segmenter.seen == list(range(0, 23, stride))
    assert max(len(b) for b in segmenter.batches) <= batch
    assert (stats.decoded, stats.delivered, stats.inferred) == (23, 23, len(segmenter.seen))
    assert stats.held == 23 - len(segmenter.seen)
    assert sink.state == "closed" and source.closed == 1 and not stats.stopped_early
    assert stats.source_counters == {"corrupt_packets": 3}
    assert accounted(stats) and no_vidseg_threads()


class LabelSink(FakeSink):
    """Remembers the label of each frame too."""

    def __init__(self):
        super().__init__()
        self.labels = []

    def write(self, item, segmentation, picture):
        super().write(item, segmentation, picture)
        self.labels.append(int(segmentation.label_map[0, 0]))


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_frames_between_get_the_carried_masks_of_their_anchor(batch):
    propagator, sink = FakePropagator(), LabelSink()
    stats = make(FakeSource(frames(10)), sinks=[sink], propagator=propagator, batch=batch, stride=4).run()
    assert sink.written == [(i, i - i % 4) for i in range(10)]
    assert sink.labels == [i - i % 4 + (100 if i % 4 else 0) for i in range(10)]
    assert propagator.calls == [0, "anchor", 1, 2, 3, 4, "anchor", 5, 6, 7, 8, "anchor", 9]
    assert (stats.inferred, stats.held) == (3, 7) and accounted(stats)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_new_scene_is_segmented_at_once_and_starts_the_stride_anew(batch):
    segmenter, sink = FakeSegmenter(), LabelSink()
    propagator = FakePropagator(cuts=[2])
    stats = make(FakeSource(frames(12)), segmenter, [sink], propagator=propagator, batch=batch, stride=5).run()
    assert segmenter.seen == [0, 2, 7]
    assert sink.written == [(i, 0 if i < 2 else 2 if i < 7 else 7) for i in range(12)]
    assert stats.held == 9 and accounted(stats)


def test_cuts_without_end_cost_at_most_twice_the_inferences_and_the_rest_is_held():
    segmenter, sink = FakeSegmenter(), LabelSink()
    make(FakeSource(frames(24)), segmenter, [sink], propagator=FakePropagator(cuts=range(24)), stride=6).run()
    assert segmenter.seen == [0, 1, 7, 8, 14, 15, 21, 22]
    assert sink.labels == [max(s for s in segmenter.seen if s <= i) for i in range(24)], "held as they are"


def test_stills_and_stride_one_carry_nothing():
    for source, stride in ((FakeSource(frames(6), still=True), 3), (FakeSource(frames(6)), 1)):
        propagator = FakePropagator()
        make(source, sinks=[FakeSink()], propagator=propagator, stride=stride).run()
        assert propagator.calls == []


def test_a_change_of_size_is_segmented_with_a_propagator_too():
    items = [frame(i, size_hw=(4, 6) if i < 5 else (6, 4)) for i in range(10)]
    sink = FakeSink()
    make(FakeSource(items), sinks=[sink], propagator=FakePropagator(cuts=[5]), batch=4, stride=4).run()
    assert [source for _, source in sink.written] == [0, 0, 0, 0, 4, 5, 5, 5, 5, 9]


def test_an_empty_source_closes_its_sinks_and_reports_zero():
    sink = FakeSink()
    stats = make(FakeSource([]), sinks=[sink]).run()
    assert stats.decoded == 0 and sink.state == "closed"


def test_max_fps_leaves_frames_out_and_counts_them():
    sink = FakeSink()
    stats = make(FakeSource(frames(30)), sinks=[sink], max_fps=10).run()
    assert [i for i, _ in sink.written] == list(range(0, 30, 3))
    assert stats.skipped == 20 and accounted(stats)


def test_limit_ends_the_run_after_so_many_frames_that_went_on():
    sink = FakeSink()
    stats = make(FakeSource(frames(30)), sinks=[sink], max_fps=15, limit=4).run()
    assert [i for i, _ in sink.written] == [0, 2, 4, 6]
    assert sink.state == "closed" and accounted(stats)


def test_stills_are_each_segmented_whatever_the_stride():
    sink = FakeSink()
    make(FakeSource(frames(6), still=True), sinks=[sink], stride=3).run()
    assert sink.written == [(i, i) for i in range(6)]


def test_a_change_of_size_never_shares_a_batch_nor_holds_masks():
    items = [frame(i, size_hw=(4, 6) if i < 5 else (6, 4)) for i in range(10)]
    segmenter, sink = FakeSegmenter(), FakeSink()
    make(FakeSource(items), segmenter, [sink], batch=4, stride=3).run()
    assert all({i < 5 for i in batch} in ({True}, {False}) for batch in segmenter.batches)
    assert dict(sink.written)[5] == 5


def test_rendering_is_left_out_when_no_sink_needs_a_picture():
    renderer, sink = FakeRenderer(), FakeSink(needs_picture=False)
    make(FakeSource(frames(4)), sinks=[sink], renderer=renderer).run()
    assert renderer.calls == 0 and sink.pictures == [None] * 4


def test_a_batch_does_not_wait_for_frames_that_are_not_there():
    first_done = threading.Event()
    # given a source that gives its second frame only after the first was written
    source = FakeSource(frames(2), before=lambda n: n == 0 or first_done.wait(10))
    sink = FakeSink(before=lambda n: first_done.set())
    make(source, sinks=[sink], batch=8).run()
    assert [i for i, _ in sink.written] == [0, 1]


def test_a_held_frame_does_not_wait_for_the_next_inference():
    second_done = threading.Event()
    source = FakeSource(frames(3), before=lambda n: n < 2 or second_done.wait(10))
    sink = FakeSink(before=lambda n: n == 1 and second_done.set())
    make(source, sinks=[sink], stride=2).run()
    assert sink.written == [(0, 0), (1, 0), (2, 2)]


def test_a_slow_model_drops_and_counts_frames_of_a_live_source_but_delivers_the_newest():
    all_out = threading.Event()

    def before(number):
        if number == 9:
            all_out.set()

    # given a model that is busy with the first frame until the source has nearly ended
    segmenter = FakeSegmenter(before=lambda index: index != 0 or all_out.wait(10))
    sink = FakeSink()
    stats = make(FakeSource(frames(10), live=True, before=before), segmenter, [sink]).run()
    assert stats.dropped > 0 and accounted(stats)
    assert sink.written[-1] == (9, 9), "the newest frame is kept"


def test_a_file_drops_nothing_however_slow_the_sink():
    sink = FakeSink(before=lambda i: threading.Event().wait(0.002))
    stats = make(FakeSource(frames(40)), sinks=[sink], queue_size=1).run()
    assert stats.dropped == 0 and stats.delivered == 40


def broken(stage):
    parts = {
        "source": (FakeSource(frames(5), error=OSError("decode broke")), FakeSegmenter(), FakeRenderer(), FakeSink()),
        "segmenter": (FakeSource(frames(50)), FakeSegmenter(error_at=7), FakeRenderer(), FakeSink()),
        "renderer": (FakeSource(frames(50)), FakeSegmenter(), FakeRenderer(error_at=7), FakeSink()),
        "sink": (FakeSource(frames(50)), FakeSegmenter(), FakeRenderer(), FakeSink(error_at=7)),
        "close": (FakeSource(frames(5)), FakeSegmenter(), FakeRenderer(), FakeSink(close_error=OSError("no space"))),
    }
    return parts[stage]


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        ("source", "decode broke"),
        ("segmenter", "model broke"),
        ("renderer", "renderer broke"),
        ("sink", "disk full"),
        ("close", "no space"),
    ],
)
@pytest.mark.parametrize("repeat", range(5))
def test_an_error_in_any_stage_ends_the_run_with_that_error_and_aborts_every_sink(stage, text, repeat):
    source, segmenter, renderer, sink = broken(stage)
    other = FakeSink(before=None)
    pipeline = Pipeline(source, segmenter, renderer, [sink, other], options=PipelineOptions(queue_size=2))
    with pytest.raises((OSError, RuntimeError), match=text):
        pipeline.run()
    assert sink.state == "aborted" and other.state == "aborted"
    assert source.closed == 1 and accounted(pipeline.stats) and no_vidseg_threads()


def test_a_source_that_breaks_off_keeps_what_came_before():
    source = FakeSource(frames(9), error=SourceError("rtsp://camera: no data for 10 s"))
    sink = FakeSink()
    stats = make(source, sinks=[sink]).run()
    assert len(sink.written) == 9 and sink.state == "closed"
    assert stats.broken_source == "rtsp://camera: no data for 10 s" and accounted(stats)


def test_a_source_that_breaks_before_its_first_frame_is_an_error():
    sink = FakeSink()
    with pytest.raises(SourceError, match="no frame"):
        make(FakeSource([], error=SourceError("no frame")), sinks=[sink]).run()
    assert sink.state == "aborted"


def test_a_stop_before_the_first_frame_leaves_nothing_and_is_no_error():
    source = FakeSource(frames(3), block_at=0)
    sink = FakeSink(close_error=OSError("no frame was written"))
    pipeline = make(source, sinks=[sink])
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    assert source.blocked.wait(5)
    pipeline.request_stop()
    thread.join(5)
    assert sink.state == "aborted" and pipeline.stats.delivered == 0 and not pipeline.aborted


def test_an_abort_that_comes_while_the_last_sink_finishes_is_too_late_and_says_so():
    closing, release = threading.Event(), threading.Event()

    class SlowToClose(FakeSink):
        def close(self):
            closing.set()
            release.wait(10)
            super().close()

    first, last = SlowToClose(), FakeSink()
    for sinks, aborted, states in (([first], False, ["closed"]), ([SlowToClose(), last], True, ["closed", "aborted"])):
        closing.clear()
        release.clear()
        pipeline = make(FakeSource(frames(3)), sinks=sinks)
        thread = threading.Thread(target=pipeline.run)
        thread.start()
        assert closing.wait(5)
        pipeline.abort()
        release.set()
        thread.join(5)
        assert pipeline.aborted is aborted and [sink.state for sink in sinks] == states


def test_skipped_frames_lengthen_the_one_before_them_to_the_end():
    seen = []

    class Sink(FakeSink):
        def write(self, item, segmentation, picture):
            seen.append((item.index, item.duration))

    make(FakeSource(frames(8)), sinks=[Sink()], max_fps=10).run()
    assert seen == [(0, 3), (3, 3), (6, 2)]


def test_limit_does_not_count_frames_that_a_live_source_drops():
    burst_over, segmented = threading.Event(), threading.Semaphore(0)

    def at_source(number):
        if number == 20:
            burst_over.set()
        if number > 20:  # from here on the source is no faster than the model
            segmented.acquire(timeout=5)

    def at_model(index):
        if index == 0:
            burst_over.wait(5)
        segmented.release()

    source = FakeSource(frames(40), live=True, before=at_source)
    stats = make(source, FakeSegmenter(before=at_model), [FakeSink()], limit=5).run()
    assert stats.dropped > 0 and stats.delivered == 5 and accounted(stats)


def test_request_stop_finishes_the_frames_under_way_and_closes_the_sinks():
    source = FakeSource(frames(10), block_at=6)
    sink = FakeSink()
    pipeline = make(source, sinks=[sink])
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    assert source.blocked.wait(5)
    pipeline.request_stop()
    thread.join(5)
    assert not thread.is_alive()
    assert [i for i, _ in sink.written] == list(range(6))
    assert sink.state == "closed" and pipeline.stats.stopped_early and pipeline.stats.discarded == 0


def test_abort_throws_away_what_is_under_way_and_aborts_the_sinks():
    in_sink, release = threading.Event(), threading.Event()

    def before(index):
        if index == 2:
            in_sink.set()
            release.wait(10)

    sink = FakeSink(before=before)
    pipeline = make(FakeSource(frames(30)), sinks=[sink])
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    assert in_sink.wait(5)
    pipeline.abort()
    release.set()
    thread.join(5)
    assert sink.state == "aborted" and [i for i, _ in sink.written] == [0, 1, 2]
    assert pipeline.aborted and accounted(pipeline.stats) and no_vidseg_threads()


def test_a_source_that_ignores_interrupt_does_not_keep_the_run_from_ending(monkeypatch):
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.05)
    source = FakeSource(frames(10), block_at=4, deaf=True)
    sink = FakeSink()
    pipeline = make(source, sinks=[sink])
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    assert source.blocked.wait(5)
    pipeline.request_stop()
    thread.join(5)
    assert not thread.is_alive() and sink.state == "closed" and len(sink.written) == 4
    source.release.set()


def drain(buffer, seen, limit=None):
    try:
        while limit is None or len(seen) < limit:
            seen.append(buffer.get().frame.index)
    except Closed:
        pass


def test_without_sinks_the_display_gets_every_frame():
    seen: list[int] = []
    stats = make(FakeSource(frames(12))).run(display=lambda buffer: drain(buffer, seen))
    assert seen == list(range(12)) and not stats.stopped_early


def test_the_display_runs_on_the_callers_thread():
    where = []

    def display(buffer):
        where.append(threading.current_thread())
        drain(buffer, [])

    make(FakeSource(frames(2))).run(display=display)
    assert where == [threading.current_thread()]


def test_a_slow_display_costs_the_sink_no_frame():
    sink, seen = FakeSink(), []
    written_all = threading.Event()
    sink._before = lambda i: i == 19 and written_all.set()

    def display(buffer):
        written_all.wait(10)
        drain(buffer, seen)

    make(FakeSource(frames(20)), sinks=[sink]).run(display=display)
    assert len(sink.written) == 20 and seen[-1] == 19 and len(seen) < 20


def test_closing_the_window_stops_the_run_and_finishes_the_file():
    sink = FakeSink()
    source = FakeSource(frames(200), before=lambda n: threading.Event().wait(0.002))
    stats = make(source, sinks=[sink]).run(display=lambda buffer: drain(buffer, [], limit=3))
    assert stats.stopped_early and sink.state == "closed" and 3 <= len(sink.written) < 200


def test_an_error_in_the_display_aborts_the_run():
    def display(buffer):
        raise RuntimeError("window broke")

    sink = FakeSink()
    with pytest.raises(RuntimeError, match="window broke"):
        make(FakeSource(frames(50)), sinks=[sink]).run(display=display)
    assert sink.state == "aborted" and no_vidseg_threads()


def test_a_stage_error_ends_a_waiting_display():
    source = FakeSource(frames(3), error=OSError("decode broke"))
    with pytest.raises(OSError, match="decode broke"):
        make(source).run(display=lambda buffer: drain(buffer, []))
    assert no_vidseg_threads()


def test_ticks_come_while_running_and_their_error_ends_the_run():
    def tick(pipeline):
        raise RuntimeError("progress broke")

    with pytest.raises(RuntimeError, match="progress broke"):
        make(FakeSource(frames(3)), sinks=[FakeSink()]).run(on_tick=tick)
    assert no_vidseg_threads()


def test_stats_as_dict_is_plain_json():
    import json

    stats = make(FakeSource(frames(4)), sinks=[FakeSink()]).run()
    text = json.loads(json.dumps(stats.as_dict()))
    assert text["delivered"] == 4 and text["stages"]["write"]["frames"] == 4 and text["fps"] > 0


def test_failing_closed_a_frame_without_masks_of_its_own_gets_none():
    sink = LabelSink()
    stats = make(FakeSource(frames(9)), sinks=[sink], stride=4, fail_closed=True).run()
    assert sink.labels == [0, 255, 255, 255, 4, 255, 255, 255, 8], "never those of the frame before"
    assert (stats.inferred, stats.delivered) == (3, 9)


@pytest.mark.parametrize("batch", [1, 3])
def test_failing_closed_what_cannot_be_carried_is_segmented(batch):
    segmenter, sink = FakeSegmenter(), LabelSink()
    propagator = FakePropagator(cuts=[2, 3, 4])
    make(FakeSource(frames(9)), segmenter, [sink], propagator=propagator, batch=batch, stride=6, fail_closed=True).run()
    assert segmenter.seen == [0, 2, 3, 4, 8]
    assert sink.labels == [0, 100, 2, 3, 4, 104, 104, 104, 8]


def test_failing_closed_the_masks_of_another_frame_or_size_are_not_believed():
    class Mixed(FakeSegmenter):
        def segment(self, items):
            return [
                Segmentation(found.label_map if item.index != 2 else found.label_map[1:], max(found.frame_index, 1))
                for item, found in zip(items, super().segment(items), strict=True)
            ]

    for closed, labels in ((True, [255, 1, 255, 3]), (False, [0, 1, 2, 3])):
        sink = LabelSink()
        make(FakeSource(frames(4)), Mixed(), [sink], fail_closed=closed).run()
        assert sink.labels == labels


def live_run(ages, **options):
    """The frames shown of a live source whose frames reach the display `ages` seconds after they came."""
    now = [0.0]
    shown = []

    class Late(FakeSegmenter):
        def segment(self, items):
            now[0] += ages[items[0].index]
            return super().segment(items)

    taken = threading.Semaphore(1)
    source = FakeSource(frames(len(ages)), live=True, before=lambda i: taken.acquire())

    class Paced(FakeSink):
        def write(self, item, segmentation, picture):
            super().write(item, segmentation, picture)
            taken.release()  # the next frame only when this one is through, so that none is dropped

    pipeline = Pipeline(
        source, Late(), None, [Paced()], options=PipelineOptions(**options), clock=lambda: now[0]
    )  # fmt: skip

    def display(results):
        while True:
            try:
                result = results.get()
            except Closed:
                return
            shown.append(result.frame.index)

    pipeline.run(display)
    return shown, pipeline.stats


def test_what_is_too_old_is_not_shown_but_written_and_counted():
    shown, stats = live_run([0.1, 0.6, 0.4, 2.0], max_staleness=0.5)
    assert not set(shown) & {1, 3}
    assert (stats.stale, stats.delivered) == (2, 4) and accounted(stats)


def test_without_a_limit_nothing_is_stale():
    assert live_run([3.0, 3.0])[1].stale == 0


def test_every_frame_of_a_live_source_goes_through_if_asked():
    sink = FakeSink(before=lambda i: None)
    stats = make(FakeSource(frames(200), live=True), sinks=[sink], keeps="every-frame").run()
    assert [i for i, _ in sink.written] == list(range(200)) and stats.dropped == 0


def test_newest_drops_frames_of_a_file_too():
    entered, go = threading.Event(), threading.Event()

    def slow(index):
        if index == 0:
            entered.set()
            go.wait()

    def before(index):
        if index == 1:
            entered.wait()
        if index == 19:
            go.set()

    stats = make(FakeSource(frames(20), before=before), FakeSegmenter(before=slow), keeps="newest").run()
    assert stats.dropped >= 17 and accounted(stats)


class SteppedFake(FakeSegmenter):
    """A `FakeSegmenter` in two steps; `finishing` is called with a frame's index when its masks are to be made."""

    def __init__(self, finishing, **kwargs):
        super().__init__(**kwargs)
        self._finishing = finishing

    def begin(self, frames):
        def finish(found):
            self._finishing(found.frame_index)
            return found

        return [partial(finish, found) for found in self.segment(frames)]


def test_the_network_works_on_the_next_frame_while_masks_are_made():
    begun = [threading.Event() for _ in range(4)]

    def finishing(index):
        assert begun[min(index + 1, 3)].wait(timeout=10), "the network waits for the masks"

    sink = FakeSink()
    make(FakeSource(frames(4)), SteppedFake(finishing, before=lambda index: begun[index].set()), [sink]).run()
    assert sink.written == [(k, k) for k in range(4)]


@pytest.mark.parametrize("batch", [1, 2])
def test_masks_are_made_in_order_and_held_for_the_frames_between(batch):
    order, sink = [], FakeSink()
    make(FakeSource(frames(8)), SteppedFake(order.append), [sink], stride=3, batch=batch).run()
    assert order == [0, 3, 6]
    assert sink.written == [(k, k - k % 3) for k in range(8)]


def test_an_error_while_masks_are_made_ends_the_run():
    def finishing(index):
        if index == 2:
            raise RuntimeError("masks broke")

    sink = FakeSink()
    with pytest.raises(RuntimeError, match="masks broke"):
        make(FakeSource(frames(50)), SteppedFake(finishing), [sink]).run()
    assert sink.state == "aborted" and no_vidseg_threads()


def test_abort_while_masks_are_made_ends_all_threads():
    blocked, release = threading.Event(), threading.Event()

    def finishing(index):
        blocked.set()
        release.wait()

    sink = FakeSink()
    pipeline = make(FakeSource(frames(50)), SteppedFake(finishing), [sink])

    def tick(_):
        if blocked.is_set():
            pipeline.abort()
            release.set()

    stats = pipeline.run(on_tick=tick)
    assert pipeline.aborted and sink.state == "aborted" and no_vidseg_threads() and accounted(stats)


def test_a_run_that_failed_looks_up_ten_times_a_second_while_the_model_still_works():
    """Not as often as it can, though the thread of the outputs has ended."""
    failed, release = threading.Event(), threading.Event()
    segmenter = FakeSegmenter(before=lambda index: index == 1 and release.wait(10))
    ticks: list[float] = []

    class Failing(FakeSink):
        def abort(self):
            super().abort()
            failed.set()

    def tick(_):
        if failed.is_set():
            ticks.append(0.0)
            if len(ticks) == 1:
                threading.Timer(0.5, release.set).start()

    with pytest.raises(OSError, match="disk full"):
        make(FakeSource(frames(5)), segmenter, [Failing(error_at=0)]).run(on_tick=tick)
    assert 1 <= len(ticks) < 50


def test_a_failed_run_interrupts_a_source_that_waits():
    source = FakeSource(frames(5), block_at=3)
    with pytest.raises(RuntimeError, match="model broke"):
        make(source, FakeSegmenter(error_at=0), [FakeSink()]).run()
    assert source.release.is_set() and source.closed == 1


def test_an_error_of_the_model_with_the_last_frame_fails_a_run_that_does_not_wait_for_it():
    passed = threading.Event()  # without waiting for its own masks
    segmenter = FakeSegmenter(error_at=1, before=lambda index: index == 1 and passed.wait(10))
    sink = FakeSink(before=lambda index: index == 1 and passed.set())
    with pytest.raises(RuntimeError, match="model broke"):
        make(FakeSource(frames(2)), segmenter, [sink], stride="auto").run()
    assert sink.state == "aborted"


def test_frames_that_are_too_old_are_counted_once_each_on_both_threads():
    class Slow:
        """Counts whose reader is overtaken, if anybody can overtake it."""

        def __init__(self):
            self._stale, self.overtaken = 0, threading.Barrier(2)

        @property
        def stale(self):
            found = self._stale
            with suppress(threading.BrokenBarrierError):
                self.overtaken.wait(0.2)
            return found

        @stale.setter
        def stale(self, count):
            self._stale = count

    pipeline = make(FakeSource(frames(1), live=True), max_staleness=0.0)
    pipeline.stats = counts = Slow()
    old = frame(0)
    old.arrived = -1e9
    threads = [threading.Thread(target=pipeline.stale, args=(Result(old, None),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert counts._stale == 2
