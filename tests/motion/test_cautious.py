from __future__ import annotations

import numpy as np

from tests.motion.moving import frame_of, texture, window
from vidseg.frames import NO_LABEL, Segmentation, UInt8Array
from vidseg.interfaces import Propagator
from vidseg.motion.cautious import CautiousPropagator, unexplained
from vidseg.motion.propagate import FlowPropagator

SIZE = (108, 192)
PERSON, WALL = 12, 0


def picture_at(x: float) -> UInt8Array:
    return window(texture(1), x, 40, SIZE)


def walls() -> Segmentation:
    return Segmentation(np.full(SIZE, WALL, np.uint8), 0)


def carried(first: UInt8Array, *others: UInt8Array, segmentation: Segmentation) -> Segmentation:
    """The masks of the first picture, brought onto the last."""
    propagator = CautiousPropagator([PERSON])
    propagator.follow(frame_of(first, 0))
    propagator.anchor()
    carry = None
    for index, picture in enumerate(others, 1):
        carry = propagator.follow(frame_of(picture, index))
    assert carry is not None
    return carry(segmentation)


def test_it_is_a_propagator_and_knows_nothing_before_an_anchor_or_after_a_cut() -> None:
    propagator = CautiousPropagator([PERSON])
    assert isinstance(propagator, Propagator)
    assert propagator.follow(frame_of(picture_at(40), 0)) is None
    propagator.anchor()
    assert propagator.follow(frame_of(picture_at(42), 1)) is not None
    assert propagator.follow(frame_of(window(texture(9), 40, 40, SIZE), 2)) is None
    assert propagator.follow(frame_of(window(texture(9), 41, 40, SIZE), 3)) is None, "until the next anchor"


def test_a_picture_that_stays_keeps_all_of_its_labels() -> None:
    found = carried(picture_at(40), picture_at(40), picture_at(40), segmentation=walls())
    assert (found.label_map == WALL).all() and found.frame_index == 0


def test_a_steady_pan_keeps_nearly_all_labels_but_those_of_the_edge_that_comes_in() -> None:
    found = carried(*(picture_at(40 + 2 * step) for step in range(4)), segmentation=walls())
    assert (found.label_map[:, -4:] == NO_LABEL).mean() > 0.9, "what came in was never seen"
    assert (found.label_map[:, :-16] == WALL).mean() > 0.9


def test_somebody_who_comes_in_between_has_no_label() -> None:
    newcomer = picture_at(40).copy()
    newcomer[40:80, 80:110] = 255
    newcomer[40:80, 80:110:8] = newcomer[40:80, 81:110:8] = 0
    found = carried(picture_at(40), newcomer, segmentation=walls())
    assert (found.label_map[40:80, 80:110] == NO_LABEL).mean() > 0.9
    assert (found.label_map[:20] == WALL).all()
    propagator = FlowPropagator()  # which takes the newcomer for a wall
    propagator.follow(frame_of(picture_at(40), 0))
    propagator.anchor()
    carry = propagator.follow(frame_of(newcomer, 1))
    assert carry is not None and (carry(walls()).label_map[40:80, 80:110] == WALL).all()


def test_hidden_classes_stay_where_they_were_too() -> None:
    labels = np.full(SIZE, WALL, np.uint8)
    labels[30:70, 60:100] = PERSON
    labels[80:90, 60:100] = 5
    found = carried(*(picture_at(40 + 3 * step) for step in range(4)), segmentation=Segmentation(labels, 0))
    assert (found.label_map[30:70, 60:100] == PERSON).all(), "where they were"
    assert np.isin(found.label_map[34:66, 54:91], (PERSON, NO_LABEL)).all(), "and where the motion took them, 9 left"
    assert (found.label_map[82:88, 94:100] != 5).mean() > 0.9, "other classes only move"
    assert (labels[30:70, 60:100] == PERSON).all() and (labels == NO_LABEL).sum() == 0, "the anchor's own are untouched"


def test_what_lies_outside_of_the_older_picture_is_unexplained() -> None:
    flat = np.full((40, 60), 90, np.uint8)
    flow = np.zeros((40, 60, 2), np.float32)
    flow[..., 0] = 5
    found = unexplained(flat, flat, flow)
    assert (found[:, -5:] == 255).all() and (found[:, :-7] == 0).all()
    assert (unexplained(flat, flat + 30, np.zeros_like(flow)) == 255).all()


def test_an_edge_that_is_off_by_a_cell_is_explained_by_its_neighbours() -> None:
    edge = np.zeros((40, 60), np.uint8)
    edge[:, 30:] = 200
    still = np.zeros((40, 60, 2), np.float32)
    for shift in (1, -1):
        assert not unexplained(np.roll(edge, shift, axis=1)[:, 2:-2], edge[:, 2:-2], still[:, 2:-2]).any()
    assert unexplained(np.roll(edge, 4, axis=1)[:, 5:-5], edge[:, 5:-5], still[:, 5:-5]).any()
