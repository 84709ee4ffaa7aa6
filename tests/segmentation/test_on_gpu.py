"""What follows the network on a GPU, on one that is pretended: the masks of the CPU, by another way."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.fakes import frame
from tests.pretend_gpu import pretend_gpu
from vidseg.motion.tracker import FlowTracker
from vidseg.runtimes.loading import load_model
from vidseg.runtimes.torch_runtime import TorchRuntime
from vidseg.segmentation.doubt import Doubt
from vidseg.segmentation.postprocess import DETECTION_MODES
from vidseg.segmentation.preprocess import network_size
from vidseg.segmentation.segmenter import QuerySegmenter
from vidseg.segmentation.temporal import ScoreSmoother
from vidseg.segmentation.tiled_segmenter import QueryScoreRuntime, TiledSegmenter
from vidseg.sources.factory import open_source
from vidseg.timing import StageTimers

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def model():
    return load_model("fai-m2f-n-ade")


@pytest.fixture(scope="module")
def frames():
    """Four of the street, small."""
    with open_source(str(ROOT / "samples" / "street.mp4")) as source:
        pictures = [cv2.resize(each.image, (160, 96)) for each in islice(iter(source), 4)]
    return [replace(frame(number), image=picture) for number, picture in enumerate(pictures)]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"doubt": Doubt(minimum=0.4, keep=True)},
        {"rule": "winner-query", "keep_queries": True},
        {"rule": "winner-query", "least": 0.3, "mask_score": True, "doubt": Doubt(keep=True)},
    ],
)
@pytest.mark.parametrize("smooth", [False, True])
def test_masks_are_those_of_the_cpu(model, frames, given, smooth):
    def masks(device: str):
        smoother = ScoreSmoother(FlowTracker()) if smooth else None
        segmenter = QuerySegmenter(TorchRuntime(model, torch.device(device)), imgsz=128, smoother=smoother, **given)
        found = segmenter.segment(frames[:2])
        segmenter.restore(segmenter.state())
        found += segmenter.segment(frames[2:])
        if not given.get("keep_queries"):
            return found, []
        detections = [each.detections(mode=mode) for each in found for mode in DETECTION_MODES]
        assert all(len(each.query_masks().masks) == model.num_queries for each in found)
        return found, [(one.cls_id, one.bbox) for some in detections for one in some]

    expected, regions = masks("cpu")
    with pretend_gpu() as ran:
        found, own_regions = masks("cuda")
    assert "interpolate" in ran and own_regions == regions and bool(regions) == ("keep_queries" in given)
    for one, other in zip(expected, found, strict=True):
        assert_alike(one, other)


def assert_alike(one, other):
    assert (one.label_map == other.label_map).mean() > 0.999
    assert (one.levels is None) == (other.levels is None)
    if one.levels is not None:
        assert np.abs(one.levels.astype(int) - other.levels).max() <= 1


def test_windows_of_a_frame_are_blended_on_the_cpu(model, frames):
    def masks(device: str):
        network = QueryScoreRuntime(TorchRuntime(model, torch.device(device)), model.num_classes, activated=False)
        made = TiledSegmenter(network, imgsz=96, network_size=network_size, tiles=(2, 1))
        return made.segment(frames[:1])

    (expected,) = masks("cpu")
    with pretend_gpu():
        (found,) = masks("cuda")
    assert_alike(expected, found)


def test_the_time_of_the_network_is_not_that_of_what_waits_for_it(model, frames, monkeypatch):
    now = [0.0]

    class Stream:
        def synchronize(self):
            now[0] += 1.0

    timers = StageTimers(lambda: now[0])
    with pretend_gpu():
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
        QuerySegmenter(TorchRuntime(model, torch.device("cuda")), imgsz=128, timers=timers).segment(frames[:2])
    times = {name: (each.seconds, each.frames) for name, each in timers.totals().items()}
    assert times == {"preprocess": (0, 2), "model": (2, 2), "postprocess": (0, 2)}
