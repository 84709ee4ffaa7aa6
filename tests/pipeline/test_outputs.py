"""What an output that fails means for the others."""

from __future__ import annotations

import pytest

from tests.fakes import FakeSegmenter, FakeSink, FakeSource, frame
from vidseg.errors import WriteError
from vidseg.pipeline.options import PipelineOptions
from vidseg.pipeline.pipeline import Pipeline

FULL = WriteError("a.mp4: disk full, ends at 0:03; free some space")


class FullSink(FakeSink):
    """Its disk is full from a certain frame on, or when it is closed."""

    def __init__(self, *, full_at: int | None = None) -> None:
        super().__init__(close_error=FULL if full_at is None else None)
        self._full_at = full_at

    def write(self, item, segmentation, picture):
        if item.index == self._full_at:
            raise FULL
        super().write(item, segmentation, picture)


def run(failing, sinks, *, live=False, watchers=(), count=20):
    source = FakeSource([frame(i) for i in range(count)], live=live)
    options = PipelineOptions(failing=failing, keeps="every-frame")
    pipeline = Pipeline(source, FakeSegmenter(), None, sinks, options=options, watchers=watchers)
    with pytest.raises(WriteError) as caught:
        pipeline.run()
    assert source.closed == 1
    return pipeline, caught.value


@pytest.mark.parametrize("full_at", [3, None])
def test_by_default_one_that_fails_takes_all_along(full_at):
    failing, other = FullSink(full_at=full_at), FakeSink()
    pipeline, error = run("all", [failing, other])
    assert error is FULL and failing.state == other.state == "aborted" and not pipeline.outputs.finished


@pytest.mark.parametrize("full_at", [3, None])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_alone_the_others_become_whole(full_at, place):
    failing, others = FullSink(full_at=full_at), [FakeSink(), FakeSink()]
    sinks = [*others[:place], failing, *others[place:]]
    pipeline, error = run("alone", sinks)
    assert error is FULL and failing.state == "aborted" and pipeline.outputs.finished == others
    for other in others:
        assert other.state == "closed" and [index for index, _ in other.written] == list(range(20))


def test_a_run_whose_only_output_failed_has_nothing_more_to_do():
    watcher = FakeSink()
    pipeline, _ = run("alone", [FullSink(full_at=3)], watchers=[watcher], count=10_000)
    assert watcher.state == "closed" and pipeline.stats.delivered < 10_000


@pytest.mark.parametrize("full_at", [3, None])
def test_last_the_run_ends_and_the_others_are_finished(full_at):
    source = [frame(i) for i in range(20_000 if full_at else 20)]
    failing, other = FullSink(full_at=full_at), FakeSink()
    options = PipelineOptions(failing="last", keeps="every-frame")
    pipeline = Pipeline(FakeSource(source, live=True), FakeSegmenter(), None, [failing, other], options=options)
    with pytest.raises(WriteError, match="disk full, ends at 0:03"):
        pipeline.run()
    assert failing.state == "aborted" and other.state == "closed"
    assert [index for index, _ in other.written] == list(range(len(other.written)))
    assert 3 < len(other.written) < 20_000
    assert not pipeline.aborted


def test_every_failure_is_remembered():
    pipeline, error = run("alone", [FullSink(full_at=3), FakeSink(), FullSink()])
    assert error is FULL and len(pipeline.outputs.failures) == 2 and len(pipeline.outputs.finished) == 1


@pytest.mark.parametrize("failing", ["alone", "last"])
def test_a_watcher_that_fails_keeps_the_outputs_from_appearing(failing):
    output, watcher = FakeSink(), FullSink()
    run(failing, [output], watchers=[watcher])
    assert output.state == "aborted"
