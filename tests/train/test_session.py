"""Training runs in a folder: the result of a killed and resumed run, broken losses, what is written."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import weakref
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch

from tests.data.folders import make_dataset
from vidseg.data.folder import FolderDataset
from vidseg.errors import CheckpointError, ConfigError, TrainingError
from vidseg.frames import Frame
from vidseg.metrics import Scores
from vidseg.runtimes.loading import load_model
from vidseg.runtimes.model_format import InputFormat
from vidseg.train import session as session_module
from vidseg.train import trainer as trainer_module
from vidseg.train.checkpoint import load_state, save_state
from vidseg.train.initial import initial_model
from vidseg.train.session import TrainingSession, Validation
from vidseg.train.settings import TrainSettings
from vidseg.train.trainer import Trainer

CPU = torch.device("cpu")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> FolderDataset:
    return FolderDataset(make_dataset(tmp_path_factory.mktemp("data") / "set", 6, (64, 96), soft=True))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Watcher:
    """Keeps what was reported; calls back after each step."""

    def __init__(self, after=lambda done: None):
        self.losses: list[float] = []
        self.scores: list[tuple[int, Scores]] = []
        self._after = after

    def step(self, done, total, losses, lr, crops_per_second):
        self.losses.append(losses["loss"])
        self._after(done)

    def measured(self, step, result):
        self.scores.append((step, result))


def settings(**given) -> TrainSettings:
    return TrainSettings(
        **{"model": "fai-m2f-n-ade", "steps": 6, "batch": 2, "crop_hw": (64, 64), "warmup": 2, "points": 64, **given}
    )


def session(dataset, out, given: TrainSettings, **options) -> TrainingSession:
    out.mkdir(exist_ok=True)
    model = initial_model(given.model, None, num_classes=given.classes, seed=given.seed)
    return TrainingSession(Trainer(model, given, CPU), [dataset], out, device=CPU, **options)


def assert_same_run(a: Path, b: Path) -> None:
    """All weights, averages and optimizer states of two runs are equal to the last bit."""
    first, second = load_state(a / "last.pt"), load_state(b / "last.pt")
    assert first["step"] == second["step"] and first["history"] == second["history"]
    for part in ("network", "model"):
        assert all(torch.equal(first[part][key], second[part][key]) for key in first[part])
    for number, state in first["optimizer"]["state"].items():
        assert all(torch.equal(state[key], second["optimizer"]["state"][number][key]) for key in state)
    assert (a / "weights.safetensors").read_bytes() == (b / "weights.safetensors").read_bytes()


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.train.test_session import Watcher, session, settings
from vidseg.data.folder import FolderDataset
import torch

def die(done):
    if done == 5:
        os.kill(os.getpid(), signal.SIGKILL)

torch.set_num_threads(1)
session(FolderDataset(sys.argv[1]), Path(sys.argv[2]), settings(), save_every=2).run(Watcher(die))
"""


def test_a_run_killed_after_five_steps_and_resumed_gives_the_same_bits(dataset, tmp_path):
    assert session(dataset, tmp_path / "whole", settings(), save_every=2).run(Watcher())

    command = [sys.executable, "-c", KILLED, str(dataset.folder), str(tmp_path / "killed")]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert killed.returncode == -9, killed.stderr
    assert load_state(tmp_path / "killed" / "last.pt")["step"] == 4

    watcher = Watcher()
    assert session(dataset, tmp_path / "killed", settings(), save_every=2, resume=True).run(watcher)
    assert len(watcher.losses) == 2
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_a_stopped_run_saves_at_once_and_goes_on_with_reading_processes(dataset, tmp_path):
    assert session(dataset, tmp_path / "whole", settings()).run(Watcher())
    steps = []
    stopped = session(dataset, tmp_path / "stopped", settings())
    assert stopped.run(Watcher(steps.append), should_stop=lambda: len(steps) == 3) is False
    assert load_state(tmp_path / "stopped" / "last.pt")["step"] == 3
    assert session(dataset, tmp_path / "stopped", settings(), resume=True, workers=1).run(Watcher())
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


