"""Several requests of one network in OpenVINO: the same results, in order, whichever of them works."""

import numpy as np
import pytest

from tests.runtimes.tiny_networks import write_network
from vidseg.runtimes.openvino_import import openvino_core
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


def test_two_requests_give_in_order_what_one_gives_to_the_bit(network):
    feeds = pictures(5)
    one = OpenVinoRequests(network(), "f32", threads=1).run(feeds)
    two = OpenVinoRequests(network(), "f32", threads=1, count=2).run(feeds)
    assert [each[0].tobytes() for each in two] == [each[0].tobytes() for each in one]
    assert len({each[0].tobytes() for each in two}) == 5


def test_results_stay_when_the_requests_run_again(network):
    requests = OpenVinoRequests(network(), "f32", threads=1, count=2)
    feeds = pictures(4)
    kept = requests.run(feeds[:2])
    before = [each[0].copy() for each in kept]
    requests.run(feeds[2:])
    assert all(np.array_equal(each[0], copy) for each, copy in zip(kept, before, strict=True))


@pytest.mark.parametrize("bad", [0, 1])
def test_a_request_that_fails_beside_another_is_told_of(network, bad):
    requests = OpenVinoRequests(network(), "f32", threads=1, count=2)
    feeds = pictures(2)
    feeds[bad] = pictures(1, (16, 32))[0]
    with pytest.raises(RuntimeError, match="shape"):
        requests.run(feeds)
