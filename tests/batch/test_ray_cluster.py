"""Batches on a Ray cluster of two nodes, one of which dies."""

import importlib.util
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from tests.batch.test_run import Reporter
from tests.video.clips import make_clip
from vidseg.batch import ray_cluster
from vidseg.batch.board import Board, Row
from vidseg.batch.job import Job
from vidseg.batch.prepare import HIDDEN_FOLDER, BatchOptions
from vidseg.batch.ray_cluster import Needs, _Progress, connected, needs_of
from vidseg.batch.run import run_batch
from vidseg.config import RunConfig
from vidseg.errors import ConfigError, DeviceError
from vidseg.signals import SIGNALS

NEEDS_RAY = [
    pytest.mark.ray,
    pytest.mark.timeout(240),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray (the extra `ray`)"),
]
FRAMES = 1500
SETTINGS = {"imgsz": 64, "runtime": "torch", "device": "cpu"}


def needs_ray(test):
    for mark in NEEDS_RAY:
        test = mark(test)
    return test


def node(alive=True, **resources):
    return {"Alive": alive, "Resources": resources}


def test_jobs_are_cut_so_that_every_node_gets_work():
    nodes = [node(CPU=16.0), node(CPU=2.0), node(CPU=64.0, alive=False), node(memory=1.0)]
    assert needs_of(RunConfig(), nodes) == Needs(2, 0.0)
    assert Needs(2, 0.0).slots(nodes) == 9
    assert needs_of(RunConfig(threads=8), nodes).slots(nodes) == 2
    assert needs_of(RunConfig(), [node(CPU=16.0)]).cpus == 4


def test_gpus_are_shared_where_there_are_any():
    nodes = [node(CPU=32.0, GPU=1.0), node(CPU=32.0)]
    needs = needs_of(RunConfig(), nodes)
    assert 0 < needs.gpus < 1 and needs.slots(nodes) == int(1 / needs.gpus)
    assert needs_of(RunConfig(device="cpu"), nodes).gpus == needs_of(RunConfig(runtime="openvino"), nodes).gpus == 0
    assert needs_of(RunConfig(device="cuda"), [node(CPU=4.0)]).slots([node(CPU=4.0)]) == 0


@pytest.mark.parametrize("address", ["recordings/", "host", "host:", ":1", "ray://host:1", "a/b:1"])
def test_a_word_that_is_no_address_is_refused(address):
    with pytest.raises(ConfigError, match="give local, auto or HOST:PORT"), connected(address):
        pass


def test_a_gpu_cannot_be_named(tmp_path):
    options = BatchOptions(inputs=("a.mp4",), out_dir=str(tmp_path), ray="auto")
    with pytest.raises(ConfigError, match="give --device cuda"):
        run_batch(RunConfig(device="cuda:0"), options, Reporter(), stdin=lambda: b"")


def test_a_cluster_that_does_not_answer_is_told_in_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # never listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DeviceError, match="no cluster answers") as told, connected(address):
            pass
    assert "\n" not in str(told.value)


def test_without_ray_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'vidseg\[ray\]'"), connected("auto"):
        pass


class StartingRay:
    """Ray as it starts: it takes the signals for itself, and its processes are children of this one."""

    def __init__(self, error=None):
        self.error, self.lives = error, None

    def init(self, address, **options):
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        if self.error:
            raise self.error

    def shutdown(self): ...


@pytest.mark.parametrize("error", [None, ConnectionError("refused")])
def test_the_signals_that_end_a_batch_are_the_batchs_again_once_ray_has_started(monkeypatch, error):
    noted, before = [], {number: signal.getsignal(number) for number in SIGNALS}
    monkeypatch.setattr(ray_cluster, "_import_ray", lambda: StartingRay(error))
    try:
        for number in SIGNALS:
            signal.signal(number, lambda number, frame: noted.append(number))
        ends = pytest.raises(DeviceError, match="refused") if error else nullcontext()
        with ends, connected("local"):
            for number in SIGNALS:
                signal.raise_signal(number)
        for number in SIGNALS:
            signal.raise_signal(number)
        assert noted == [*SIGNALS] * (1 if error else 2)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("taken", [signal.SIG_DFL, signal.SIG_IGN])  # by default; under nohup
def test_workers_of_a_local_cluster_outlive_a_closed_terminal(monkeypatch, taken):
    class Ray(StartingRay):
        def init(self, address, **options):
            self.lives = subprocess.run(["sh", "-c", "kill -HUP $$; exit 7"], check=False).returncode == 7

    ray, before = Ray(), signal.getsignal(signal.SIGHUP)
    monkeypatch.setattr(ray_cluster, "_import_ray", lambda: ray)
    try:
        signal.signal(signal.SIGHUP, taken)
        with connected("local"):
            assert ray.lives and signal.getsignal(signal.SIGHUP) == taken
    finally:
        signal.signal(signal.SIGHUP, before)


class NewsOnly:
    """As much of Ray as is needed to hear from workers."""

    def __init__(self, news):
        self.actor = SimpleNamespace(news=SimpleNamespace(remote=lambda: news))

    def remote(self, **options):
        return lambda cls: SimpleNamespace(remote=lambda: self.actor)

    def wait(self, refs, timeout):
        return refs, []

    def get(self, ref):
        return ref