class Killed(BaseException):
    """Nothing that a run may catch."""


def test_what_was_learnt_is_saved_before_it_is_measured_and_resume_measures(dataset, tmp_path, monkeypatch):
    fed = InputFormat(short_side=48, multiple_of=8)
    options = {"validation": Validation((dataset,), None, 64, fed), "validate_every": 2}
    assert session(dataset, tmp_path / "whole", settings(), **options).run(Watcher())

    def fails(segmenter, *_, **__):
        assert segmenter.prepare([Frame(np.zeros((96, 144, 3), np.uint8), 0, 0, Fraction(1))]).shape[2:] == (48, 72)
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(session_module, "evaluate", fails)
        with pytest.raises(Killed):
            session(dataset, tmp_path / "killed", settings(), **options).run(Watcher())
    assert load_state(tmp_path / "killed" / "last.pt")["step"] == 2
    watcher = Watcher()
    assert session(dataset, tmp_path / "killed", settings(), resume=True, **options).run(watcher)
    assert [step for step, _ in watcher.scores] == [2, 4, 6] and len(watcher.losses) == 4
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_resuming_at_the_last_step_writes_all_files_again(dataset, tmp_path):
    out, given = tmp_path / "run", settings(steps=2)
    session(dataset, out, given).run(Watcher())
    files = {path.name: path.read_bytes() for path in out.iterdir()}
    (out / "weights.safetensors").write_bytes(b"of an earlier step")
    (out / "history.json").unlink()
    (out / "curves.png").unlink()
    watcher = Watcher()
    assert session(dataset, out, given, resume=True).run(watcher) and watcher.losses == []
    for name in ("weights.safetensors", "history.json", "curves.png"):
        assert (out / name).read_bytes() == files[name]


def test_signals_for_the_whole_group_do_not_reach_the_reading_processes_but_they_can_be_ended(dataset, tmp_path):
    """The trainer heeds them; a worker that died would be a RuntimeError of the loader."""
    groups, left = [], []

    def look(done):
        if done == 2:  # both have begun
            left.extend(multiprocessing.active_children())
            groups.extend(os.getpgid(process.pid) for process in left)
            raise KeyError("an error, whose traceback keeps the loader alive")

    with pytest.raises(KeyError) as caught:
        session(dataset, tmp_path / "run", settings(steps=12), workers=2).run(Watcher(look))
    assert caught.tb is not None and len(set(groups)) == 2 and os.getpgrp() not in groups
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler raises where a reading process dies
    for process in left:  # as Python does at its exit
        process.terminate()
        process.join(30)
        assert not process.is_alive()
    signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_lost_while_training_is_one_line_and_costs_no_step(dataset, tmp_path, workers):
    assert session(dataset, tmp_path / "whole", settings(steps=12)).run(Watcher())
    lost = FolderDataset(shutil.copytree(dataset.folder, tmp_path / "lost"))
    labels = lost.folder / "labels"

    def lose(done):
        if done == 2:
            labels.rename(lost.folder / "gone")

    watcher = Watcher(lose)
    with pytest.raises(ConfigError) as caught:
        session(lost, tmp_path / "run", settings(steps=12), workers=workers).run(watcher)
    done = len(watcher.losses)
    assert 2 <= done < 12  # a worker reads ahead
    assert "\n" not in str(caught.value) and f"{labels}/" in str(caught.value)
    assert str(caught.value).endswith(
        f"repair it, or remove it with its image; once restored, --resume continues after step {done}"
    )
    (lost.folder / "gone").rename(labels)
    assert session(lost, tmp_path / "run", settings(steps=12), resume=True).run(Watcher())
    assert_same_run(tmp_path / "whole", tmp_path / "run")


