import threading

import torch

from vidseg.runtimes.base import Running
from vidseg.runtimes.shared import SharedRuntime


class OneAtATime:
    """Fails when two threads are inside at once."""

    name = "fake"
    device = torch.device("cpu")

    def __init__(self):
        self.inside = threading.Lock()
        self.calls = 0

    def run(self, images):
        assert self.inside.acquire(blocking=False), "two threads at once"
        try:
            self.calls += 1
            return images.float() + 1, images.float() + 2
        finally:
            self.inside.release()


def test_several_threads_get_their_own_results_and_never_meet_inside():
    inner = OneAtATime()
    shared = SharedRuntime(inner)
    wrong = []

    def use(number):
        for _ in range(50):
            first, second = shared.run(torch.full((1,), number))
            if (int(first), int(second)) != (number + 1, number + 2):
                wrong.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and inner.calls == 200
    assert (shared.name, shared.device) == ("fake", torch.device("cpu"))


def test_pictures_of_several_threads_are_worked_on_at_once():
    class Queue(OneAtATime):
        def start(self, image):
            return Running(lambda: found.setdefault(int(image), self.run(image)), lambda: 0.5)

    found = {}
    shared = SharedRuntime(Queue())
    first, second = shared.start(torch.full((1,), 1)), shared.start(torch.full((1,), 5))
    assert not found, "nobody waited for the first"
    assert [int(second.result()[0]), int(first.result()[0]), first.seconds()] == [6, 2, 0.5]
