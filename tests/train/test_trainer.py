"""One training step: precision, gradients, and the optimizer."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.pretend_gpu import pretend_gpu, require_cuda
from vidseg.commands.train import pick_training_precision
from vidseg.errors import TrainingError
from vidseg.runtimes.torch_runtime import on_device
from vidseg.train.batches import Batch
from vidseg.train.initial import initial_model
from vidseg.train.settings import TrainSettings
from vidseg.train.trainer import Trainer

SETTINGS = TrainSettings(steps=20, batch=2, crop_hw=(64, 64), warmup=1, points=64, classes=7, lr=1e-3)


def batch() -> Batch:
    rng = np.random.default_rng(0)
    labels = torch.zeros(2, 64, 64, dtype=torch.uint8)
    labels[:, 20:], labels[:, :, 40:], labels[:, :5] = 3, 6, 255
    probs = torch.zeros(2, 3, 16, 16)
    probs[:, 0] = 1
    ids = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    ids[:, 0] = labels[:, 2::4, 2::4].clamp_max(6)
    return Batch(torch.from_numpy(rng.integers(0, 256, (2, 3, 64, 64), dtype=np.uint8)), labels, ids, probs)


def require(device):
    if device == "cuda":
        require_cuda()


def make(device="cpu", precision=torch.float32, settings=SETTINGS) -> Trainer:
    return Trainer(
        initial_model(settings.model, None, num_classes=7, seed=0), settings, torch.device(device), precision
    )


def test_a_step_moves_all_weights_and_reports_losses_by_kind():
    trainer = make()
    before = {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}
    assert trainer.next_lr == pytest.approx(1e-3)
    losses = trainer.train_step(batch())
    assert trainer.step == 1 and list(losses) == ["loss", "ce", "mask", "dice", "semantic"]
    assert losses["loss"] == pytest.approx(sum(losses.values()) - losses["loss"], rel=1e-5)
    moved = [name for name, parameter in trainer.model.named_parameters() if not torch.equal(parameter, before[name])]
    assert len(moved) == len(before)


def test_points_and_the_weight_of_the_semantic_loss_are_those_of_the_settings():
    assert (TrainSettings().points, TrainSettings().semantic) == (12_544, 4.0)
    first, heavier, cells = (
        make(settings=replace(SETTINGS, **given)).train_step(batch())
        for given in ({}, {"semantic": 8.0}, {"points": 0})
    )
    assert heavier["semantic"] == pytest.approx(2 * first["semantic"]) and heavier["mask"] == first["mask"]
    assert cells["mask"] != first["mask"]


@pytest.mark.parametrize(
    ("device", "precision", "left_out"),
    [
        ("cpu", torch.float32, 0),
        pytest.param("cuda", torch.float32, 0, marks=pytest.mark.cuda),
        pytest.param("cuda", torch.bfloat16, 0, marks=pytest.mark.cuda),
        pytest.param("cuda", torch.float16, 10, marks=pytest.mark.cuda),  # on the CPU 7, then the loss scale is small
    ],
)
def test_steps_on_one_batch_lower_its_loss(device, precision, left_out):
    require(device)
    trainer, same = make(device, precision), batch()
    losses = [trainer.train_step(same)["loss"] for _ in range(left_out + 8)]
    assert losses[-1] < 0.8 * losses[0]


def test_a_gpu_is_given_all_that_it_needs():
    """A pretended one, where the losses are those of the CPU; a batch may have nothing to learn from."""
    here, unlabelled = make(), batch()
    unlabelled.labels.fill_(255)
    with pretend_gpu() as ran:
        trainer = make("cuda")
        assert trainer.train_step(batch()) == pytest.approx(here.train_step(batch()), rel=1e-5)
        again = make("cuda")
        again.restore(copy.deepcopy(trainer.state()))
        assert trainer.train_step(batch()) == again.train_step(batch())
        assert math.isfinite(trainer.train_step(unlabelled)["loss"]) and trainer.has_finite_weights()
    assert {"conv2d", "grid_sample", "topk"} <= ran


def test_long_gradients_are_shortened():
    trainer = make()
    trainer.train_step(batch())
    norm = math.sqrt(sum(float((p.grad**2).sum()) for p in trainer.model.parameters()))
    assert norm == pytest.approx(SETTINGS.clip, rel=1e-3)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_float32_weights_and_comes_near_the_same_loss(precision):
    full, half = make(), make(precision=precision)
    expected, found = full.train_step(batch())["loss"], half.train_step(batch())["loss"]
    assert found == pytest.approx(expected, rel=0.03) and found != expected
    assert all(parameter.dtype == torch.float32 for parameter in half.model.parameters())
    assert half.has_finite_weights()


@pytest.mark.parametrize(("device", "waits"), [("cuda", False), ("cuda:1", False), ("mps", True), ("cpu", True)])
def test_only_copies_to_cuda_are_not_waited_for(device, waits):
    """MPS would read the memory of a batch that is gone."""

    class Copied:
        def to(self, device, *, non_blocking=False):
            return device, not non_blocking

    assert on_device(Copied(), torch.device(device)) == (torch.device(device), waits)


@pytest.mark.parametrize(
    ("capability", "hip", "precision"),
    [((7, 5), None, torch.float16), ((8, 0), None, torch.bfloat16), ((7, 0), "6.4", torch.bfloat16)],
)
def test_training_on_a_gpu_takes_bfloat16_only_where_it_is_not_emulated(monkeypatch, capability, hip, precision):
    asked = []
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: asked.append(device) or capability)
    device = torch.device("cuda:1")
    assert pick_training_precision("auto", device) == precision and set(asked) <= {device}


def test_a_restored_trainer_goes_on_as_the_first_would():
    first, second = make(), make(settings=SETTINGS)
    first.train_step(batch())
    second.restore(copy.deepcopy(first.state()))
    assert first.train_step(batch()) == second.train_step(batch())
    assert second.step == 2
    for key, tensor in first.average.state_dict().items():
        assert torch.equal(tensor, second.average.state_dict()[key])


def test_a_loss_that_is_no_number_leaves_the_weights_as_they_were():
    trainer = make()
    bad = batch()
    bad.target_probs[0, 0, 0, 0] = float("inf")
    before = {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}
    with pytest.raises(TrainingError, match="loss is inf at step 1"):
        trainer.train_step(bad)
    assert all(torch.equal(parameter, before[name]) for name, parameter in trainer.model.named_parameters())
    assert trainer.step == 0


def test_gradients_that_never_are_numbers_end_float16_training():
    trainer = make(precision=torch.float16)
    next(trainer.model.parameters()).register_hook(lambda gradient: gradient * math.nan)
    before = {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}
    with pytest.raises(TrainingError, match="gradient is nan at step 17, even at the lowest loss scale"):
        for _ in range(20):
            trainer.train_step(batch())
    assert all(torch.equal(parameter, before[name]) for name, parameter in trainer.model.named_parameters())


def test_one_gradient_that_is_no_number_is_left_out_in_float16():
    trainer = make(precision=torch.float16)
    hook = next(trainer.model.parameters()).register_hook(lambda gradient: gradient * math.inf)
    trainer.train_step(batch())
    hook.remove()
    before = next(trainer.model.parameters()).detach().clone()
    for _ in range(10):  # the first few are left out too, until the scale is small enough
        trainer.train_step(batch())
    assert trainer.step == 11 and not torch.equal(next(trainer.model.parameters()), before)