class Fails(Watcher):
    """After two steps a function of torch raises an error."""

    def __init__(self, monkeypatch, owner, name, error):
        super().__init__(lambda done: monkeypatch.setattr(owner, name, self.fail) if done == 2 else None)
        self.error = error

    def fail(self, *_, **__):
        raise self.error


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried\nmore"), RuntimeError("a bug")])
def test_an_error_in_the_middle_of_a_step_costs_no_step(dataset, tmp_path, monkeypatch, error):
    assert session(dataset, tmp_path / "whole", settings()).run(Watcher())
    out = tmp_path / "run"
    with monkeypatch.context() as broken, pytest.raises((TrainingError, RuntimeError)) as caught:
        session(dataset, out, settings()).run(Fails(broken, torch.nn.utils, "clip_grad_norm_", error))
    if isinstance(error, torch.OutOfMemoryError):
        assert str(caught.value) == (
            "CUDA out of memory; a smaller --batch or --crop takes less, in another --out with "
            f"--init {out / 'last.pt'} (step 2); or --resume as it is"
        )
    else:
        assert caught.value is error
    assert load_state(out / "last.pt")["step"] == 2
    assert session(dataset, out, settings(), resume=True).run(Watcher())
    assert_same_run(tmp_path / "whole", out)


def test_what_filled_the_gpu_is_let_go_before_the_steps_are_saved(dataset, tmp_path, monkeypatch):
    held, gone = [], []

    def fail(*_, **__):
        activations = torch.zeros(3)
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory")

    def save(*_):
        gone.extend(reference() is None for reference in held)

    monkeypatch.setattr(session_module, "save_state", save)
    fails = Watcher(lambda done: monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", fail))
    with pytest.raises(TrainingError, match="out of memory"):
        session(dataset, tmp_path / "run", settings()).run(fails)
    assert gone == [True]


def test_weights_that_an_error_left_half_changed_are_not_saved(dataset, tmp_path, monkeypatch):
    run = session(dataset, tmp_path / "run", settings())
    error = torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(TrainingError, match=r"^CUDA out of memory; a smaller --batch or --crop takes less$"):
        run.run(Fails(monkeypatch, run._trainer._optimizer, "step", error))
    assert not (tmp_path / "run" / "last.pt").exists()


def test_another_seed_gives_other_weights(dataset, tmp_path):
    for seed in (0, 1):
        session(dataset, tmp_path / str(seed), settings(steps=1, seed=seed)).run(Watcher())
    first, second = (load_state(tmp_path / name / "last.pt")["network"] for name in "01")
    assert any(not torch.equal(first[key], second[key]) for key in first)


def test_a_folder_with_a_run_is_not_overwritten_and_resumes_only_as_it_began(dataset, tmp_path):
    out = tmp_path / "run"
    session(dataset, out, settings(steps=1)).run(Watcher())
    with pytest.raises(ConfigError, match="contains a training run; continue it with --resume"):
        session(dataset, out, settings(steps=1))
    with pytest.raises(ConfigError, match=r"--lr was 0\.001 and is now 0\.002"):
        session(dataset, out, settings(steps=1, lr=0.002), resume=True)
    fewer = FolderDataset(dataset.folder, keep=lambda number, _: number > 0)
    with pytest.raises(ConfigError, match=r"trained on \[6\] images per dataset, now there are \[5\]"):
        session(fewer, out, settings(steps=1), resume=True)
    assert session(dataset, out, settings(steps=1), resume=True).run(Watcher())  # nothing left to do


def test_a_run_goes_on_only_with_its_pictures_in_their_order(dataset, tmp_path):
    other = FolderDataset(make_dataset(tmp_path / "other", 6, (64, 96), seed=1))  # of the same stems
    given = settings(steps=1)

    def run(out, *datasets, **options):
        model = initial_model(given.model, None, num_classes=150, seed=0)
        (tmp_path / out).mkdir(exist_ok=True)
        TrainingSession(Trainer(model, given, CPU), datasets, tmp_path / out, device=CPU, **options).run(Watcher())

    run("one", dataset)
    run("two", dataset, other)
    for out, datasets, number in (("one", [other], 1), ("two", [other, dataset], 1), ("two", [dataset, dataset], 2)):
        text = (
            f"{datasets[number - 1].folder} contains other files than dataset {number} of the run; give the same data"
        )
        with pytest.raises(ConfigError, match=text):
            run(out, *datasets, resume=True)
    moved = FolderDataset(shutil.copytree(dataset.folder, tmp_path / "moved"))
    run("one", moved, resume=True)


def test_a_run_goes_on_only_with_its_precision_and_its_start(dataset, tmp_path):
    given, out = settings(steps=1), tmp_path / "run"
    session(dataset, out, given, init="mine.pt").run(Watcher())
    rounded = Trainer(initial_model(given.model, None, num_classes=150, seed=0), given, CPU, torch.bfloat16)
    with pytest.raises(ConfigError, match=r"last\.pt: --precision was float32 and is now bfloat16; give the options"):
        TrainingSession(rounded, [dataset], out, device=CPU, resume=True)
    for _ in range(2):  # and what is not said again is not forgotten
        with pytest.raises(ConfigError, match=r"began with mine\.pt, not with --init other\.pt; leave out --init"):
            session(dataset, out, given, resume=True, init="other.pt")
        session(dataset, out, given, resume=True).run(Watcher())
    session(dataset, out, given, resume=True, init="mine.pt")

    session(dataset, tmp_path / "random", given).run(Watcher())
    with pytest.raises(ConfigError, match="began with random weights"):
        session(dataset, tmp_path / "random", given, resume=True, init="mine.pt")


def test_a_checkpoint_of_older_versions_goes_on(dataset, tmp_path):
    given, out = settings(steps=2), tmp_path / "run"
    session(dataset, out, given).run(Watcher(), should_stop=lambda: True)
    state = load_state(out / "last.pt")
    del state["origin"]
    save_state(out / "last.pt", state)
    assert session(dataset, out, given, resume=True, init="any.pt").run(Watcher())
    assert session(dataset, out, given, resume=True, init="unknown.pt").run(Watcher())


def test_a_file_that_is_no_training_state_is_refused(dataset, tmp_path):
    path = tmp_path / "last.pt"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(CheckpointError, match="not a training checkpoint"):
        session(dataset, tmp_path, settings(), resume=True)
    torch.save({"model": {}}, path)
    with pytest.raises(CheckpointError, match="give them as --init"):
        session(dataset, tmp_path, settings(), resume=True)


def test_nan_loss_stops_says_where_and_keeps_the_last_good_checkpoint(dataset, tmp_path, monkeypatch):
    rate = trainer_module.learning_rate
    monkeypatch.setattr(
        trainer_module, "learning_rate", lambda step, **rest: math.nan if step == 4 else rate(step, **rest)
    )
    watcher = Watcher()
    with pytest.raises(TrainingError) as caught:
        session(dataset, tmp_path / "run", settings(steps=9), save_every=2).run(watcher)
    path = tmp_path / "run" / "last.pt"
    assert str(caught.value) == (
        f"loss is nan at step 6; the last good checkpoint is {path} (step 4): lower --lr and start from it with --init"
    )
    assert len(watcher.losses) == 5
    state = load_state(path)
    assert all(torch.isfinite(tensor).all() for tensor in state["network"].values())
    initial_model("fai-m2f-n-ade", path, num_classes=150, seed=0)  # usable as it says


def test_weights_that_are_not_finite_are_not_saved(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer_module, "learning_rate", lambda step, **_: math.nan)
    with pytest.raises(TrainingError, match="weights are not finite after step 1; there is no checkpoint yet"):
        session(dataset, tmp_path / "run", settings(), save_every=1).run(Watcher())
    assert list((tmp_path / "run").iterdir()) == []


def test_weights_too_large_for_half_precision_are_not_saved(dataset, tmp_path):
    out, key = tmp_path / "run", "head.predictor.query_feat.weight"
    run = session(dataset, out, settings(), save_every=1)

    def grow(done):
        if done == 2:
            run._trainer.average.state_dict()[key][0, 0] = 1e5

    with pytest.raises(TrainingError, match=rf"after step 2 '{key}' contains .* checkpoint is .*last\.pt \(step 1\)"):
        run.run(Watcher(grow))
    assert load_state(out / "last.pt")["step"] == 1
    assert all(torch.isfinite(t).all() for t in safetensors.torch.load_file(out / "weights.safetensors").values())


def test_a_few_steps_overfit_a_few_pictures_and_the_files_can_be_used(dataset, tmp_path):
    given = settings(steps=45, batch=4, lr=4e-3, warmup=5, ema=0.8, classes=30, points=0, cover=0.9)
    validation = Validation((dataset,), None, 96)
    watcher = Watcher()
    out = tmp_path / "run"
    assert session(dataset, out, given, validation=validation, validate_every=20).run(watcher)
    first, last = sum(watcher.losses[:3]) / 3, sum(watcher.losses[-3:]) / 3
    assert last < 0.45 * first
    assert [step for step, _ in watcher.scores] == [20, 40, 45]
    assert watcher.scores[-1][1].mean_iou > 0.6

    exported = safetensors.torch.load_file(out / "weights.safetensors")
    assert {tensor.dtype for tensor in exported.values()} == {torch.float16}
    assert not any("criterion" in key or "num_batches" in key for key in exported)
    model = load_model("fai-m2f-n-ade", out / "weights.safetensors", num_classes=30)
    average = load_state(out / "last.pt")["model"]
    for key, tensor in model.state_dict().items():
        if key in exported:
            torch.testing.assert_close(tensor, average[key], rtol=1e-3, atol=1e-6)

    history = json.loads((out / "history.json").read_text())
    assert [row["step"] for row in history if "loss" in row] == list(range(1, 46))
    assert {"ce", "mask", "dice", "semantic", "lr"} <= history[0].keys()
    assert history[-1]["miou"] == watcher.scores[-1][1].mean_iou
    assert cv2.imread(str(out / "curves.png")).shape == (480, 960, 3)
    assert sorted(path.name for path in out.iterdir()) == [
        *("curves.png", "history.json", "last.pt", "weights.safetensors"),
    ]


@pytest.mark.parametrize("name", ["bisenetformer-s-ade"])
def test_models_with_another_mask_stride_train_too(dataset, tmp_path, name):
    watcher = Watcher()
    assert session(dataset, tmp_path / "run", settings(model=name, steps=1), save_every=9).run(watcher)
    assert math.isfinite(watcher.losses[0])


def test_an_interrupted_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    save_state(path, {"old": torch.ones(3)})
    before = path.read_bytes()

    def fails(state, target):
        Path(target).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(KeyboardInterrupt):
        save_state(path, {"new": torch.ones(3)})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    path = tmp_path / "nano.pt"
    torch.save(initial_model("fai-m2f-n-ade", None, num_classes=7, seed=3).state_dict(), path)
    return path


def test_init_takes_over_all_weights(checkpoint):
    said = []
    model = initial_model("fai-m2f-n-ade", checkpoint, num_classes=7, seed=0, announce=said.append)
    stored = torch.load(checkpoint, weights_only=True)
    assert said == [] and all(torch.equal(tensor, stored[key]) for key, tensor in model.state_dict().items())


def test_init_with_another_class_count_keeps_all_but_the_classifier(checkpoint):
    said = []
    model = initial_model("fai-m2f-n-ade", checkpoint, num_classes=11, seed=0, announce=said.append)
    stored = torch.load(checkpoint, weights_only=True)
    changed = {key for key, tensor in model.state_dict().items() if tensor.shape != stored[key].shape}
    assert model.num_classes == 11 and said == [
        f"{checkpoint} has 7 classes: the classifier for 11 is initialised randomly"
    ]
    assert all("classifier" in key or "criterion" in key for key in changed) and changed
    assert all(torch.equal(t, stored[key]) for key, t in model.state_dict().items() if key not in changed)


def test_init_from_another_architecture_is_refused(checkpoint):
    with pytest.raises(CheckpointError, match="it fits fai-m2f-n-ade: use -m fai-m2f-n-ade"):
        initial_model("fai-m2f-m-ade", checkpoint, num_classes=150, seed=0)


def test_random_weights_follow_the_seed_and_leave_the_global_generator_alone():
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    a, b, c = (initial_model("fai-m2f-n-ade", None, num_classes=7, seed=s).state_dict() for s in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(a[key], b[key]) for key in a) and any(not torch.equal(a[key], c[key]) for key in a)
