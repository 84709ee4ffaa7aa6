"""Frames of several streams in one call of the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.fakes import frame
from vidseg.frames import Frame, Segmentation
from vidseg.segmentation.segmenter_group import SegmenterGroup
from vidseg.wiring.reporter import SilentReporter


class Steps:
    """A segmenter whose network gives back the mean of what it sees; remembers its frames and the calls of all."""

    def __init__(self, calls: list[int]) -> None:
        self.finished: list[int] = []
        self._calls = calls

    def prepare(self, frames):
        return torch.from_numpy(np.stack([item.image for item in frames])).permute(0, 3, 1, 2)

    def infer(self, images):
        self._calls.append(len(images))
        return list(images.float().mean(dim=(1, 2, 3)))

    def finish(self, item, output):
        self.finished.append(item.index)
        return Segmentation(np.full(item.size_hw, int(output), np.uint8), item.index)


def test_frames_of_one_shape_go_together_and_each_stream_finishes_its_own():
    calls: list[int] = []
    members = [Steps(calls) for _ in range(4)]
    frames = [frame(10), frame(20, size_hw=(8, 6)), frame(30), frame(40)]
    found = SegmenterGroup(members).segment([(3, frames[0]), (0, frames[1]), (1, frames[2]), (2, frames[3])])
    assert [int(each.label_map[0, 0]) for each in found] == [10, 20, 30, 40]
    assert [each.label_map.shape for each in found] == [(4, 6), (8, 6), (4, 6), (4, 6)]
    assert sorted(calls) == [1, 3]
    assert [member.finished for member in members] == [[20], [30], [40], [10]]


@pytest.mark.parametrize("smooth", [False, True])
def test_a_group_finds_what_each_segmenter_finds_alone(smooth):
    from vidseg.config import RunConfig
    from vidseg.frames import VideoInfo
    from vidseg.sources.pattern_source import PatternSource
    from vidseg.timing import StageTimers
    from vidseg.wiring.engine import load_engine

    config = RunConfig(imgsz=64, threads=1, runtime="torch", smooth=smooth)
    engine = load_engine(config, SilentReporter())

    def segmenters(count):
        info = VideoInfo(64, 48, frame(0).time_base)
        return [engine.segmenter(config, info, StageTimers()) for _ in range(count)]

    streams = [list(PatternSource(f"test:{size}@25,frames=3")) for size in ("64x48", "128x96", "96x64")]
    alone = [[one.segment([item])[0] for item in items] for one, items in zip(segmenters(3), streams, strict=True)]
    group = SegmenterGroup(segmenters(3))
    for place in range(3):
        asked: list[tuple[int, Frame]] = [(number, streams[number][place]) for number in (2, 0, 1)]
        for (number, item), found in zip(asked, group.segment(asked), strict=True):
            expected = alone[number][place].label_map
            assert found.frame_index == item.index and found.label_map.shape == item.size_hw
            assert (found.label_map == expected).mean() > 0.999
