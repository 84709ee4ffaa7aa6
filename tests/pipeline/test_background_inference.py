"""Inference beside the picture: a model that the test lets go, frame by frame."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

from tests.fakes import FakePropagator, FakeSegmenter, FakeSink, FakeSource, all_end, frame, settled
from vidseg.frames import NO_LABEL
from vidseg.pipeline.background_inference import BackgroundInference
from vidseg.pipeline.inference_worker import InferenceWorker
from vidseg.pipeline.options import PipelineOptions
from vidseg.pipeline.pipeline import Pipeline

pytestmark = pytest.mark.timeout(60)


class Gate:
    """Makes the model wait at each frame but the first until the test lets it go."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.open = False

    def __call__(self, index: int) -> None:
        self.entered.release()
        if index and not self.open:
            self.go.acquire()


@contextmanager
def background(segmenter, propagators=None, **options):
    """Inference with a worker of its own, which ends with the block."""
    with InferenceWorker(lambda asked: segmenter.segment([each for _, each in asked])) as worker:
        yield BackgroundInference(worker.slots[0], propagators, **options)


def labels_of(found) -> int:
    return int(found.label_map[0, 0])


def test_frames_pass_with_carried_masks_while_the_model_works():
    gate = Gate()
    pair = (FakePropagator(), FakePropagator())
    with background(FakeSegmenter(before=gate), pair) as inference:
        assert labels_of(inference.segmentation(frame(0))) == 0, "the first frame waits for its masks"
        found = [inference.segmentation(frame(i)) for i in (1, 2, 3)]
        assert [(labels_of(f), f.frame_index) for f in found] == [(100, 0)] * 3
        gate.go.release()  # the model is done with frame 1
        assert settled(inference.slot)
        later = inference.segmentation(frame(4))
        assert (labels_of(later), later.frame_index) == (101, 1)
        gate.open = True
        gate.go.release()
    assert pair[0].calls[:2] == [0, 1], "one propagator saw every frame"
    assert pair[1].calls[:3] == [0, "anchor", 1]
    assert inference.inferred == 3


def test_a_fast_model_gives_every_frame_its_own_masks():
    segmenter = FakeSegmenter()
    with background(segmenter, (FakePropagator(), FakePropagator())) as inference:
        found = []
        for i in range(0, 60, 6):  # six frames' time apart: there is time
            found.append(inference.segmentation(frame(i)))
            assert settled(inference.slot)
    own = [f.frame_index for f in found]
    assert own == segmenter.seen and own == list(range(0, 60, 6))


def test_without_propagators_masks_are_held():
    gate = Gate()
    with background(FakeSegmenter(before=gate)) as inference:
        first = inference.segmentation(frame(0))
        assert inference.segmentation(frame(1)) is first
        gate.open = True
        gate.go.release()


def test_infer_fps_limits_the_model():
    segmenter = FakeSegmenter()
    with background(segmenter, infer_fps=5) as inference:
        for i in range(30):
            inference.segmentation(frame(i))
            assert settled(inference.slot)
    assert segmenter.seen == [0, 6, 12, 18, 24]


def test_after_a_reset_the_next_frame_waits_for_masks_of_its_own():
    with background(FakeSegmenter(), (FakePropagator(), FakePropagator())) as inference:
        inference.segmentation(frame(0))
        inference.segmentation(frame(1))
        inference.reset()
        assert inference.segmentation(frame(9)).frame_index == 9


def test_another_size_starts_anew():
    with background(FakeSegmenter()) as inference:
        inference.segmentation(frame(0))
        found = inference.segmentation(frame(1, size_hw=(8, 6)))
    assert found.frame_index == 1 and found.label_map.shape == (8, 6)


def test_an_error_of_the_model_comes_out():
    with (
        background(FakeSegmenter(error_at=0)) as inference,
        pytest.raises(RuntimeError, match="model broke"),
    ):
        inference.segmentation(frame(0))
    assert not inference.slot._worker.is_alive()


@pytest.mark.parametrize("error_at", [None, 0, 7])
def test_through_the_pipeline_every_frame_of_the_source_is_delivered(error_at):
    sink, segmenter = FakeSink(), FakeSegmenter(error_at=error_at)
    pipeline = Pipeline(
        FakeSource([frame(i) for i in range(40)]),
        segmenter,
        None,
        [sink],
        propagator=FakePropagator(),
        second_propagator=FakePropagator(),
        options=PipelineOptions(stride="auto"),
    )
    if error_at == 0:
        with pytest.raises(RuntimeError, match="model broke"):
            pipeline.run()
        assert sink.state == "aborted"
    else:
        # frame 7 may or may not be one that the model sees
        try:
            stats = pipeline.run()
        except RuntimeError:
            assert error_at == 7
        else:
            assert [index for index, _ in sink.written] == list(range(40)) and stats.inferred == len(segmenter.seen)
            assert all(source <= index for index, source in sink.written)
    assert all_end("vidseg-")


def test_failing_closed_no_frame_gets_masks_of_another_one_as_they_are():
    gate = Gate()
    pair = (FakePropagator(cuts=[2]), FakePropagator(cuts=[2]))
    with background(FakeSegmenter(before=gate), pair, fail_closed=True) as inference:
        assert labels_of(inference.segmentation(frame(0))) == 0
        assert labels_of(inference.segmentation(frame(1))) == 100, "carried along the motion"
        assert labels_of(inference.segmentation(frame(2))) == NO_LABEL, "a cut: nothing is known of it"
        gate.open = True
        gate.go.release()
