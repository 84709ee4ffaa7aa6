import numpy as np
import pytest

from tests.motion.moving import frame_of, texture, window
from vidseg.errors import ConfigError
from vidseg.frames import Detection, QueryMasks, Segmentation
from vidseg.interfaces import Propagator
from vidseg.motion.propagate import FlowPropagator
from vidseg.timing import StageTimers


def labels_at(x: float) -> np.ndarray:
    """(108, 192): class 2 left of column x, class 6 right of it."""
    return np.where(np.arange(192)[None, :] < x, 2, 6).astype(np.uint8).repeat(108, axis=0)


def picture_at(shift: float) -> np.ndarray:
    """The same thing `shift` pixels further to the right."""
    return window(texture(1), 60 - shift, 40)


def test_masks_follow_the_motion_frame_by_frame_and_stay_crisp():
    timers = StageTimers()
    propagator = FlowPropagator(timers)
    assert isinstance(propagator, Propagator)
    assert propagator.follow(frame_of(picture_at(0), 0)) is None
    propagator.anchor()
    anchored = Segmentation(labels_at(90), 0, np.arange(192, dtype=np.uint8)[None].repeat(108, 0))
    for index in range(1, 8):
        carried = propagator.follow(frame_of(picture_at(3 * index), index))(anchored)
        assert carried.frame_index == 0 and set(np.unique(carried.label_map)) == {2, 6}
        assert (carried.label_map != labels_at(90 + 3 * index))[8:-8].mean() < 0.01
        assert (anchored.label_map != labels_at(90 + 3 * index)).mean() > 0.01
        assert carried.confidence[50, 100] == pytest.approx((100 - 3 * index) / 255, abs=0.01)
    assert (anchored.label_map == labels_at(90)).all(), "what is carried is left as it was"
    assert timers.totals()["propagate"].frames == 7


def test_a_new_anchor_starts_the_motion_anew():
    propagator = FlowPropagator()
    for index in range(4):
        propagator.follow(frame_of(picture_at(4 * index), index))
        if index in (0, 3):
            propagator.anchor()
    carry = propagator.follow(frame_of(picture_at(16), 4))
    assert (carry(Segmentation(labels_at(90), 3)).label_map != labels_at(94))[8:-8].mean() < 0.01


def test_after_a_cut_nothing_is_carried_until_there_is_an_anchor_in_the_new_scene():
    propagator = FlowPropagator()
    propagator.follow(frame_of(picture_at(0), 0))
    propagator.anchor()
    other = texture(2)
    assert [propagator.follow(frame_of(window(other, 40, 40), i)) for i in (1, 2)] == [None, None]
    propagator.anchor()
    assert propagator.follow(frame_of(window(other, 40, 40), 3)) is not None


def test_detections_and_query_masks_are_carried_too():
    mask = labels_at(90) == 2
    found = Detection((0, 0, 89, 107), 0.9, 2, "sky", mask)
    gone = Detection((188, 0, 191, 107), 0.8, 6, "road", np.arange(192)[None].repeat(108, 0) >= 188)
    seg = Segmentation(
        labels_at(90),
        0,
        _query_masks=lambda: QueryMasks(np.array([2]), np.array([0.9], np.float32), mask[None].astype(np.float32)),
        _detections=lambda threshold, mode: [found, gone] if threshold < 0.9 else [],
    )
    propagator = FlowPropagator()
    propagator.follow(frame_of(picture_at(0), 0))
    propagator.anchor()
    carry = propagator.follow(frame_of(picture_at(8), 1))
    detections = carry(seg).detections(0.5)
    assert [d.label for d in detections] == ["sky"] and abs(detections[0].bbox[2] - 97) <= 1
    assert carry(seg).detections(0.95) == []
    assert np.abs(carry(seg).query_masks().masks[0, 20:-20] - (labels_at(98) == 2)[20:-20]).mean() < 0.02
    with pytest.raises(ConfigError, match="keep_queries=True"):
        carry(Segmentation(labels_at(90), 0)).detections()
