"""Several requests of one network in OpenVINO: the same results, in order, whichever of them works."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.runtimes.tiny_networks import write_network
from vidseg.runtimes.openvino_import import import_openvino, openvino_core
from vidseg.runtimes.openvino_requests import OpenVinoRequests
from vidseg.runtimes.registry import installed_engines

pytestmark = pytest.mark.skipif("openvino" not in installed_engines(), reason="needs openvino")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = write_network(tmp_path_factory.mktemp("net"), only_cells=(4, 6))
    return lambda: openvino_core().read_model(str(path))


def pictures(count: int, size_hw: tuple[int, int] = (16, 24)) -> list[dict[int, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [{0: rng.random((1, 3, *size_hw), dtype=np.float32)} for _ in range(count)]


def test_several_requests_give_in_order_what_one_gives_to_the_bit(network):
    feeds = pictures(5)
    (one,) = OpenVinoRequests(network(), "f32", threads=1).run(feeds, [0])
    for count in (2, 4):  # more than there are cores, perhaps
        (more,) = OpenVinoRequests(network(), "f32", threads=1, count=count).run(feeds, [0])
        assert len(one) == 5 and more.tobytes() == one.tobytes()
        assert len({each.tobytes() for each in more}) == 5


def test_results_stay_when_the_requests_run_again(network):
    requests = OpenVinoRequests(network(), "f32", threads=1, count=2)
    feeds = pictures(4)
    (kept,) = requests.run(feeds[:2], [0])
    before = kept.copy()
    requests.run(feeds[2:], [0])
    assert np.array_equal(kept, before)


@pytest.mark.parametrize("bad", [0, 1])
def test_a_request_that_fails_beside_another_is_told_of(network, bad):
    requests = OpenVinoRequests(network(), "f32", threads=1, count=2)
    feeds = pictures(2)
    feeds[bad] = pictures(1, (16, 32))[0]
    with pytest.raises(RuntimeError, match="shape"):
        requests.run(feeds, [0])


def test_inputs_are_worked_on_before_they_are_waited_for_and_each_gets_its_own_result(network):
    feeds = pictures(5)
    (right,) = OpenVinoRequests(network(), "f32", threads=1).run(feeds, [0])
    requests = OpenVinoRequests(network(), "f32", threads=1, count=2)
    running = [requests.start(feed, [0]) for feed in feeds]  # more than there are requests
    with ThreadPoolExecutor(1) as elsewhere:
        found = [elsewhere.submit(each.result).result()[0] for each in reversed(running)][::-1]
    assert np.concatenate(found).tobytes() == right.tobytes()
    assert all(0 < each.seconds() < 10 for each in running)


def test_after_an_input_that_fails_others_are_as_before(network):
    """OpenVINO's compiled network refuses most of them from then on."""
    feeds = pictures(6)
    (right,) = OpenVinoRequests(network(), "f32", threads=1).run(feeds, [0])
    requests = OpenVinoRequests(network(), "f32", threads=1, count=2)
    for number, feed in enumerate(feeds):
        with pytest.raises(RuntimeError, match="shape"):
            requests.start(pictures(1, (16, 32))[0], [0]).result()
        assert requests.start(feed, [0]).result()[0].tobytes() == right[number : number + 1].tobytes()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_an_input_begun_before_the_failure_is_known_does_not_fail_with_it(network, count):
    feeds = pictures(5)
    (right,) = OpenVinoRequests(network(), "f32", threads=1).run(feeds, [0])
    requests = OpenVinoRequests(network(), "f32", threads=1, count=count)
    for _ in range(5):
        first, bad, *later = [requests.start(feed, [0]) for feed in (feeds[0], pictures(1, (16, 32))[0], *feeds[1:])]
        assert np.concatenate([each.result()[0] for each in (first, *later)]).tobytes() == right.tobytes()
        with pytest.raises(RuntimeError, match="shape"):
            bad.result()


def test_outputs_are_kept_by_who_asked_for_them_only(network):
    requests = OpenVinoRequests(network(), "f32", threads=1, count=2)
    gone = [weakref.ref(requests.start(feed, [0]).result()[0]) for feed in pictures(2)]
    assert [each() for each in gone] == [None, None]


def test_a_network_that_has_run_is_freed_without_the_garbage_collector(network):
    requests = OpenVinoRequests(network(), "f32", threads=1)
    requests.run(pictures(2), [0])
    gone = weakref.ref(requests)
    gc.disable()
    try:
        del requests
        assert gone() is None
    finally:
        gc.enable()


