"""Saved masks find their frames, and say what does not fit."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.fakes import FakeSource, frame
from vidseg.app.masks import MaskedSource, NamedMasks, OrderedMasks
from vidseg.errors import ConfigError, SourceError
from vidseg.frames import Frame
from vidseg.interfaces import FrameSegmenter, VideoSource
from vidseg.saved_masks import SavedMask
from vidseg.sources.factory import open_source
from vidseg.sources.time_range import TimeRange

Place = tuple[int | None, Fraction | None]


def saved(
    places: list[Place],
    *,
    size_hw: tuple[int, int] = (4, 6),
    error: Exception | None = None,
    read: list[int] | None = None,
) -> Generator[SavedMask, None, None]:
    """Masks filled with their number; notes in `read` which were read."""
    for number, (index, seconds) in enumerate(places):
        if read is not None:
            read.append(number)
        yield SavedMask(f"m, mask {number}", index, seconds, lambda n=number: np.full(size_hw, n, np.uint8))
    if error is not None:
        raise error


def masked(frames: list[Frame], masks: Generator[SavedMask, None, None], **options: bool) -> MaskedSource:
    return MaskedSource(FakeSource(frames, **options), OrderedMasks("m", masks), "m", 150)


def pairs(source: MaskedSource) -> list[tuple[int, int]]:
    """(frame index, number of its mask)."""
    return [(item.index, int(source.segmenter.segment([item])[0].label_map[0, 0])) for item in source]


def by_index(*indices: int) -> list[Place]:
    return [(index, None) for index in indices]


def by_time(*ticks: float) -> list[Place]:
    return [(None, Fraction(tick) / 30) for tick in ticks]


@pytest.mark.parametrize(("known", "first"), [(150, 150), (3, 3), (1, 1), (254, 254), (255, None)])
def test_class_ids_that_mean_nothing_are_told_once(known, first):
    frames = [frame(index) for index in range(256)]
    source = MaskedSource(FakeSource(frames), OrderedMasks("m", saved(by_index(*range(256)))), "m", known)
    assert pairs(source) == [(index, index) for index in range(256)]  # 255 is no label, and no class
    told = [note for note in source.notes if "class id" in note]
    assert len(told) == (first is not None)
    assert all(
        note.startswith(f"the masks contain class id {first}, which is left out (known: 0 to {known - 1})")
        for note in told
    )


def test_is_a_source_with_a_segmenter():
    source = masked([frame(0)], saved(by_index(0)))
    assert isinstance(source, VideoSource) and isinstance(source.segmenter, FrameSegmenter)
    assert source.info.frame_count == 1 and source.counters == {"corrupt_packets": 3}


def test_masks_find_their_frames_by_index_and_by_time():
    frames = [frame(index) for index in range(4)]
    for masks in (by_index(0, 1, 2, 3), by_time(0, 1, 2, 3), by_time(0.02, 1.03, 1.98, 3)):
        source = masked(frames, saved(masks))
        assert pairs(source) == [(0, 0), (1, 1), (2, 2), (3, 3)] and source.notes == []


def test_a_clip_longer_than_its_masks_ends_there_and_the_rest_is_counted():
    source = masked([frame(index) for index in range(10)], saved(by_index(0, 1, 2)))
    assert [index for index, _ in pairs(source)] == [0, 1, 2]
    assert source.notes == ["the masks end before frame 3; the rest of the clip (7 frames) is left out"]


@pytest.mark.parametrize(("start", "end", "rest"), [(0, None, " (25 frames)"), (1, None, " (25 frames)"), (1, 3, "")])
def test_the_rest_after_masks_of_a_part_counts_the_frames_of_the_clip(start, end, rest):
    pattern = open_source("test:64x48@10,frames=40")
    pattern.keep(TimeRange(Fraction(start), end))
    masks = OrderedMasks("m", saved(by_index(*range(10, 15)), size_hw=(48, 64)))
    with pattern:
        source = MaskedSource(pattern, masks, "m", 150)
        assert [index for index, _ in pairs(source)] == [10, 11, 12, 13, 14]
    assert source.notes[0] == f"the masks end before frame 15; the rest of the clip{rest} is left out"


def test_masks_longer_than_the_clip_are_told():
    source = masked([frame(0), frame(1)], saved(by_index(0, 1, 2)))
    assert len(pairs(source)) == 2 and source.notes == ["the clip ends before its masks do"]


@pytest.mark.parametrize("places", [by_index(0, 3, 4), by_time(0, 3, 4)])
def test_frames_without_a_mask_are_left_out_and_the_one_before_lasts_longer(places):
    source = masked([frame(index) for index in range(5)], saved(places))
    given = list(source)
    assert [(item.index, item.duration) for item in given] == [(0, 3), (3, 1), (4, 1)]
    assert source.notes == ["2 frames without a mask, left out"]


def test_masks_without_a_frame_are_passed_over():
    assert pairs(masked([frame(0), frame(4)], saved(by_index(0, 1, 2, 4)))) == [(0, 0), (4, 3)]


def test_masks_are_read_in_step_with_the_frames():
    read: list[int] = []
    source = masked([frame(index) for index in range(50)], saved(by_index(*range(50)), read=read))
    given = iter(source)
    for index in range(20):
        next(given)
        assert len(read) <= index + 2


def test_masks_of_another_clip_are_an_error_and_not_a_short_run():
    shifted = [(index, Fraction(index, 25)) for index in range(5)]
    with pytest.raises(
        ConfigError, match=r"m, mask 1: is at 0.040 s, but frame 1 of the clip at 0.033 s; give the clip"
    ):
        list(masked([frame(index) for index in range(5)], saved(shifted)))
    with pytest.raises(ConfigError, match="m: no mask belongs to a frame of the clip"):
        list(masked([frame(index) for index in range(5)], saved(by_time(900, 901))))
    with pytest.raises(ConfigError, match="the mask of frame 0 is 6x8, the frame 6x4"):
        list(masked([frame(0)], saved(by_index(0), size_hw=(8, 6))))


def test_damaged_masks_give_all_frames_before_them():
    frames = [frame(index) for index in range(5)]
    source = masked(frames, saved(by_index(0, 1, 2), error=SourceError("m: damaged")))
    given = iter(source)
    assert [next(given).index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(SourceError, match="m: damaged"):
        next(given)


def test_no_masks_and_damaged_first_ones_are_told_at_once():
    with pytest.raises(SourceError, match="m: contains no masks"):
        OrderedMasks("m", saved([]))
    with pytest.raises(SourceError, match="broken"):
        OrderedMasks("m", saved([], error=SourceError("broken")))


def test_an_interrupted_source_says_nothing_of_masks_that_are_left():
    source = masked([frame(0), frame(1)], saved(by_index(0, 1, 2)), block_at=1)
    source.interrupt()
    assert [item.index for item in source] == [0] and source.notes == []
    source.close()
    source.close()


def test_pictures_take_the_png_of_their_name_and_a_second_one_too(tmp_path: Path):
    for value, stem in enumerate(("street", "street_1", "bö\nx")):
        cv2.imencode(".png", np.full((4, 6), value, np.uint8))[1].tofile(tmp_path / f"{stem}.png")
    frames = [frame(index) for index in range(4)]
    for item, name in zip(frames, ("street", "street", "gone", "bö\nx"), strict=True):
        item.name = name
    source = MaskedSource(FakeSource(frames, still=True), NamedMasks(str(tmp_path)), "m", 150)
    assert pairs(source) == [(0, 0), (1, 1), (3, 2)]
    assert source.notes == ["1 frame without a mask, left out"]
