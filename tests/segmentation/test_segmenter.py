import numpy as np
import pytest
import torch

from tests.fakes import frame
from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL
from vidseg.motion.tracker import FlowTracker
from vidseg.runtimes.base import Running
from vidseg.segmentation.doubt import Doubt
from vidseg.segmentation.segmenter import QuerySegmenter
from vidseg.segmentation.temporal import ScoreSmoother
from vidseg.timing import StageTimers


class HalvesRuntime:
    """Sees class 2 (sky) in the upper half and class 6 (road) in the lower, whatever the picture."""

    name = "halves"
    device = torch.device("cpu")

    def __init__(self):
        self.shapes = []

    def run(self, images):
        self.shapes.append(tuple(images.shape))
        b, _, h, w = images.shape
        class_logits = torch.full((b, 3, 151), -9.0)
        class_logits[:, 0, 2] = class_logits[:, 1, 6] = 9
        class_logits[:, 2, 150] = 9
        masks = torch.full((b, 3, h // 4, w // 4), -9.0)
        masks[:, 0, : h // 8], masks[:, 1, h // 8 :] = 9, 9
        masks[:, 2] = 9
        return class_logits, masks


def test_label_map_has_the_size_of_the_frame_and_the_classes_of_the_network():
    (seg,) = QuerySegmenter(HalvesRuntime(), imgsz=64).segment([frame(5, size_hw=(30, 50))])
    assert seg.label_map.shape == (30, 50) and seg.label_map.dtype == np.uint8
    assert (seg.label_map[:14] == 2).all() and (seg.label_map[16:] == 6).all()
    assert seg.frame_index == 5 and seg.confidence is None


def test_frames_of_one_call_go_through_the_network_together():
    runtime = HalvesRuntime()
    found = QuerySegmenter(runtime, imgsz=64).segment([frame(i, size_hw=(30, 50)) for i in range(3)])
    assert runtime.shapes == [(3, 3, 40, 64)] and [s.frame_index for s in found] == [0, 1, 2]


def test_with_a_queue_frames_are_begun_before_the_first_is_finished():
    class Queue(HalvesRuntime):
        def __init__(self):
            super().__init__()
            self.done = 0

        def start(self, image):
            def result():
                self.done += 1
                return found

            found = self.run(image)
            return Running(result, lambda: 0.25)

    queue, timers = Queue(), StageTimers()
    segmenter = QuerySegmenter(queue, imgsz=64, timers=timers, queue=queue)
    finishers = segmenter.begin([frame(i, size_hw=(30, 50)) for i in range(3)])
    assert queue.shapes == [(1, 3, 40, 64)] * 3 and queue.done == 0
    found = [finish() for finish in finishers]
    (alone,) = QuerySegmenter(HalvesRuntime(), imgsz=64).segment([frame(2, size_hw=(30, 50))])
    assert [s.frame_index for s in found] == [0, 1, 2] and np.array_equal(found[2].label_map, alone.label_map)
    segmenter.segment([frame(3, size_hw=(30, 50))])  # which waits in any case
    assert queue.done == 3 and set(timers.totals()) > {"preprocess", "model"}
    assert timers.totals()["model"].seconds > 0.75 and timers.totals()["model"].frames == 4


def test_no_frames_give_no_segmentations():
    runtime = HalvesRuntime()
    assert QuerySegmenter(runtime, imgsz=64).segment([]) == [] and runtime.shapes == []


def test_confidence_and_queries_are_there_when_asked_for():
    segmenter = QuerySegmenter(HalvesRuntime(), imgsz=64, doubt=Doubt(keep=True), keep_queries=True)
    (seg,) = segmenter.segment([frame(0, size_hw=(32, 64))])
    assert seg.confidence.shape == (32, 64) and seg.confidence[2, 2] > 0.9
    assert [d.label for d in seg.detections(0.5)] == ["sky", "road"]
    assert seg.detections(0.5)[0].bbox == (0, 0, 63, 15)
    assert seg.query_masks().masks.shape == (3, 32, 64)


@pytest.mark.parametrize("smooth", [False, True])
def test_what_the_winning_query_is_not_sure_of_gets_no_label(smooth):
    class Unsure(HalvesRuntime):
        def run(self, images):
            classes, masks = super().run(images)
            classes[:, 1, 6] = classes[:, 1, 150] = 9  # road or nothing: 0.5 each
            return classes, masks

    frames = [frame(number, size_hw=(32, 64)) for number in range(3)]
    for least, lower in ((None, 6), (0.4, 6), (0.6, NO_LABEL)):
        smoother = ScoreSmoother(FlowTracker()) if smooth else None
        segmenter = QuerySegmenter(Unsure(), imgsz=64, rule="winner-query", least=least, smoother=smoother)
        for one in frames:
            (seg,) = segmenter.segment([one])
            assert (seg.label_map[:14] == 2).all() and (seg.label_map[18:] == lower).all(), least


def test_queries_that_were_not_kept_say_so():
    (seg,) = QuerySegmenter(HalvesRuntime(), imgsz=64).segment([frame(0)])
    with pytest.raises(ConfigError, match="keep_queries=True"):
        seg.detections()


def test_stages_are_timed_per_frame():
    timers = StageTimers()
    QuerySegmenter(HalvesRuntime(), imgsz=64, timers=timers).segment([frame(0), frame(1)])
    assert {name: t.frames for name, t in timers.totals().items()} == {"preprocess": 2, "model": 2, "postprocess": 2}


def test_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="known: semantic, winner-query"):
        QuerySegmenter(HalvesRuntime(), imgsz=64, rule="best")
