"""What holds for all tests with real servers."""

import threading

import pytest

from tests.servers.viewer import reading_threads


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind():
    yield
    for thread in threading.enumerate():
        if thread.name == "vidseg-read":
            thread.join(5)
    assert reading_threads() == []