def test_late_news_of_a_job_that_ended_change_nothing():
    jobs = [Job(number, "a.mp4", RunConfig(source="/a.mp4")) for number in (1, 2)]
    board = Board([Row(job, size=1, state="running") for job in jobs])
    board.rows[1].state, board.rows[1].log.delivered = "done", 179
    told = SimpleNamespace(delivered=164, total=179, rate=30.0)
    _Progress(NewsOnly({1: told, 2: told}), board).look()
    assert [row.log.delivered for row in board.rows.values()] == [179, 164]


class TwoNodes:
    """A cluster of two nodes with one CPU each."""

    def __init__(self):
        from ray.cluster_utils import Cluster

        arguments = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 * 2**20}
        # a node counts as dead after it has missed so many of these; by default that takes longer than the tests
        quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
        self._cluster = Cluster(initialize_head=True, head_node_args=arguments | {"_system_config": quick})
        self._add = lambda: self._cluster.add_node(**arguments)
        self._second = self._add()
        self.address = self._cluster.address

    def complete(self):
        """Start the second node again if a test has killed it."""
        if self._second is None:
            self._second = self._add()

    def kill_second(self):
        """Returns once the cluster knows it."""
        import ray

        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None
        deadline = time.monotonic() + 60
        while sum(node["Alive"] for node in ray.nodes()) > 1:
            assert time.monotonic() < deadline, "the cluster has not noticed that its node is dead"
            time.sleep(0.05)

    def stop(self):
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def cluster():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "token")  # nobody else on the network may use it
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        nodes = TwoNodes()
        yield nodes
        nodes.stop()


def clips(folder, count):
    folder.mkdir()
    for number in range(count):
        make_clip(folder / f"{number}.mp4", size=(64, 48), frames=FRAMES)


def batch(cluster, folder, look, reporter=None):
    reporter = reporter or Reporter()
    reporter.look = look
    options = BatchOptions(inputs=(str(folder / "rec"),), out_dir=str(folder / "out"), ray=cluster.address)
    return run_batch(RunConfig(**SETTINGS), options, reporter, stdin=lambda: b"")


def records(out):
    lines = (out / HIDDEN_FOLDER / "archive.jsonl").read_text().splitlines()[1:]
    return Counter((Path(record["source"]).name, record["state"]) for record in map(json.loads, lines))


def outputs(out):
    return sorted(path.name for path in out.rglob("*") if path.is_file() and path.suffix in (".mp4", ".part"))


def decoded_frames(path):
    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


@needs_ray
def test_a_node_dies_and_every_file_is_done_once(cluster, tmp_path, capfd):
    clips(tmp_path / "rec", 2)
    (tmp_path / "rec" / "bad.mp4").write_bytes(b"\0" * 1000)
    out = tmp_path / "out"
    killed, attempts = [], Counter()
    cluster.complete()

    def look(board):
        # a worker sees after a second or two that its node has died, and must not have finished by then
        begun = [row for row in board.running() if 0 < row.log.delivered < 0.5 * FRAMES]
        if len(begun) == 2 and not killed:  # one CPU each: one job is on the second node
            killed.append(True)
            cluster.kill_second()
        folders = (out / HIDDEN_FOLDER / "attempts").glob("*/*/*-*")
        now = Counter(folder.name.split("-")[0] for folder in folders)
        attempts.update({number: count - attempts[number] for number, count in now.items() if count > attempts[number]})

    reporter = Reporter()
    outcome = batch(cluster, tmp_path, look, reporter)
    assert killed and max(attempts.values()) == 2, "no job was taken up again"
    assert reporter.notes == ["a node is gone from the cluster, 1 left; files in progress there are restarted"], (
        "the user is told"
    )
    assert capfd.readouterr().out == "", "Ray's own account of it is not shown"
    states = {Path(item.name).name: item.state for item in outcome.report.files}
    names = [f"{number}.mp4" for number in range(2)]
    assert states == {"bad.mp4": "failed"} | dict.fromkeys(names, "done")
    assert outputs(out) == [f"{number}_annotated.mp4" for number in range(2)]
    assert [decoded_frames(out / name) for name in outputs(out)] == [FRAMES] * 2
    known = records(out)
    assert [known[name, "done"] for name in names] == [1] * 2 and known["bad.mp4", "failed"] == 1
    assert not (out / HIDDEN_FOLDER / "attempts").exists()


@needs_ray
@pytest.mark.slow
def test_two_signals_abort_and_the_same_batch_goes_on_later(cluster, tmp_path):
    clips(tmp_path / "rec", 2)
    out = tmp_path / "out"
    sent = []

    def interrupt(board):
        if len(sent) < 2 and any(row.log.delivered for row in board.running()):
            sent.append(os.kill(os.getpid(), signal.SIGINT))

    before = signal.getsignal(signal.SIGTERM)
    outcome = batch(cluster, tmp_path, interrupt)
    assert outcome.exit_code == 130 and signal.getsignal(signal.SIGTERM) == before
    assert "stopped" in outcome.report.totals() and "done" not in outcome.report.totals()
    assert outputs(out) == [] and not (out / HIDDEN_FOLDER / "attempts").exists()

    outcome = batch(cluster, tmp_path, lambda board: None)
    assert outcome.exit_code == 0 and outputs(out) == ["0_annotated.mp4", "1_annotated.mp4"]
    known = records(out)
    assert known["0.mp4", "done"] == known["1.mp4", "done"] == 1
