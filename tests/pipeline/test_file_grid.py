"""Files beside each other that nobody watches: every frame of each is kept, and each run gives the same."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.fakes import FakePropagator, FakeSegmenter, FakeSource, frame
from tests.pipeline.test_grid import CARD, FakePainter
from vidseg.errors import SourceError
from vidseg.frames import VideoInfo
from vidseg.pipeline.file_grid import TIME_BASE, FileGrid, FileLane
from vidseg.pipeline.policy import InferenceStride, RateLimit

MILLISECONDS = Fraction(1, 1000)


def file(times, **options) -> FakeSource:
    """Frames with these times in milliseconds; each shows its number."""
    frames = [replace(frame(number), pts=time, time_base=MILLISECONDS) for number, time in enumerate(times)]
    return FakeSource(frames, **options)


def grid(*sources, rate=25, stride=1, max_fps=None, propagator=None, batch=1):
    lanes = [
        FileLane(f"s{n}", source, InferenceStride(stride), RateLimit(max_fps), propagator() if propagator else None)
        for n, source in enumerate(sources)
    ]
    info = VideoInfo(6, 4 * len(sources), TIME_BASE, Fraction(rate))
    found = FileGrid(lanes, info, FakePainter(), announce=lambda text: None)
    segmenters = [FakeSegmenter() for _ in sources]
    sizes = []

    def ask(asked):
        sizes.append(len(asked))
        return [segmenters[number].segment([item])[0] for number, item in asked]

    found.infer_with(ask, batch)
    return found, sizes


def shown(source: FileGrid) -> list[tuple[int, list[int]]]:
    """(milliseconds, number in each tile) of every picture; the labels are those of the frames."""
    seen = []
    for item in source:
        tiles = [int(item.image[4 * n, 0, 0]) for n in range(len(source.lanes))]
        labels = [int(item.segmentation.label_map[4 * n, 0]) for n in range(len(source.lanes))]
        assert all(label == tile for tile, label in zip(tiles, labels, strict=True) if tile != CARD)
        seen.append((round(item.pts * item.time_base * 1000), tiles))
    return seen


def test_every_frame_of_files_of_one_rate_is_shown_at_its_time():
    source, sizes = grid(file(range(0, 400, 40)), file(range(5000, 5400, 40)), batch=2)
    assert shown(source) == [(40 * number, [number, number]) for number in range(10)]
    assert sizes == [2] * 10
    for lane in source.lanes:
        assert (lane.stats.decoded, lane.stats.shown, lane.stats.inferred) == (10, 10, 10)


def test_no_frame_is_lost_where_rates_differ_or_vary():
    source, _ = grid(file(range(0, 1000, 40)), file([0, 5, 10, 500, 505, 990]), file(range(0, 1000, 33)), rate=30)
    pictures = shown(source)
    for number, count in enumerate((25, 6, 31)):
        numbers = [tiles[number] for _, tiles in pictures if tiles[number] != CARD]
        assert sorted(set(numbers)) == list(range(count))
        assert numbers == sorted(numbers)
    times = [time for time, _ in pictures]
    assert times == sorted(set(times))


def test_a_file_that_is_over_becomes_a_card():
    source, _ = grid(file([0, 40, 80, 120]), file([0, 40]))
    assert [tiles for _, tiles in shown(source)] == [[0, 0], [1, 1], [2, CARD], [3, CARD]]


def test_a_file_that_breaks_off_ends_alone():
    source, _ = grid(file([0, 40, 80]), file([0], error=SourceError("s1: broke")))
    assert [tiles for _, tiles in shown(source)] == [[0, 0], [1, CARD], [2, CARD]]
    assert [lane.stats.broken for lane in source.lanes] == [None, "s1: broke"]


def test_a_stride_counts_the_frames_of_each_file_and_the_rest_is_carried():
    source, sizes = grid(file(range(0, 240, 40)), file(range(0, 240, 40)), stride=3, propagator=FakePropagator)
    labels = [[int(item.segmentation.label_map[4 * n, 0]) for n in range(2)] for item in source]
    assert labels == [[0, 0], [100, 100], [100, 100], [3, 3], [103, 103], [103, 103]]
    assert source.inferred == 4 == sum(sizes)


def test_a_limit_of_the_rate_leaves_frames_out_and_counts_them():
    source, _ = grid(file(range(0, 400, 40)), file(range(0, 400, 40)), max_fps=12.5)
    assert [tiles for _, tiles in shown(source)] == [[number, number] for number in range(0, 10, 2)]
    assert [lane.stats.passed_over for lane in source.lanes] == [5, 5]


def test_an_error_of_the_model_comes_out_and_an_interrupt_ends_it():
    source, _ = grid(file([0, 40]), file([0, 40]))
    source.infer_with(lambda asked: 1 / 0, 1)
    with pytest.raises(ZeroDivisionError):
        next(iter(source))
    source, _ = grid(file([0, 40]), file([0, 40]))
    pictures = iter(source)
    next(pictures)
    source.interrupt()
    assert list(pictures) == []
    source.close()
    assert [lane.source.closed for lane in source.lanes] == [1, 1]
