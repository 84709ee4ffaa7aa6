import pytest

from vidseg.timing import Histogram, RateMeter, StageTimers


class FakeClock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_stage_timers_add_up_calls_frames_and_seconds():
    clock = FakeClock()
    timers = StageTimers(clock)
    for seconds, frames in ((0.5, 4), (1.5, 6)):
        with timers.measure("model", frames):
            clock.now += seconds
    total = timers.totals()["model"]
    assert (total.calls, total.frames, total.seconds) == (2, 10, 2.0)
    assert total.ms_per_frame == pytest.approx(200)


def test_a_block_that_raises_is_not_counted():
    timers = StageTimers(FakeClock())
    with pytest.raises(KeyError), timers.measure("model"):
        raise KeyError
    assert timers.totals() == {}


def test_rate_is_count_over_span_of_the_window():
    clock = FakeClock()
    meter = RateMeter(window=3, clock=clock)
    assert meter.rate == 0
    for now in (0, 100, 101, 102):
        clock.now = now
        meter.tick()
    assert meter.rate == pytest.approx(1.0)


def test_a_burst_of_events_has_no_rate_yet():
    clock = FakeClock()
    meter = RateMeter(clock=clock)
    for clock.now in (10, 10.0001, 10.0002):
        meter.tick()
    assert meter.rate == 0
    clock.now = 10.5
    meter.tick()
    assert meter.rate == pytest.approx(6)


def test_histogram_counts_values_up_to_and_with_each_bound():
    histogram = Histogram([1, 2])
    for value in (0.5, 1, 1.5, 2, 7):
        histogram.add(value)
    assert histogram.snapshot() == ((2, 2, 1), 12.0)
