import cv2
import numpy as np
import pytest

from tests.fakes import frame
from vidseg.batch.inputs import identity_of
from vidseg.batch.sampler import MOST_BINS, TILES, InputGuard, Sampler
from vidseg.errors import SourceError
from vidseg.frames import Segmentation


def labelled(index, label, size=(8, 12)):
    return Segmentation(np.full(size, label, np.uint8), index)


def picture(level, size=(72, 96)):
    return np.full((*size, 3), level, np.uint8)


def strip_levels(sampler):
    """The grey level in the middle of each tile (96 wide, 2 between)."""
    strip = cv2.imdecode(np.frombuffer(sampler.strip(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert strip.shape[0] == 72
    return [int(strip[36, left + 48]) for left in range(0, strip.shape[1], 98)]


@pytest.mark.parametrize("count", [1, 5, 8, 9, 100, 1000])
def test_the_strip_has_eight_pictures_spread_over_the_clip(count):
    sampler = Sampler(sources_pictures=False)
    for index in range(count):
        sampler.write(frame(index), labelled(index, 0), picture(round(200 * index / max(1, count - 1))))
    levels = strip_levels(sampler)
    assert len(levels) == min(count, TILES) and levels == sorted(levels)
    assert levels[0] < 5 and (count == 1 or levels[-1] > 150)
    gaps = np.diff(levels)
    assert count < TILES or gaps.max() < 3 * 200 / TILES


def test_without_drawn_pictures_the_sources_are_taken_only_if_allowed():
    allowed, not_allowed = Sampler(sources_pictures=True), Sampler(sources_pictures=False)
    for sampler in (allowed, not_allowed):
        sampler.write(frame(7, size_hw=(36, 48)), labelled(0, 0), None)
    assert strip_levels(allowed) == [7] and not_allowed.strip() == b""


def test_pictures_of_any_shape_fit():
    sampler = Sampler(sources_pictures=False)
    for size in ((1000, 10), (10, 1000), (1, 1), (72, 96)):
        sampler.write(frame(0), labelled(0, 0), picture(9, size))
    assert cv2.imdecode(np.frombuffer(sampler.strip(), np.uint8), cv2.IMREAD_COLOR).shape[0] == 72


def test_a_cut_out_is_shown_on_white_and_what_is_transparent_is_not_seen():
    sampler = Sampler(sources_pictures=False)
    cut_out = np.full((72, 96, 4), 30, np.uint8)
    cut_out[:, :48, 3], cut_out[:, 48:, 3] = 255, 0
    sampler.write(frame(0), labelled(0, 0), cut_out)
    strip = cv2.imdecode(np.frombuffer(sampler.strip(), np.uint8), cv2.IMREAD_COLOR)
    assert np.allclose(strip[:, :40], 30, atol=4) and np.allclose(strip[:, 56:], 255, atol=4)


def test_shares_follow_the_classes_through_the_clip():
    sampler = Sampler(sources_pictures=False)
    half = np.full((8, 8), 4, np.uint8)
    half[:, 4:] = 255
    for index in range(4):
        label_map = half if index >= 2 else np.full((8, 8), 20, np.uint8)
        sampler.write(frame(index), Segmentation(label_map, index), None)
    shares = sampler.class_shares()
    assert shares.seconds == pytest.approx((0, 1 / 30, 2 / 30, 3 / 30), abs=1e-3)
    assert shares.shares == {20: (1, 1, 0, 0), 4: (0, 0, 0.5, 0.5)}
    assert shares.as_dict()["shares"]["4"] == [0, 0, 0.5, 0.5]


@pytest.mark.parametrize("count", [MOST_BINS, MOST_BINS + 1, 777])
def test_stretches_stay_few_and_count_every_frame(count):
    """Against plain counting: the mean over stretches, by their length, is the mean over all frames."""
    sampler = Sampler(sources_pictures=False)
    labels = [index % 3 if index < count // 2 else 9 for index in range(count)]
    for index, label in enumerate(labels):
        sampler.write(frame(index), labelled(index, label), None)
    shares = sampler.class_shares()
    starts = [round(seconds * 30) for seconds in shares.seconds]
    assert len(starts) <= MOST_BINS and starts[0] == 0
    lengths = np.diff([*starts, count])
    assert lengths.min() > 0
    for label, row in shares.shares.items():
        assert np.dot(row, lengths) == pytest.approx(labels.count(label), abs=0.05)


def test_an_empty_clip_has_nothing_to_show():
    sampler = Sampler(sources_pictures=True)
    assert sampler.strip() == b"" and sampler.class_shares().as_dict() == {"seconds": [], "shares": {}}


def test_the_guard_refuses_an_input_that_changed_or_went(tmp_path):
    path = tmp_path / "a\n.mp4"
    path.write_bytes(b"1")
    guard = InputGuard(str(path), identity_of(path))
    guard.close()
    path.write_bytes(b"12")
    with pytest.raises(SourceError, match=r"a\\n\.mp4: changed while it was being read"):
        guard.close()
    path.unlink()
    with pytest.raises(SourceError, match="was removed while it was being read"):
        guard.close()
