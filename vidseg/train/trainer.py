"""One network being trained: what a step does, and the state needed to continue later."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vidseg.data.label_sets import ClassSet, membership
from vidseg.errors import TrainingError
from vidseg.models import Mask2Former
from vidseg.runtimes.torch_runtime import on_device
from vidseg.train.batches import Batch
from vidseg.train.losses import SetLoss
from vidseg.train.schedule import WeightAverage, learning_rate, parameter_groups
from vidseg.train.settings import TrainSettings


class Trainer:
    """Holds weights, their average, and the optimizer; `step` counts what has been done.

    Random draws of a step depend on the seed and the step's number only, so no generator has to be kept.

    Args:
        model: trained in place, on `device`.
        precision: of the forward pass on CUDA; losses and weights are float32.
        sets: the sets of classes that label values from K on stand for.
    """

    def __init__(
        self,
        model: Mask2Former,
        settings: TrainSettings,
        device: torch.device,
        precision: torch.dtype = torch.float32,
        sets: Sequence[ClassSet] = (),
    ) -> None:
        # channels_last: 10 % faster per step on the CPU, and what a GPU's tensor cores want
        self.model = model.to(device=device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        for layer in model.backbone_layers[: settings.freeze]:
            layer.eval().requires_grad_(False)  # norms too keep what they know
        self.settings = settings
        self.step = 0
        self.average = WeightAverage(self.model, settings.ema)
        self.precision = precision
        self.intact = True
        """False while weights are changed: an error that comes just then leaves them neither old nor new."""
        self._device = device
        member = torch.from_numpy(membership(model.num_classes, sets))
        self._loss = SetLoss(
            model.num_classes, points=settings.points, semantic_weight=settings.semantic, member=member
        )
        self._optimizer = torch.optim.AdamW(parameter_groups(self.model, settings.weight_decay), lr=settings.lr)
        # only float16 loses small gradients; bfloat16 has the range of float32
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)

    @property
    def next_lr(self) -> float:
        """Learning rate of the step to come."""
        settings = self.settings
        return learning_rate(self.step, steps=settings.steps, warmup=settings.rising_steps, highest=settings.lr)

    def train_step(self, batch: Batch) -> dict[str, float]:
        """Make one step; the losses it saw by kind, summed over layers, and "loss", their sum.

        Raises:
            TrainingError: the loss or the gradient is not finite, in float16 many times in a row; the weights are as
                before.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = self.next_lr
        statistics = [buffer.clone() for buffer in self.model.buffers()]  # of batch norms: the forward pass moves them
        try:
            losses, total, norm = self._gradients(batch)
        except BaseException:
            for buffer, before in zip(self.model.buffers(), statistics, strict=True):
                buffer.copy_(before)
            raise
        self.intact = False
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self._scaler.is_enabled() and self._scaler.get_scale() < 1:  # halved at each step left out, from 65536 on
            raise TrainingError(f"gradient is {norm.item()} at step {self.step + 1}, even at the lowest loss scale")
        self.step += 1
        self.average.update(self.model, self.step)
        self.intact = True
        return _by_kind(losses, total)

    def _gradients(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Losses, their sum, and the length of the gradient, which lies shortened at the weights."""
        losses = self._losses(batch)
        total = torch.stack(list(losses.values())).sum()
        if not math.isfinite(total.item()):
            raise TrainingError(f"loss is {total.item()} at step {self.step + 1}")
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self._optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        # the scaler expects infinite gradients now and then: it leaves the step out and scales less
        if not self._scaler.is_enabled() and not math.isfinite(norm.item()):
            raise TrainingError(f"gradient is {norm.item()} at step {self.step + 1}")
        return losses, total, norm

    def state(self) -> dict[str, Any]:
        """All that the next step depends on: tensors (no copies) and plain values. "model" is the average."""
        return {
            "step": self.step,
            "model": self.average.state_dict(),
            "network": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.step = state["step"]
        self.model.load_state_dict(state["network"])
        self.average.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])

    def has_finite_weights(self) -> bool:
        """False once a weight or a batch-norm statistic is NaN or infinite."""
        return all(
            bool(torch.isfinite(tensor).all())
            for tensor in self.model.state_dict().values()
            if tensor.is_floating_point()
        )

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        def here(tensor: Tensor) -> Tensor:
            return on_device(tensor, self._device)

        images = here(batch.images).to(torch.float32, memory_format=torch.channels_last)
        with torch.autocast(self._device.type, self.precision, enabled=self.precision != torch.float32):
            output = self.model.forward_queries(images, aux=True)
        generator = torch.Generator(self._device).manual_seed(self.settings.seed * 2**31 + self.step)
        semantic = (here(batch.target_ids).long(), here(batch.target_probs))
        return self._loss(output, here(batch.labels), generator, semantic)


def _by_kind(losses: dict[str, Tensor], total: Tensor) -> dict[str, float]:
    """Sums over layers: "loss_ce", "loss_ce_0" and so on become "ce"."""
    values = torch.stack([total, *losses.values()]).tolist()  # one trip from the GPU for all
    kinds = {"loss": values[0]}
    for name, value in zip(losses, values[1:], strict=True):
        kind = name.split("_")[1]
        kinds[kind] = kinds.get(kind, 0.0) + value
    return kinds
