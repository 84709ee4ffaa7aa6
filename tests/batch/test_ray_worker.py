"""What a node does with a task, without Ray."""

import pickle
import socket
from dataclasses import replace

import pytest
import torch

import vidseg
from tests.batch.test_run import FakeRuntime
from tests.video.clips import make_clip
from vidseg.batch import ray_worker
from vidseg.batch.job import Job
from vidseg.batch.ray_progress import ProgressBoard, Told
from vidseg.batch.ray_worker import Task, do_task
from vidseg.config import RunConfig
from vidseg.wiring.engine import Engine
from vidseg.wiring.network_input import NetworkInput


@pytest.fixture
def task(tmp_path):
    source = make_clip(tmp_path / "in.mp4", size=(32, 32), frames=4)
    staging = tmp_path / "out" / "staging"
    staging.mkdir(parents=True)
    config = RunConfig(source=str(source), output=str(tmp_path / "out" / "v.mp4"))
    ray_worker._engine.cache_clear()
    return Task(Job(3, "in.mp4", config), RunConfig(), str(tmp_path / "out"), str(staging))


def do(task, tell=lambda number, told: None):
    return do_task(vidseg.__version__, pickle.dumps(task), tell)


def test_the_network_is_loaded_once_and_progress_is_told(task, monkeypatch):
    loaded, told = [], []

    def load(config, reporter):
        loaded.append(config)
        return Engine(config.model, FakeRuntime(), NetworkInput(32), torch.device("cpu"))

    monkeypatch.setattr(ray_worker, "load_engine", load)
    assert do(task, lambda number, what: told.append((number, what.total))).state == "done"
    again = replace(task, job=replace(task.job, config=replace(task.job.config, overwrite=True)))
    assert do(again).state == "done"
    assert loaded == [RunConfig()] and told[0] == (3, 4)


def test_another_version_is_refused_before_the_task_is_taken_apart():
    with pytest.raises(RuntimeError, match=r"has vidseg .*, the batch 9\.9; install the same version"):
        do_task("9.9", b"no pickle", lambda number, told: None)


def test_what_this_node_lacks_is_told_with_its_name(task, tmp_path):
    gone = replace(task, job=replace(task.job, config=replace(task.job.config, source=str(tmp_path / "gone.mp4"))))
    result = do(gone)
    assert (result.state, result.input_fault) == ("failed", False)
    assert f"does not exist on node {socket.gethostname()}" in result.reason
    result = do(replace(task, engine=RunConfig(weights=str(tmp_path / "gone.pth"))))
    assert result.state == "failed" and f"(on node {socket.gethostname()})" in result.reason


def test_news_are_told_once():
    board = ProgressBoard()
    board.tell(1, Told(1, 9, 2.0))
    board.tell(1, Told(5, 9, 2.0))
    assert board.news() == {1: Told(5, 9, 2.0)} and board.news() == {}