def test_an_error_while_it_works_is_told_to_who_asked_for_it(network, monkeypatch):
    """Even where the request had to be free for the next input before."""

    class Request:
        latency, results = 2.0, {0: "fine"}
        count = 0

        def start_async(self, feed, share_inputs):
            Request.count += 1

        def wait(self):
            if Request.count == 1:
                raise RuntimeError("lost")

    monkeypatch.setattr(OpenVinoRequests, "_compiled", lambda self, network: [Request()])
    requests = OpenVinoRequests(network(), "f32")
    first, second = (requests.start(feed, [0]) for feed in pictures(2))
    assert second.result() == ["fine"] and second.seconds() == 0.002  # the first was done when it began
    with pytest.raises(RuntimeError, match="lost"):
        first.result()


def test_the_time_of_an_input_is_shared_with_those_beside_it_only(network, monkeypatch):
    class Request:
        latency, results = 6.0, {0: 1}
        start_async = wait = lambda self, *_, **__: None

    monkeypatch.setattr(OpenVinoRequests, "_compiled", lambda self, network: [Request(), Request()])
    requests = OpenVinoRequests(network(), "f32", count=2)
    first, second = (requests.start(feed, [0]) for feed in pictures(2))
    for each in (second, first):
        each.result()
    alone = requests.start(pictures(1)[0], [0])
    alone.result()
    assert [each.seconds() for each in (first, second, alone)] == [0.006, 0.003, 0.006]


def test_the_request_that_is_free_first_gets_the_next_input(network, monkeypatch):
    class Request:
        latency, results, done = 6.0, {0: 1}, False

        def __init__(self):
            self.given = []

        def start_async(self, feed, share_inputs):
            self.given.append(feed)

        def wait(self):
            assert self.done, "waits for one that is at work while another is free"

        def wait_for(self, milliseconds):
            return self.done

    made = [Request() for _ in range(3)]
    monkeypatch.setattr(OpenVinoRequests, "_compiled", lambda self, network: made)
    requests = OpenVinoRequests(network(), "f32", count=3)
    feeds = pictures(5)
    kept = [requests.start(feed, [0]) for feed in feeds[:3]]
    made[1].done = True
    kept += [requests.start(feed, [0]) for feed in feeds[3:]]
    assert [len(each.given) for each in made] == [1, 3, 1]
    made[0].done = made[2].done = True


@pytest.fixture
def compiled(monkeypatch):
    """The shapes that networks were compiled for, in turn."""
    shapes = []
    whole = OpenVinoRequests._compiled

    def noted(self, network):
        shapes.append(network.inputs[0].get_partial_shape().to_string())
        return whole(self, network)

    monkeypatch.setattr(OpenVinoRequests, "_compiled", noted)
    return shapes


def test_a_size_that_is_expected_has_a_network_of_its_own_and_others_share_one(tmp_path, compiled):
    path = write_network(tmp_path)
    requests = OpenVinoRequests(openvino_core().read_model(str(path)), "f32", threads=1)
    for _ in range(2):
        requests.expect((1, 3, 16, 24))
    (fixed,) = requests.run(pictures(1), [0])
    assert compiled == ["[1,3,16,24]"]
    for size in ((16, 32), (32, 24), (16, 24)):
        requests.run(pictures(1, size), [0])
    assert compiled == ["[1,3,16,24]", "[1,3,?,?]"]
    (free,) = OpenVinoRequests(openvino_core().read_model(str(path)), "f32", threads=1).run(pictures(1), [0])
    assert fixed.shape == free.shape and np.allclose(fixed, free, atol=1e-6)


def test_the_sizes_expected_last_are_kept(tmp_path, compiled):
    requests = OpenVinoRequests(openvino_core().read_model(str(write_network(tmp_path))), "f32", threads=1, kept=2)
    sizes = {name: (1, 3, side, 24) for name, side in zip("abc", (16, 20, 28), strict=True)}
    for name in "abaca":  # when c comes, b is the one that was asked for longest ago
        requests.expect(sizes[name])
    assert len(compiled) == 3
    requests.expect(sizes["b"])
    assert len(compiled) == 4


def test_outputs_that_nobody_wants_are_left_alone(tmp_path):
    """A loss without dimensions cannot be put one after the other."""
    openvino = import_openvino()
    opset13 = openvino.opset13
    image = opset13.parameter([-1, 3, 16, 24], openvino.Type.f32)
    doubled = opset13.add(image, image)
    both = openvino.Model([doubled, opset13.reduce_sum(image, opset13.constant([0, 1, 2, 3]))], [image], "two")
    feeds = pictures(2)
    (found,) = OpenVinoRequests(both, "f32", threads=1, count=2).run(feeds, [0])
    assert np.array_equal(found, 2 * np.concatenate([feed[0] for feed in feeds]))
