"""Frames in windows: where the windows lie, and that what is blended is what the network says of the frame."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vidseg.frames import Frame
from vidseg.runtimes.model_format import InputFormat
from vidseg.segmentation.dense_segmenter import DenseSegmenter
from vidseg.segmentation.preprocess import network_size
from vidseg.segmentation.tiled_segmenter import QueryScoreRuntime, TiledSegmenter, windows

CLASSES = 5


class Colours:
    """Scores of a pixel by its colour, in cells of `stride` pixels; remembers what it saw."""

    gives_logits = True
    align_corners = False

    def __init__(self, stride: int = 4, *, labels: bool = False) -> None:
        self.stride, self.gives_labels = stride, labels
        self.class_of_channel = np.arange(CLASSES, dtype=np.uint8)
        self.weight = torch.randn(CLASSES, 3, generator=torch.Generator().manual_seed(4))
        self.seen: list[tuple[int, ...]] = []

    def run(self, images):
        self.seen.append(tuple(images.shape))
        scores = torch.einsum("kc,bchw->bkhw", self.weight, images.float() / 40 - 3)
        scores = F.avg_pool2d(scores, self.stride)
        return scores.argmax(dim=1).to(torch.uint8) if self.gives_labels else scores

    def weights(self, scores):
        return scores.softmax(dim=0)


def picture(height: int, width: int) -> Frame:
    cells = np.random.default_rng(3).integers(0, 256, (height // 32, width // 32, 3), dtype=np.uint8)
    return Frame(cells.repeat(32, axis=0).repeat(32, axis=1), 0, 0, Fraction(1, 25))


@pytest.mark.parametrize(("length", "count"), [(100, 1), (100, 2), (2160, 3), (37, 8), (1, 4)])
def test_windows_cover_all_and_overlap_by_a_quarter(length, count):
    places = windows(length, count)
    assert len(places) == count and places[0].start == 0 and places[-1].stop == length
    sizes = {place.stop - place.start for place in places}
    assert len(sizes) == 1
    for before, after in itertools.pairwise(places):
        assert before.stop >= after.start
        if length > 100:
            assert (before.stop - after.start) / sizes.copy().pop() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("given", [None, InputFormat(fixed_hw=(320, 320))], ids=["any size", "letterboxed"])
def test_windows_of_a_network_that_sees_single_pixels_give_the_labels_of_the_whole(labels, given):
    frame = picture(256, 448)  # windows of 146x256 pixels
    tiled = Colours(labels=labels)
    options = {"imgsz": 256, "network_size": network_size, "given": given}
    (found,) = TiledSegmenter(tiled, tiles=(2, 2), **options).segment([frame])
    assert tiled.seen == [(4, 3, *((320, 320) if given else (144, 256)))]
    (whole,) = DenseSegmenter(Colours(1, labels=labels), imgsz=448, network_size=network_size).segment([frame])
    assert (found.label_map == whole.label_map).mean() > 0.9
    inside = np.zeros((32, 32), dtype=bool)
    inside[6:-6, 6:-6] = True  # all that is further from an edge of colours than a cell
    inside = np.tile(inside, (8, 14))
    assert (found.label_map == whole.label_map)[inside].all()


def test_seams_are_blended():
    class Sides(Colours):
        """Class 1 in the left window, 2 in the right, as sure as can be; 3 everywhere, less so."""

        def run(self, images):
            scores = torch.full((len(images), CLASSES, 8, 8), -9.0)
            scores[0::2, 1], scores[1::2, 2], scores[:, 3] = 1.0, 1.0, 0.5
            return scores

    frame = picture(64, 128)
    (found,) = TiledSegmenter(Sides(), tiles=(2, 1), imgsz=64, network_size=network_size).segment([frame])
    row = found.label_map[32].tolist()
    assert [label for label, _ in itertools.groupby(row)] == [1, 3, 2] and row[64] == 3  # in the middle both say 3


def test_query_networks_are_blended_by_their_class_scores():
    class Halves:
        device = torch.device("cpu")

        def run(self, images):
            b, _, h, w = images.shape
            classes, masks = torch.full((b, 2, 4), -9.0), torch.full((b, 2, h // 4, w // 4), -9.0)
            classes[:, 0, 1] = classes[:, 1, 2] = 9
            masks[:, 0, : h // 8], masks[:, 1, h // 8 :] = 9, 9
            return classes, masks

    runtime = QueryScoreRuntime(Halves(), 3, activated=False)
    scores = runtime.run(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert scores.shape == (1, 3, 8, 8) and (scores[0, 1, :4] > 0.99).all() and (scores[0, 2, 4:] > 0.99).all()
    frame = picture(64, 128)
    (found,) = TiledSegmenter(runtime, tiles=(2, 1), imgsz=64, network_size=network_size).segment([frame])
    assert (found.label_map[:30] == 1).all() and (found.label_map[34:] == 2).all()
