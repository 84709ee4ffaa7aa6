"""Work beside a run."""

from __future__ import annotations

import threading

import pytest

from vidseg.pipeline.background import BackgroundTask

pytestmark = pytest.mark.timeout(60)


def test_the_task_runs_beside_and_is_over_afterwards():
    started, stop, over = threading.Event(), threading.Event(), threading.Event()

    def run():
        started.set()
        stop.wait()
        over.set()

    with BackgroundTask("x", run, stop.set):
        assert started.wait(10) and not over.is_set()
    assert over.is_set()


def test_an_error_of_the_task_comes_out_at_the_end():
    def run():
        raise RuntimeError("broke")

    with pytest.raises(RuntimeError, match="broke"), BackgroundTask("x", run, lambda: None):
        pass


def test_the_first_error_wins():
    def run():
        raise RuntimeError("second")

    with pytest.raises(ValueError, match="first"), BackgroundTask("x", run, lambda: None):
        raise ValueError("first")
