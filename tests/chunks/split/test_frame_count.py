"""What is told of several workers while they are at work."""

from tests.test_timing import FakeClock
from vidseg.chunks.split.run import FrameCount


def test_frames_of_several_workers_that_are_counted_together_make_no_absurd_rate():
    clock = FakeClock()
    count = FrameCount(clock)
    rates = []
    for now, frames in ((3.0, 0), (5.0, 2), (5.0, 4), (7.0, 22), (9.0, 22)):
        clock.now = now
        progress = count.seen(frames)
        rates.append(progress.rate)
    assert rates == [0, 0, 0, 10, 5]
    assert progress.delivered == count.stats.delivered == 22 and count.stats.elapsed_seconds == 9
