"""Connected regions as detections, against an own flood fill in plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from vidseg.data.regions import SPECK, region_detections
from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL

NAMES = ("wall", "floor", "car")


def flooded(label_map: np.ndarray) -> list[tuple[int, frozenset[tuple[int, int]]]]:
    """Class and pixels of every region; corners touch."""
    left = {(int(y), int(x)) for y, x in np.argwhere(label_map != NO_LABEL)}
    found = []
    while left:
        first = left.pop()
        region, waiting = {first}, [first]
        while waiting:
            y, x = waiting.pop()
            for near in [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                if near in left and label_map[near] == label_map[first]:
                    left.remove(near)
                    region.add(near)
                    waiting.append(near)
        found.append((int(label_map[first]), frozenset(region)))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_every_region_but_specks_is_a_detection_with_its_mean_confidence(seed):
    rng = np.random.default_rng(seed)
    coarse = rng.choice(np.array([0, 1, 2, NO_LABEL], np.uint8), (6, 8))
    label_map = np.kron(coarse, np.ones((20, 20), np.uint8))
    label_map[rng.integers(0, 120, 60), rng.integers(0, 160, 60)] = 2
    levels = rng.integers(0, 256, label_map.shape, dtype=np.uint8)
    least = max(2, round(SPECK * label_map.size))
    truth = {(class_id, pixels) for class_id, pixels in flooded(label_map) if len(pixels) >= least}
    found = region_detections(label_map, levels, NAMES)(0.0, "all_pixels")
    assert {(d.cls_id, frozenset(map(tuple, np.argwhere(d.mask).tolist()))) for d in found} == truth
    areas = [int(d.mask.sum()) for d in found]
    assert areas == sorted(areas, reverse=True)
    for each in found:
        rows, columns = np.nonzero(each.mask)
        assert each.bbox == (columns.min(), rows.min(), columns.max(), rows.max()) and each.label == NAMES[each.cls_id]
        assert each.conf == pytest.approx(levels[each.mask].mean() / 255)


def test_regions_below_the_threshold_are_left_out_where_there_is_a_confidence():
    label_map = np.zeros((40, 50), np.uint8)
    label_map[:, 25:] = 1
    levels = np.where(label_map == 0, 100, 200).astype(np.uint8)
    assert [d.label for d in region_detections(label_map, levels, NAMES)(0.5, "all_pixels")] == ["floor"]
    both = region_detections(label_map, None, NAMES)(0.5, "per_mask")
    assert [(d.label, d.conf) for d in both] == [("wall", None), ("floor", None)]
    assert repr(both[0]) == "<Detection of wall, 0, 0, 24, 39>"
    with pytest.raises(ConfigError, match="accepted: all_pixels, per_mask"):
        region_detections(label_map, None, NAMES)(0.5, "each")
