import pytest

from vidseg.app import engine
from vidseg.app.engine import beside_other_stages, threads_beside
from vidseg.config import RunConfig


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (4, 2), (6, 3), (8, 5), (64, 61)])
def test_the_network_leaves_cores_to_the_other_stages(cores, threads):
    assert threads_beside(cores) == threads


def test_threads_that_are_asked_for_stay(monkeypatch):
    monkeypatch.setattr(engine, "usable_cores", lambda: 8)
    assert beside_other_stages(RunConfig(device="cpu")).threads == 5
    assert beside_other_stages(RunConfig(device="cpu", threads=8)).threads == 8


def test_threads_are_the_engines_choice_where_the_network_is_elsewhere():
    assert beside_other_stages(RunConfig(device="cuda:7")).threads is None
