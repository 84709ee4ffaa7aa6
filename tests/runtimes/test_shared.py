import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from vidseg.runtimes.base import Running
from vidseg.runtimes.shared import SharedRuntime


class OneAtATime:
    """Fails when two threads are inside at once."""

    name = "fake"
    device = torch.device("cpu")

    def __init__(self):
        self.inside = threading.Lock()
        self.met = threading.Event()
        self.calls = 0

    def run(self, images):
        if not self.inside.acquire(blocking=False):
            self.met.set()
            pytest.fail("two threads at once")
        try:
            self.calls += 1
            if self.calls == 1:
                self.met.wait(0.2)  # long enough for the others to come in, where nothing keeps them out
            return images.float() + 1, images.float() + 2
        finally:
            self.inside.release()


def in_threads(use):
    """What `use` gives for 0 to 3, each in a thread of its own."""
    together = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda number: (together.wait(), use(number))[1], range(4)))


def test_several_threads_get_their_own_results_and_never_meet_inside():
    inner = OneAtATime()
    shared = SharedRuntime(inner)
    found = in_threads(lambda number: [shared.run(torch.full((1,), number)) for _ in range(50)])
    for number, pairs in enumerate(found):
        assert {(int(first), int(second)) for first, second in pairs} == {(number + 1, number + 2)}
    assert inner.calls == 200
    assert (shared.name, shared.device) == ("fake", torch.device("cpu"))


class Queue(OneAtATime):
    """Starts at once, fails when two threads start at once, and works when it is waited for."""

    def __init__(self):
        super().__init__()
        self.found = {}

    def start(self, image):
        first, _ = self.run(image)
        return Running(lambda: self.found.setdefault(int(image), first), lambda: 0.5)


def test_pictures_of_several_threads_are_worked_on_at_once():
    inner = Queue()
    shared = SharedRuntime(inner)
    running = in_threads(lambda number: [shared.start(torch.full((1,), number)) for _ in range(50)])
    assert inner.calls == 200 and not inner.found, "nobody waited for one"
    assert [{int(each.result()) for each in of_thread} for of_thread in running] == [{1}, {2}, {3}, {4}]
    assert running[0][0].seconds() == 0.5
