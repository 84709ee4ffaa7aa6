"""Turns at the model: slots that wait, a model that the test lets go."""

from __future__ import annotations

import threading

import pytest

from tests.fakes import FakePropagator, frame, settled
from vidseg.frames import Segmentation
from vidseg.pipeline.background_inference import BackgroundInference
from vidseg.pipeline.buffer import Closed
from vidseg.pipeline.inference_worker import InferenceWorker
from vidseg.pipeline.options import nothing_found

pytestmark = pytest.mark.timeout(60)


class Model:
    """Remembers what it was asked; waits at each call until the test lets it go."""

    def __init__(self, *, error: BaseException | None = None) -> None:
        self.calls: list[list[tuple[int, int]]] = []
        self.entered = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self._error = error

    def __call__(self, asked) -> list[Segmentation]:
        self.calls.append([(slot, item.index) for slot, item in asked])
        self.entered.release()
        self.go.acquire()
        if self._error is not None:
            raise self._error
        return [nothing_found(item) for _, item in asked]

    def let_go(self, times: int = 1) -> None:
        for _ in range(times):
            self.go.release()

    def wait_entered(self) -> None:
        assert self.entered.acquire(timeout=10)


def test_lanes_take_turns_however_often_one_of_them_asks():
    model = Model()
    with InferenceWorker(model, slots=3) as worker:
        eager, second, third = worker.slots
        eager.give(frame(0))
        model.wait_entered()
        second.give(frame(10))
        third.give(frame(20))
        for number in range(1, 4):  # the eager one is back before the model is free
            model.let_go()
            model.wait_entered()
            if number == 1:
                assert eager.take(10) is not None
                eager.give(frame(number))
        model.let_go()
        assert settled(eager)
    assert model.calls == [[(0, 0)], [(1, 10)], [(2, 20)], [(0, 1)]]


def test_a_batch_takes_one_frame_of_each_lane_that_waits_and_waits_for_none():
    model = Model()
    with InferenceWorker(model, slots=4, batch=2) as worker:
        worker.slots[3].give(frame(3))
        model.wait_entered()
        for number in (0, 1, 2):
            worker.slots[number].give(frame(number))
        model.let_go(3)
        assert all(settled(slot) for slot in worker.slots)
        assert [slot.take(0).frame_index for slot in worker.slots] == [0, 1, 2, 3]
    assert model.calls == [[(3, 3)], [(0, 0), (1, 1)], [(2, 2)]]
    assert [slot.served for slot in worker.slots] == [1, 1, 1, 1]


def test_a_newer_frame_takes_the_place_of_one_that_waits_but_not_of_one_that_is_under_way():
    model = Model()
    with InferenceWorker(model, slots=2) as worker:
        busy, waits = worker.slots
        busy.give(frame(0))
        model.wait_entered()
        assert not busy.replace(frame(1))
        waits.give(frame(10))
        assert waits.replace(frame(11)) and waits.replace(frame(12))
        model.let_go(2)
        assert settled(waits)
    assert model.calls == [[(0, 0)], [(1, 12)]]


def test_an_error_of_the_model_comes_out_of_every_lane_and_ends_the_thread():
    model = Model(error=RuntimeError("model broke"))
    with InferenceWorker(model, slots=2) as worker:
        worker.slots[0].give(frame(0))
        model.let_go()
        for slot in worker.slots:
            with pytest.raises(RuntimeError, match="model broke"):
                slot.take(None)
    assert not worker.is_alive()


def test_the_end_lets_go_whoever_waits():
    model = Model()
    ended = []

    def wait() -> None:
        try:
            worker.slots[1].take(None)
        except Closed:
            ended.append(True)

    waiting = threading.Thread(target=wait)
    with InferenceWorker(model, slots=2) as worker:
        waiting.start()
        worker.slots[0].give(frame(0))
        model.wait_entered()
        model.let_go()
    waiting.join(10)
    assert ended == [True] and not worker.is_alive()


def test_a_reset_forgets_what_waits_and_what_is_found():
    model = Model()
    with InferenceWorker(model, slots=2) as worker:
        busy, slot = worker.slots
        busy.give(frame(0))
        model.wait_entered()
        slot.give(frame(1))
        slot.reset()
        assert slot.idle
        model.let_go()
        assert settled(busy)
        busy.reset()
        assert busy.idle and busy.take(0) is None
    assert model.calls == [[(0, 0)]]


def test_a_frame_that_waits_for_its_turn_gives_way_to_newer_ones_with_their_propagators():
    model = Model()
    pair = (FakePropagator(), FakePropagator())
    with InferenceWorker(model, slots=2) as worker:
        inference = BackgroundInference(worker.slots[1], pair, shared=True)
        model.let_go()
        inference.segmentation(frame(0))
        model.wait_entered()
        worker.slots[0].give(frame(100))  # now the model is with another stream
        model.wait_entered()
        found = [inference.segmentation(frame(index)) for index in (1, 2, 3)]
        assert {each.frame_index for each in found} == {0}, "nobody waits for the other stream"
        model.let_go(2)
        assert settled(worker.slots[1])
        assert inference.segmentation(frame(4)).frame_index == 3, "the newest was looked at"
        model.let_go(10)
    assert model.calls[:3] == [[(1, 0)], [(0, 100)], [(1, 3)]]
    # masks of frame 3 are led on from frame 3: the propagator that had its last anchor there
    assert pair[0].calls[-3:] == [3, "anchor", 4]


@pytest.mark.parametrize(("stride", "expected"), [(1, [0, 1, 2, 3, 4, 5]), (3, [0, 3])])
def test_a_stride_leaves_frames_out(stride, expected):
    model = Model()
    model.let_go(10)
    with InferenceWorker(model, slots=1) as worker:
        inference = BackgroundInference(worker.slots[0], stride=stride, shared=True)
        for index in range(6):
            inference.segmentation(frame(index))
            assert settled(worker.slots[0])
    assert [index for call in model.calls for _, index in call] == expected
