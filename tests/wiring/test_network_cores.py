"""How much of the processor the network gets."""

from __future__ import annotations

import pytest

from tests.wiring.test_engine import info
from vidseg.config import RunConfig
from vidseg.wiring import network_cores
from vidseg.wiring.network_cores import beside_other_stages, load_beside, requests_beside, threads_beside
from vidseg.wiring.reporter import SilentReporter


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (4, 2), (6, 3), (8, 5), (64, 61)])
def test_the_network_leaves_cores_to_the_other_stages(cores, threads):
    assert threads_beside(cores) == threads


def test_threads_that_are_asked_for_stay(monkeypatch):
    monkeypatch.setattr(network_cores, "usable_cores", lambda: 8)
    assert beside_other_stages(RunConfig(device="cpu")).threads == 5
    assert beside_other_stages(RunConfig(device="cpu", threads=8)).threads == 8


@pytest.mark.parametrize(
    ("cores", "gib", "requests"),
    [(1, 9, 1), (2, 9, 2), (3, 9, 3), (8, 9, 8), (12, 9, 6), (15, 9, 7), (64, 9, 8), (8, 1, 2), (8, 0, 1)],
)
def test_a_file_has_as_many_frames_at_once_as_there_are_cores_and_room_for(monkeypatch, cores, gib, requests):
    monkeypatch.setattr(network_cores, "usable_cores", lambda: cores)
    monkeypatch.setattr(network_cores, "free_memory", lambda: (gib * 2**30, "of this machine"))
    assert requests_beside(RunConfig(device="cpu"), info()) == requests_beside(RunConfig(device="cpu")) == requests


@pytest.mark.parametrize(
    ("words", "source", "requests"),
    [
        ({}, {}, 8),
        ({"stride": 2}, {}, 4),
        ({"stride": 3}, {}, 3),
        ({"stride": 8}, {}, 1),
        ({"infer_fps": 2.0}, {}, 1),
        ({}, {"tiles": (("a", (0, 0, 24, 64)), ("b", (24, 0, 48, 64)))}, 1),
        ({}, {"still": True, "frame_count": 1}, 1),
        ({}, {"still": True, "frame_count": 30}, 8),
    ],
)
def test_few_frames_for_the_network_get_the_cores_together(monkeypatch, words, source, requests):
    monkeypatch.setattr(network_cores, "usable_cores", lambda: 8)
    assert requests_beside(RunConfig(device="cpu", **words), info(**source)) == requests


def test_a_batch_of_single_pictures_has_as_many_as_jobs(monkeypatch):
    def load(config, reporter, *, requests, info):
        given.append((requests, config.threads))

    given: list[tuple[int, int]] = []
    monkeypatch.setattr(network_cores, "usable_cores", lambda: 8)
    monkeypatch.setattr(network_cores, "load_engine", load)
    for most in (1, 2, 8):
        load_beside(RunConfig(device="cpu"), SilentReporter(), most=most)
    assert given == [(1, 5), (2, 5), (8, 5)]


@pytest.mark.parametrize(
    ("words", "live"),
    [({"threads": 2}, False), ({"workers": 2}, False), ({"batch": 1}, False), ({"show": True}, False), ({}, True)],
)
def test_one_frame_at_once_where_threads_are_given_or_frames_come_one_by_one(monkeypatch, words, live):
    monkeypatch.setattr(network_cores, "usable_cores", lambda: 2)
    assert requests_beside(RunConfig(device="cpu", **words), info(live=live)) == 1


def test_threads_are_the_engines_choice_where_the_network_is_elsewhere():
    assert beside_other_stages(RunConfig(device="cuda:7")).threads is None
