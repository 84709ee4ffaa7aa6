"""Eager PyTorch: works everywhere, and is the reference for the other engines."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from vidseg.errors import ConfigError, DeviceError, first_line
from vidseg.gpu import gpu_problem
from vidseg.runtimes.base import precision_name
from vidseg.runtimes.fold import fold_batch_norms

PRECISIONS = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int8": torch.int8,  # not of this engine
}


def has_cuda() -> bool:
    """Whether CUDA can be used. What torch warns of a driver that is too old, `unused_gpu` says in a line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.cuda.is_available()


def unused_gpu() -> str | None:
    """Why a GPU that the driver finds cannot be used, in one line; None where there is none, or it can."""
    if not torch.cuda.device_count() or has_cuda():
        return None
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except Exception as error:
        return gpu_problem(error) or first_line(error)
    return None


def pick_device(name: str) -> torch.device:
    """The device of a name such as "auto", "cpu", "cuda", "cuda:1" or "mps". "auto" takes CUDA, then MPS, then the CPU.

    Raises:
        DeviceError: there is no such device on this machine.
    """
    if name == "auto":
        if has_cuda():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    name = f"cuda:{name}" if name.isascii() and name.isdecimal() else name
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"--device {name}: unknown device; accepted: auto, cpu, cuda, cuda:N, mps")
    count = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}.get(device.type, 1)
    if (device.index or 0) >= count:
        found = f"{count} found" if count else "none found"
        if device.type == "cuda" and not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
            found += ", this PyTorch is built without CUDA"
        raise DeviceError(
            f"--device {name}: no such {device.type} device here ({found}); `vidseg doctor` lists devices"
        )
    return device


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """The number format of a name; "auto" is float16 on CUDA and float32 elsewhere.

    Raises:
        ConfigError: half precision on a device that gains nothing from it.
    """
    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if name == "half":
        return torch.bfloat16 if device.type == "cpu" else torch.float16
    if name == "float16" and device.type == "cpu":
        raise ConfigError("--precision float16 needs a GPU; on the CPU use float32, or --half for bfloat16")
    return PRECISIONS[name]


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The same on the device. Only CUDA is not waited for.

    It has read pageable memory when the call returns, and keeps pinned memory until it has. MPS reads the memory later,
    when something else may be in it (pytorch issues 139550, 189690).
    """
    return tensor.to(device, non_blocking=device.type == "cuda")


def for_inference(model: nn.Module, device: torch.device, precision: torch.dtype) -> Any:
    """A copy of the model on the device, for autocast in this precision.

    Weights that autocast would convert for every picture, with a kernel for each, are in the precision already: the
    results are the same to the last bit.
    """
    # channels_last: 164 -> 140 ms for the s model at 512x512 on 2 cores
    folded = fold_batch_norms(model).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    for layer in folded.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.to(precision)
    return folded


def refuse_overflow(outputs: tuple[Tensor, ...], precision: torch.dtype) -> None:
    """Raises ConfigError where float16, whose largest number is 65504, does not hold what the network computes."""
    if precision == torch.float16 and not all(bool(each.isfinite().all()) for each in outputs):
        raise ConfigError(
            "--precision float16: this network computes numbers that are too large for it; "
            "give --precision bfloat16 or float32"
        )


class TorchRuntime:
    """Satisfies `Runtime` with a module that has `forward_queries`, e.g. from `vidseg.models.create_model`."""

    def __init__(self, model: nn.Module, device: torch.device, precision: torch.dtype = torch.float32) -> None:
        self._model = for_inference(model, device, precision)
        self.name = f"torch, {device}, {precision_name(precision)}"
        self.device = device
        self._precision = precision
        self._proven = False

    @torch.inference_mode()
    def run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = on_device(images, self.device).to(torch.float32, memory_format=torch.channels_last)
        with torch.autocast(self.device.type, self._precision, enabled=self._precision != torch.float32):
            out = self._model.forward_queries(x)
        class_logits, mask_logits = out.class_logits.float(), out.mask_logits.float()
        if not self._proven:  # once: on a GPU it takes waiting for the result
            refuse_overflow((class_logits, mask_logits), self._precision)
            self._proven = True
        return class_logits, mask_logits
