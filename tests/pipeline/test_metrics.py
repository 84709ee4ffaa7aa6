"""What a pipeline tells about itself for those who watch it: age of frames, latency, rates, queues."""

from __future__ import annotations

from tests.fakes import FakeSegmenter, FakeSender, FakeSink, FakeSource, frame
from vidseg.pipeline.pipeline import Pipeline


class FakeClock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_latency_is_counted_from_the_source_to_the_last_sink():
    clock = FakeClock()

    def slow(index):
        clock.now += 0.04  # in (0.033, 0.05]

    frames = [frame(0)]
    pipeline = Pipeline(FakeSource(frames), FakeSegmenter(before=slow), None, [FakeSink(before=slow)], clock=clock)
    assert pipeline.age_seconds(frames[0]) is None
    pipeline.run()
    counts, total = pipeline.latency.snapshot()
    assert sum(counts) == 1 and abs(total - 0.08) < 1e-9
    assert counts[pipeline.latency.bounds.index(0.1)] == 1
    assert abs(pipeline.age_seconds(frames[0]) - 0.08) < 1e-9


def test_rates_queues_and_counters_can_be_read(monkeypatch):
    monkeypatch.setattr("vidseg.timing._BURST_SECONDS", 0)  # stages that do nothing take less
    pipeline = Pipeline(FakeSource([frame(k) for k in range(5)]), FakeSegmenter(), None, [FakeSink()])
    pipeline.run()
    assert pipeline.input_rate.rate > 0 and pipeline.output_rate.rate > 0
    assert pipeline.queue_depths == {"incoming": 0, "begun": 0, "results": 0, "display": 0}
    assert pipeline.source_counters == {"corrupt_packets": 3}


def test_what_all_receivers_missed_can_be_read_and_is_in_the_stats():
    sinks = [FakeSender(lost=3, reconnects=1), FakeSink(), FakeSender(lost=4, reconnects=0)]
    pipeline = Pipeline(FakeSource([frame(0)]), FakeSegmenter(), None, sinks)
    assert (pipeline.lost_in_sending, pipeline.receiver_reconnects) == (7, 1)
    stats = pipeline.run().as_dict()
    assert (stats["lost_in_sending"], stats["receiver_reconnects"]) == (7, 1)
