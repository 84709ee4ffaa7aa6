"""Several streams as one: sources, a model and a clock that the test steers."""

from __future__ import annotations

import threading
import time
from fractions import Fraction

import numpy as np
import pytest

from tests.fakes import FakeSegmenter, FakeSink, FakeSource, all_end, frame
from vidseg.errors import SourceError
from vidseg.frames import NO_LABEL, Frame, VideoInfo
from vidseg.pipeline.background_inference import BackgroundInference
from vidseg.pipeline.grid import ClockGrid, grid_rate
from vidseg.pipeline.grid_lane import GridLane, LaneSpec
from vidseg.pipeline.inference_worker import InferenceWorker
from vidseg.pipeline.options import PipelineOptions
from vidseg.pipeline.pipeline import Pipeline

pytestmark = pytest.mark.timeout(60)
RATE = Fraction(30)
CARD = 255


class FakePainter:
    """Puts tiles of 4 x 6 above each other; cards are white. Remembers the words."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def fit(self, picture):
        return picture

    def card(self, picture, words):
        self.words.append(words)
        return np.full((4, 6, 3), CARD, np.uint8)

    def compose(self, tiles):
        labels = [np.full((4, 6), NO_LABEL, np.uint8) if found is None else found for _, found in tiles]
        boxes = tuple((4 * n, 0, 4 * n + 4, 6) for n, (_, found) in enumerate(tiles) if found is None)
        return np.concatenate([picture for picture, _ in tiles]), np.concatenate(labels), boxes


class Grid:
    """Streams in a grid with one model; every `next` is one picture, at once."""

    def __init__(self, *sources, ask=None, batch=1, first_seconds=10.0, attempts=1, needed=True) -> None:
        self.painter = FakePainter()
        self.said: list[str] = []
        self.asked: list[int] = []
        segmenters = [FakeSegmenter() for _ in sources]

        def ask_all(asked):
            self.asked.extend(number for number, _ in asked)
            return [segmenters[number].segment([item])[0] for number, item in asked]

        self.source = ClockGrid(
            [
                LaneSpec(f"s{n}", source if callable(source) else lambda source=source: source, attempts, needed)
                for n, source in enumerate(sources)
            ],
            announce=self.said.append,
            first_seconds=first_seconds,
            clock=lambda: 0.0,
            wait=lambda seconds: time.sleep(0.0005),  # at once, but the others' threads get their turn
        )
        info = VideoInfo(6, 4 * len(sources), 1 / RATE, RATE, live=True)
        self.source.arrange(info, self.painter)
        self.worker = InferenceWorker(ask or ask_all, slots=len(sources), batch=batch)
        self.source.infer_with(self.worker, lambda slot: BackgroundInference(slot, shared=True))
        self.pictures = iter(self.source)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.source.close()

    def until(self, condition) -> None:
        with self.source._changed:
            assert self.source._changed.wait_for(condition, 10)

    def tiles(self) -> list[int]:
        """The next picture, as one number per tile."""
        item = next(self.pictures)
        return [int(item.image[4 * n, 0, 0]) for n in range(len(self.source.lanes))]

    def stats(self, number):
        return self.source.lanes[number].stats


def no_thread_left() -> bool:
    return all_end("vidseg-grid", "vidseg-infer")


def live(*indices, **options) -> FakeSource:
    return FakeSource([frame(index) for index in indices], live=True, **options)


def endless(*indices) -> FakeSource:
    """Gives these, then is silent until it is interrupted."""
    return FakeSource([*map(frame, indices), frame(0)], live=True, block_at=len(indices))


def test_every_picture_holds_the_newest_of_each_stream_and_what_is_in_it():
    with Grid(endless(7), endless(9)) as grid:
        item = next(grid.pictures)
        assert item.index == 0 and item.pts == 0 and item.time_base == 1 / RATE
        assert item.image[0, 0, 0] == 7 and item.image[4, 0, 0] == 9
        assert item.segmentation.label_map[0, 0] == 7 and item.segmentation.label_map[4, 0] == 9
        assert item.segmentation.frame_index == 0 and item.segmentation.as_is == ()
        assert grid.tiles() == [7, 9], "what is silent keeps its last picture"
    assert no_thread_left()


def test_a_silent_stream_holds_up_nobody():
    silent = FakeSource([frame(0)], live=True, block_at=0)
    with Grid(silent, live(*range(1, 4)), first_seconds=0) as grid:
        next(grid.pictures)
        grid.until(lambda: grid.source.lanes[1]._over)
        seen = [grid.tiles() for _ in range(4)]
        assert all(first == CARD for first, _ in seen) and "starting" in grid.painter.words
        assert grid.stats(1).decoded == 3 and grid.stats(0).decoded == 0
        assert not grid.source.lanes[0].finished
    assert no_thread_left()
    assert silent.closed == 1


def test_a_stream_that_cannot_be_opened_is_tried_again_beside_the_others():
    tries, open_again = [], threading.Event()

    def opener():
        tries.append(None)
        if len(tries) == 1:
            raise SourceError("s0: refused")
        open_again.wait()
        return endless(5)

    with Grid(opener, endless(9), attempts=None, needed=False, first_seconds=0) as grid:
        infos = grid.source.wait_opened(patient=False, seconds=10)
        assert infos[0] is None and infos[1] is not None
        next(grid.pictures)
        grid.until(lambda: grid.source.lanes[1].ready)
        assert grid.tiles() == [CARD, 9]
        assert "offline for 0 s, retrying" in grid.painter.words
        assert grid.said == ["s0: refused; trying again"]
        open_again.set()
        grid.until(lambda: grid.source.lanes[0].ready)
        assert grid.tiles() == [5, 9]
    assert no_thread_left()


def test_a_stream_that_is_still_connecting_is_not_waited_for():
    release = threading.Event()

    def opener():
        release.wait()
        raise SourceError("s0: nobody there")

    with Grid(opener, endless(9), attempts=None, needed=False) as grid:
        assert grid.source.wait_opened(patient=False, seconds=0)[0] is None
        assert grid.tiles() == [CARD, 9]
        assert grid.painter.words == ["connecting"]
        release.set()
    assert no_thread_left()


@pytest.mark.parametrize(("attempts", "needed"), [(1, True), (1, False), (None, False)])
def test_where_nothing_can_be_opened_it_is_an_error(attempts, needed):
    def refuse():
        raise SourceError("cam: refused")

    with (
        Grid(refuse, refuse, attempts=attempts, needed=needed) as grid,
        pytest.raises(SourceError, match="cam: refused"),
    ):
        grid.source.wait_opened(patient=False)
    assert no_thread_left()


def test_a_needed_stream_that_cannot_be_opened_is_an_error_though_others_can():
    def refuse():
        raise SourceError("b.mp4: no such file")

    with Grid(endless(1), refuse) as grid, pytest.raises(SourceError, match=r"b\.mp4: no such file"):
        grid.source.wait_opened(patient=False)


def test_a_mistake_while_a_stream_is_opened_comes_out():
    def mistaken():
        raise ValueError("a mistake")

    with Grid(mistaken, endless(1)) as grid, pytest.raises(ValueError, match="a mistake"):
        grid.source.wait_opened(patient=True)
    assert no_thread_left()


def test_a_stream_that_breaks_off_ends_alone():
    with Grid(live(1, error=SourceError("s0: gone")), endless(9)) as grid:
        assert grid.tiles() == [1, 9]
        grid.until(lambda: grid.source.lanes[0].finished)
        assert grid.tiles() == [CARD, 9] and grid.painter.words == ["broke off"]
        assert grid.said == ["s0: gone; the others continue"] and grid.stats(0).broken == "s0: gone"
    assert no_thread_left()


def test_an_error_of_the_model_ends_the_grid():
    def ask(asked):
        raise RuntimeError("model broke")

    with Grid(endless(1), endless(9), ask=ask) as grid, pytest.raises(RuntimeError, match="model broke"):
        for _ in range(100_000):
            next(grid.pictures)
    assert no_thread_left()


def test_a_mistake_in_a_source_ends_the_grid():
    with (
        Grid(live(1, error=ValueError("a mistake")), endless(9)) as grid,
        pytest.raises(ValueError, match="a mistake"),
    ):
        for _ in range(100_000):
            next(grid.pictures)
    assert no_thread_left()


def test_the_grid_ends_when_all_streams_have_and_their_last_pictures_are_seen():
    with Grid(live(1), live(9)) as grid:
        seen = [(int(item.image[0, 0, 0]), int(item.image[4, 0, 0])) for item in grid.pictures]
    assert seen[0] == (1, 9)
    assert grid.stats(0).shown == grid.stats(1).shown == 1
    assert no_thread_left()


def test_no_frame_vanishes_uncounted():
    gates = [threading.Semaphore(0) for _ in range(3)]
    sources = [
        FakeSource([frame(i) for i in range(count)], live=True, before=lambda _, gate=gate: gate.acquire())
        for gate, count in zip(gates, (50, 7, 1), strict=True)
    ]
    with Grid(*sources, first_seconds=0) as grid:
        next(grid.pictures)
        for _ in range(10):  # bursts of one, single frames of another
            for gate, times in zip(gates, (5, 1, 1), strict=True):
                gate.release(times)
            next(grid.pictures)
        for _ in grid.pictures:
            pass
    for number, count in enumerate((50, 7, 1)):
        stats = grid.stats(number)
        assert stats.decoded == count and stats.discarded == 0
        assert stats.shown + stats.dropped + stats.passed_over == count
        assert 1 <= stats.inferred <= count
    assert grid.source.inferred == sum(grid.stats(n).inferred for n in range(3)) == len(grid.asked)


def test_frames_under_way_at_the_end_are_counted():
    entered, go = threading.Event(), threading.Event()

    def ask(asked):
        entered.set()
        go.wait()
        return FakeSegmenter().segment([item for _, item in asked])

    with Grid(endless(1), endless(9), ask=ask, first_seconds=0) as grid:
        next(grid.pictures)
        assert entered.wait(10)
        grid.source.interrupt()
        go.set()
    assert [grid.stats(n).discarded for n in range(2)] == [grid.stats(n).decoded for n in range(2)]
    assert no_thread_left()


@pytest.mark.parametrize("dead", [None, 1])
def test_the_model_serves_streams_in_turn_and_a_dead_one_costs_no_turn(dead):
    alive = [number for number in range(3) if number != dead]
    gates = [threading.Semaphore(0) for _ in range(3)]
    frames = [frame(index) for index in range(1000)]
    sources = [FakeSource(frames, live=True, before=lambda _, gate=gate: gate.acquire()) for gate in gates]
    served: list[int] = []
    enough = threading.Event()

    def ask(asked):
        """One call takes as long as all the others need to come with a fresh frame."""
        (number, item), *more = asked
        assert not more
        served.append(number)
        if len(served) < 20:
            for other in alive:
                gates[other].release(2)
            waiting = [grid.worker.slots[other] for other in alive if other != number]
            with grid.worker._changed:
                assert grid.worker._changed.wait_for(lambda: all(slot._waiting is not None for slot in waiting), 10)
        else:
            enough.set()
        return FakeSegmenter().segment([item])

    with Grid(*sources, ask=ask, first_seconds=0) as grid:
        next(grid.pictures)
        for other in alive:
            gates[other].release(2)
        assert enough.wait(10)
        for gate in gates:
            gate.release(1000)
    turns = served[1:19]  # who is first depends on who comes first
    assert all(turns[place] == turns[place - len(alive)] for place in range(len(alive), 18)), served
    assert set(turns) == set(alive)


def test_a_stop_ends_a_grid_whose_streams_are_all_blocked():
    sources = [FakeSource([frame(0)], live=True, block_at=0) for _ in range(2)]
    grid = Grid(*sources, first_seconds=1000)
    ended = []
    consumer = threading.Thread(target=lambda: ended.extend([None, list(grid.pictures)]))
    consumer.start()
    for source in sources:
        assert source.blocked.wait(10)
    grid.source.interrupt()
    consumer.join(10)
    assert ended == [None, []]
    grid.source.close()
    assert no_thread_left()


def test_a_stop_ends_the_waiting_for_streams_that_cannot_be_opened():
    def refuse():
        raise SourceError("refused")

    grid = Grid(refuse, refuse, attempts=None, needed=False)
    assert grid.source.wait_opened(patient=True) == [None, None]
    grid.source.close()
    assert no_thread_left()


def test_a_card_has_no_masks_and_is_shown_as_it_is():
    card = Frame(np.full((4, 6, 3), 77, np.uint8), 1, 1, Fraction(1, 30), placeholder=True)
    away = FakeSource([card, card], live=True, block_at=1)
    with Grid(away, endless(9)) as grid:
        item = next(grid.pictures)
        assert item.image[0, 0, 0] == 77 and (item.segmentation.label_map[:4] == NO_LABEL).all()
        assert item.segmentation.as_is == ((0, 0, 4, 6),)
        assert grid.asked == [1] and grid.stats(0).placeholders == 1
        assert not item.placeholder, "the picture as a whole is one"


def test_files_start_together_and_play_at_their_own_speed():
    now, waits = [100.0], []

    def wait(seconds: float) -> None:
        waits.append(round(seconds, 3))
        now[0] += seconds

    started = threading.Event()
    file = FakeSource([frame(i, pts=30 + 15 * i) for i in range(4)])  # every half second, from 1 s on
    lane = GridLane(LaneSpec("f", lambda: file), started=started, clock=lambda: now[0], wait=wait)
    with InferenceWorker(lambda asked: FakeSegmenter().segment([item for _, item in asked])) as worker:
        lane.open()
        lane.begin(BackgroundInference(worker.slots[0], shared=True), lambda image: image)
        with lane._changed:
            assert lane._changed.wait_for(lambda: lane.ready, 10)
        assert waits == [] and lane.stats.decoded == 1, "the second waits for the start"
        started.set()
        with lane._changed:
            assert lane._changed.wait_for(lambda: lane._over, 10)
        lane.interrupt()
        lane.join(10)
    assert waits == [0.5, 0.5, 0.5]


def test_a_grid_runs_through_the_pipeline_like_any_live_source():
    sink = FakeSink()
    with Grid(live(1), live(9)) as grid:
        pipeline = Pipeline(grid.source, None, None, [sink], options=PipelineOptions(keeps="every-frame"))
        stats = pipeline.run()
    assert sink.state == "closed" and stats.delivered == len(sink.written) >= 1
    assert stats.decoded == stats.delivered + stats.dropped + stats.discarded and stats.inferred == 0
    assert no_thread_left()


@pytest.mark.parametrize(
    ("rates", "limit", "expected"),
    [
        ((25, 10), None, 25),
        ((60, 10), None, 30),
        ((60, 10), 60, 60),
        ((25, 10), 12.5, Fraction(25, 2)),
        ((Fraction(30000, 1001), 25), None, Fraction(30000, 1001)),
        ((25, None), None, 30),
        ((25, None), 5, 5),
    ],
)
def test_the_rate_is_that_of_the_fastest_stream(rates, limit, expected):
    infos = [VideoInfo(4, 4, Fraction(1, 90000), rate and Fraction(rate)) for rate in rates]
    assert grid_rate(infos, limit) == expected
    assert grid_rate([*infos, None], limit) == (limit or 30), "one that is not there yet may be as fast as that"
