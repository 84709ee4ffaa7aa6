"""A run whose results are taken one by one. No sleeps: what is waited for is waited for."""

from __future__ import annotations

import gc
import threading

import pytest

from tests.fakes import FakeSegmenter, FakeSource
from tests.pipeline.test_pipeline import frames, no_vidseg_threads
from vidseg.errors import SourceError
from vidseg.pipeline.iterate import iterate
from vidseg.pipeline.options import PipelineOptions
from vidseg.pipeline.pipeline import Pipeline

pytestmark = pytest.mark.timeout(60)


def make(source, segmenter=None, **options):
    return Pipeline(source, segmenter or FakeSegmenter(), None, [], options=PipelineOptions(**options))


def test_all_results_come_in_order_and_nothing_is_left():
    source = FakeSource(frames(50))
    pipeline = make(source, stride=3)
    found = [(result.frame.index, result.segmentation.frame_index) for result in iterate(pipeline)]
    assert found == [(i, i - i % 3) for i in range(50)]
    assert no_vidseg_threads() and source.closed == 1
    assert pipeline.stats.delivered == 50 and not pipeline.stats.stopped_early


def test_a_slow_caller_keeps_the_source_waiting():
    read = []
    source = FakeSource(frames(500), before=read.append)
    for count, _ in enumerate(iterate(make(source)), 1):
        assert len(read) <= count + 20, "a few hand-overs of a few frames each"
        if count == 100:
            break
    assert len(read) < 130 and no_vidseg_threads() and source.closed == 1


def test_leaving_the_loop_in_any_way_ends_the_threads():
    def by_break(results):
        for _ in results:
            break
        results.close()

    def by_exception(results):
        with pytest.raises(ZeroDivisionError):
            for _ in results:
                raise ZeroDivisionError
        results.close()

    def by_throw(results):
        next(results)
        with pytest.raises(KeyboardInterrupt):
            results.throw(KeyboardInterrupt)

    def by_forgetting(results):
        next(results)

    for leave in (by_break, by_exception, by_throw, by_forgetting):
        source = FakeSource(frames(300))
        leave(iterate(make(source)))
        gc.collect()
        assert no_vidseg_threads() and source.closed == 1, leave


def test_what_is_never_asked_for_is_never_started():
    source = FakeSource(frames(3))
    results = iterate(make(source))
    assert no_vidseg_threads()
    results.close()
    assert source.closed == 0, "the pipeline has not been given the source to read"


def test_leaving_while_the_source_hangs():
    source = FakeSource(frames(9), block_at=2)
    results = iterate(make(source))
    next(results)
    assert source.blocked.wait(10)
    results.close()
    assert no_vidseg_threads() and source.closed == 1


@pytest.mark.parametrize("at", [0, 5])
def test_errors_of_any_stage_are_raised_to_the_caller(at):
    results = iterate(make(FakeSource(frames(20)), FakeSegmenter(error_at=at)))
    with pytest.raises(RuntimeError, match="model broke"):
        list(results)
    assert no_vidseg_threads()
    with pytest.raises(SourceError, match="gone"):
        list(iterate(make(FakeSource([], error=SourceError("gone")))))
    assert no_vidseg_threads()


def test_it_works_on_any_thread_and_a_generator_may_be_closed_on_another():
    found: list[int] = []
    source = FakeSource(frames(30))
    results = iterate(make(source))

    def take():
        found.extend(next(results).frame.index for _ in range(3))

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    results.close()
    assert found == [0, 1, 2] and no_vidseg_threads() and source.closed == 1


def test_collected_on_a_thread_of_the_run_it_does_not_wait_for_itself():
    holder = []
    taken = threading.Event()

    def forget(index: int) -> None:
        if index == 3:
            taken.wait(10)
            holder.pop().close()

    source = FakeSource(frames(20), before=forget)
    holder.append(iterate(make(source)))
    next(holder[0])
    taken.set()
    assert no_vidseg_threads() and not holder and source.closed == 1
