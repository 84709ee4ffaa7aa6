"""A source that comes back: fakes that break, fall silent or block, steered by Events."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

import numpy as np
import pytest

from tests.fakes import FakeSegmenter, FakeSink, frame
from vidseg.audio import AudioBlock, AudioQueue
from vidseg.errors import SourceError
from vidseg.frames import NO_LABEL, Frame, VideoInfo
from vidseg.interfaces import VideoSource
from vidseg.pipeline.options import PipelineOptions
from vidseg.pipeline.pipeline import Pipeline
from vidseg.pipeline.reconnecting import Backoff, ReconnectingSource, ReconnectOptions, connect, duration_in_words

pytestmark = pytest.mark.timeout(60)

QUICK = ReconnectOptions(
    shortest_wait=0.001, longest_wait=0.002, silence=60.0, watchdog=60.0, card_period=0.005
)  # fmt: skip
END = object()


class Stream:
    """A live source that yields what the test puts in: frames, an error to raise, or `END`."""

    def __init__(
        self, *items: object, size_hw=(4, 6), time_base=Fraction(1, 30), deaf: bool = False, audio: bool = False
    ) -> None:
        heard = AudioQueue() if audio else None
        self.info = VideoInfo(size_hw[1], size_hw[0], time_base, Fraction(30), live=True, audio=heard)
        self.items: queue.Queue[object] = queue.Queue()
        for item in items:
            self.items.put(item)
        self.counters: Mapping[str, int] = {"corrupt_packets": 2}
        self.closed = threading.Event()
        self.interrupted = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self._deaf = deaf

    def __iter__(self) -> Iterator[Frame]:
        self.go.wait()
        while True:
            item = self.items.get()
            if item is END:
                return
            if isinstance(item, BaseException):
                raise item
            assert isinstance(item, Frame)
            if self.info.audio is not None:  # heard with each picture: its own time
                self.info.audio.put(AudioBlock(np.zeros((10, 2), np.int16), Fraction(item.pts, 30)))
            yield item

    def interrupt(self) -> None:
        self.interrupted.set()
        if not self._deaf:
            self.items.put(END)

    def close(self) -> None:
        self.closed.set()


class Reopen:
    """Gives out the prepared streams, or raises the prepared errors; the last one for ever."""

    def __init__(self, *prepared: Stream | SourceError) -> None:
        self.prepared = list(prepared)
        self.calls = 0

    def __call__(self) -> VideoSource:
        self.calls += 1
        item = self.prepared.pop(0) if len(self.prepared) > 1 else self.prepared[0]
        if isinstance(item, SourceError):
            raise item
        return item


def paint(picture, text):
    assert text.startswith(("offline for", "no picture for"))
    return np.zeros_like(picture)


def fit(picture, size_hw):
    return np.full((*size_hw, 3), 77, np.uint8)


def reconnecting(first: Stream, reopen: Callable[[], VideoSource], options=QUICK, announce=lambda text: None):
    """One whose frames are wanted from the first on."""
    first.go.clear()
    source = ReconnectingSource(first, reopen, card=paint, fit=fit, options=options, announce=announce)
    source._wanted = True
    first.go.set()
    return source


def take(frames: Iterator[Frame], count: int) -> tuple[list[Frame], int]:
    """The next `count` real frames, and how many cards came among them."""
    real, cards = [], 0
    while len(real) < count:
        item = next(frames)
        if item.placeholder:
            cards += 1
        else:
            real.append(item)
    return real, cards


def gone(source: ReconnectingSource) -> bool:
    """Whether the reading thread ends."""
    source._reader.join(10)
    return not source._reader.is_alive()


BROKEN = SourceError("rtsp://camera: reading failed")


def test_audio_has_the_times_of_the_pictures_beside_it_across_connections():
    first, second = Stream(frame(0, pts=7), frame(1, pts=9), END, audio=True), Stream(frame(0, pts=500), audio=True)
    source = reconnecting(first, Reopen(second))
    assert source.info.audio is not None and source.info.audio is not first.info.audio
    real, _ = take(iter(source), 3)
    heard = source.info.audio.take()
    assert [piece.seconds * 30 for piece in heard] == [item.pts for item in real]
    source.close()


def test_a_connection_without_audio_is_said_and_one_that_has_it_first_makes_none():
    said: list[str] = []
    first = Stream(frame(0), END, audio=True)
    source = reconnecting(first, Reopen(Stream(frame(0))), announce=said.append)
    take(iter(source), 2)
    assert said.count("the source has no audio any more; silence from here on") == 1
    source.close()
    source = reconnecting(Stream(frame(0), END), Reopen(Stream(frame(0), audio=True)))
    take(iter(source), 2)
    assert source.info.audio is None
    source.close()


def test_frames_come_through_as_they_are_until_it_is_closed():
    stream = Stream(frame(0, pts=7), frame(1, pts=9))
    source = reconnecting(stream, Reopen(BROKEN))
    frames = iter(source)
    first, second = take(frames, 2)[0]
    assert (first.pts, second.pts, first.index, second.index) == (7, 9, 0, 1) and first.duration == 1
    source.close()
    assert list(frames) == [] and gone(source) and stream.closed.is_set()


@pytest.mark.parametrize("ending", [BROKEN, END])
def test_a_stream_that_breaks_or_ends_is_connected_to_again(ending):
    first, second, third = Stream(frame(0), ending), Stream(frame(0, pts=500), ending), Stream(frame(0, pts=3))
    reopen = Reopen(BROKEN, second, BROKEN, BROKEN, third)
    source = reconnecting(first, reopen)
    frames = iter(source)
    real, cards = take(frames, 3)
    assert reopen.calls == 5 and cards >= 2, "a card for each time it was away"
    assert [f.pts for f in real] == sorted({f.pts for f in real}), "times go on"
    assert real[2].pts < 100, "by the clock, not by what the stream says"
    assert first.closed.is_set() and second.closed.is_set() and not third.closed.is_set()
    assert source.counters["reconnects"] == 2 and source.counters["corrupt_packets"] == 6
    source.close()
    assert gone(source)


def test_indices_count_cards_too_and_cards_are_marked():
    source = reconnecting(Stream(frame(0), BROKEN), Reopen(BROKEN))
    frames = iter(source)
    seen = [next(frames) for _ in range(5)]
    assert [f.index for f in seen] == [0, 1, 2, 3, 4]
    assert [f.placeholder for f in seen] == [False] + 4 * [True]
    assert [f.pts for f in seen] == sorted({f.pts for f in seen})
    assert all(f.size_hw == (4, 6) for f in seen)
    source.close()


def test_interrupt_while_away_ends_the_iteration_and_the_thread():
    source = reconnecting(Stream(frame(0), BROKEN), Reopen(BROKEN), ReconnectOptions(shortest_wait=600.0))
    frames = iter(source)
    next(frames)
    assert next(frames).placeholder
    source.interrupt()
    assert list(frames) == [] and gone(source)


def test_interrupt_does_not_wait_for_a_read_that_blocks():
    stream = Stream(frame(0), deaf=True)
    source = reconnecting(stream, Reopen(BROKEN))
    frames = iter(source)
    next(frames)
    ended = threading.Thread(target=lambda: list(frames))
    ended.start()
    source.interrupt()
    ended.join(10)
    assert not ended.is_alive() and not stream.closed.is_set()
    stream.items.put(END)
    assert gone(source) and stream.closed.is_set(), "released as soon as the read is over"


def test_interrupt_does_not_wait_for_an_attempt_that_blocks_and_what_it_opens_is_closed():
    entered, release, second = threading.Event(), threading.Event(), Stream(frame(0))

    def reopen():
        entered.set()
        release.wait()
        return second

    source = reconnecting(Stream(frame(0), BROKEN), reopen)
    frames = iter(source)
    next(frames)
    assert entered.wait(10)
    source.interrupt()
    assert [f for f in frames if not f.placeholder] == []
    release.set()
    assert gone(source) and second.closed.is_set()


def test_a_given_up_source_tells_the_last_reason_and_the_number_of_tries():
    reopen = Reopen(SourceError("rtsp://camera: refused"))
    options = ReconnectOptions(attempts=3, shortest_wait=0.001, longest_wait=0.001, silence=60)
    source = reconnecting(Stream(frame(0), BROKEN), reopen, options)
    with pytest.raises(SourceError, match="rtsp://camera: refused; gave up after 3 attempts"):
        list(source)
    assert reopen.calls == 3 and gone(source)


def test_an_error_that_is_no_source_error_is_raised_and_not_tried_again():
    reopen = Reopen(BROKEN)
    source = reconnecting(Stream(frame(0), RuntimeError("a bug")), reopen)
    with pytest.raises(RuntimeError, match="a bug"):
        list(source)
    assert reopen.calls == 0 and gone(source)


def test_silence_shows_cards_that_say_so_on_the_same_connection():
    texts, stream = [], Stream(frame(0, pts=0))

    def remembered(picture, text):
        texts.append(text)
        return picture.copy()

    options = ReconnectOptions(silence=0.01, card_period=0.005, watchdog=60)
    source = ReconnectingSource(stream, Reopen(BROKEN), card=remembered, fit=fit, options=options)
    frames = iter(source)
    assert [next(frames).placeholder for _ in range(3)] == [False, True, True]
    assert texts == ["no picture for 0 s"] * 2
    stream.items.put(frame(1, pts=1))
    real, _ = take(frames, 1)
    assert real[0].pts > 1 and "reconnects" not in source.counters
    source.close()


def test_the_watchdog_leaves_a_stream_that_stays_open_but_gives_no_picture():
    said, silent = [], Stream(frame(0))
    options = ReconnectOptions(shortest_wait=0.001, silence=0.005, card_period=0.002, watchdog=0.02)
    source = reconnecting(silent, Reopen(Stream(frame(0))), options, said.append)
    frames = iter(source)
    take(frames, 2)
    assert silent.interrupted.is_set() and silent.closed.is_set()
    assert said[0] == "the stream stayed open, but no frame arrived for 0.02 seconds; trying again"
    assert source.counters["reconnects"] >= 1
    source.close()


def test_a_stream_that_is_slow_by_nature_is_not_taken_for_silent():
    now = [0.0]
    options = ReconnectOptions(silence=2.0, watchdog=60)
    stream = Stream(frame(0), frame(1))
    source = ReconnectingSource(stream, Reopen(BROKEN), card=paint, fit=fit, options=options, clock=lambda: now[0])
    frames = iter(source)
    next(frames)
    source._distance = 5.0
    assert source._patience() == pytest.approx(15.0)
    source._distance = 0.04
    assert source._patience() == pytest.approx(2.0)
    source.close()


def test_frames_of_another_size_are_fitted_and_said():
    said = []
    big = Stream(*(frame(i, size_hw=(8, 12)) for i in range(2)), size_hw=(8, 12))
    source = reconnecting(Stream(frame(0), BROKEN), Reopen(big), announce=said.append)
    real, _ = take(iter(source), 3)
    assert all(f.size_hw == (4, 6) for f in real) and real[1].image[0, 0, 0] == 77
    assert "the source now sends 12x8; fitted into 6x4" in said
    assert source.counters["rescaled_frames"] == 2
    source.close()


def test_another_time_base_is_converted():
    stream = Stream(*(Frame(frame(0).image, i, 3000 * i, Fraction(1, 90_000), 3000) for i in range(3)))
    second = reconnecting(Stream(frame(0, pts=0), BROKEN), Reopen(stream))
    real, _ = take(iter(second), 4)
    assert all(f.time_base == Fraction(1, 30) and f.duration == 1 for f in real)
    assert real[3].pts - real[1].pts == 2
    second.close()


def test_what_came_before_the_iteration_is_left_but_for_the_newest():
    stream = Stream(*(frame(i, pts=i) for i in range(5)))
    source = ReconnectingSource(stream, Reopen(BROKEN), card=paint, fit=fit, options=QUICK)
    while source._newest is None or source._newest.frame.index < 4:
        time.sleep(0.001)  # the reading thread is at it
    frames = iter(source)
    first = next(frames)
    stream.items.put(frame(5, pts=5))
    assert (first.pts, first.index, next(frames).pts) == (4, 0, 5)
    source.close()


def test_messages_tell_the_break_and_the_return():
    said = []
    source = reconnecting(Stream(frame(0), BROKEN), Reopen(Stream(frame(0))), announce=said.append)
    take(iter(source), 2)
    source.close()
    assert said == ["rtsp://camera: reading failed; trying again", "the source is back after 0 s"]


def test_closing_twice_and_unread_is_safe():
    stream = Stream(frame(0))
    source = reconnecting(stream, Reopen(BROKEN))
    source.close()
    source.close()
    assert list(source) == [] and gone(source) and stream.closed.is_set()


def test_waits_double_up_to_the_longest_and_are_drawn_from_their_upper_half():
    options = ReconnectOptions(shortest_wait=0.1, longest_wait=1.0)
    low, high = Backoff(options, lambda: 0.0), Backoff(options, lambda: 1.0)
    assert [high.next() for _ in range(6)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    assert [low.next() for _ in range(6)] == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.5, 0.5])
    high.reset()
    assert high.next() == pytest.approx(0.1)


def test_the_first_connection_can_be_waited_for():
    waits, failures = [], []
    stream = Stream()
    reopen = Reopen(BROKEN, BROKEN, stream)
    backoff = Backoff(ReconnectOptions(shortest_wait=0.5), lambda: 1.0)
    still = {"clock": lambda: 0.0}
    assert connect(reopen, backoff, None, wait=waits.append, failed=failures.append, **still) is stream
    assert waits == [0.5, 1.0] and failures == [BROKEN, BROKEN]
    with pytest.raises(SourceError, match=r"reading failed$"):
        connect(Reopen(BROKEN), backoff, 1)


def test_an_attempt_that_took_longer_than_the_wait_is_followed_by_the_next_at_once():
    waits, now = [], iter([0.0, 0.4, 10.0, 12.0, 20.0])
    backoff = Backoff(ReconnectOptions(shortest_wait=1.0, longest_wait=1.0), lambda: 1.0)
    connect(Reopen(BROKEN, BROKEN, Stream()), backoff, None, wait=waits.append, clock=lambda: next(now))
    assert waits == [pytest.approx(0.6), 0.0]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.9, "0 s"), (12, "12 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (4 * 86_400 + 7500, "4 d 2 h")],
)
def test_durations_in_words(seconds, words):
    assert duration_in_words(seconds) == words


# through the pipeline


def card(index: int) -> Frame:
    item = frame(index)
    item.placeholder = True
    return item


class Fixed:
    """A source of prepared frames that is not live, so that none is dropped."""

    def __init__(self, frames: list[Frame]) -> None:
        self.info = VideoInfo(6, 4, Fraction(1, 30), Fraction(30))
        self.counters: Mapping[str, int] = {}
        self._frames = frames

    def __iter__(self):
        return iter(self._frames)

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("batch", [1, 4])
def test_cards_reach_the_sinks_in_order_without_the_model_and_masks_start_anew(batch):
    items = [frame(0), frame(1), card(2), card(3), frame(4), frame(5)]
    segmenter, sink = FakeSegmenter(), FakeSink()
    labels: list[int] = []
    sink.write = lambda f, s, p: labels.append(int(s.label_map[0, 0]))  # type: ignore[method-assign]
    options = PipelineOptions(stride=4, batch=batch)
    stats = Pipeline(Fixed(items), segmenter, None, [sink], options=options).run()
    assert segmenter.seen == [0, 4] and labels == [0, 0, NO_LABEL, NO_LABEL, 4, 4]
    assert (stats.delivered, stats.placeholders, stats.inferred, stats.held) == (6, 2, 2, 2)
    assert stats.decoded == stats.skipped + stats.dropped + stats.delivered + stats.discarded


def test_max_fps_and_limit_leave_cards_alone():
    items = [frame(0), card(1), card(2), frame(3), frame(4), frame(5), frame(6)]
    sink = FakeSink()
    stats = Pipeline(Fixed(items), FakeSegmenter(), None, [sink], options=PipelineOptions(max_fps=10, limit=2)).run()
    assert [index for index, _ in sink.written] == [0, 1, 2, 3] and stats.placeholders == 2


class Black:
    """Renders masks alone: black where there are none; twice as wide with `side`."""

    def __init__(self, side: bool) -> None:
        self._side = side

    def render(self, image, segmentation):
        height, width = segmentation.label_map.shape
        return np.zeros((height, 2 * width if self._side else width, 3), np.uint8)


@pytest.mark.parametrize("side", [False, True])
def test_a_card_is_written_with_its_words_in_every_view(side):
    sink, shown = FakeSink(), card(2)
    Pipeline(Fixed([frame(1), shown]), FakeSegmenter(), Black(side), [sink]).run()
    assert not sink.pictures[0].any()
    assert sink.pictures[1].shape == (4, 12 if side else 6, 3)
    assert side or np.array_equal(sink.pictures[1], shown.image)
