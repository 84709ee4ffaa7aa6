"""What can run a network file besides the CPU, by the names that `--device` takes.

None of these is on the machines that this project is tested on: which device is asked of which engine is tested, what
it computes is not.
"""

from __future__ import annotations

from dataclasses import dataclass

from vidseg.runtimes.onnxruntime_import import import_onnxruntime
from vidseg.runtimes.openvino_import import openvino_core
from vidseg.runtimes.registry import installed_engines


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A device of an engine."""

    device: str
    """As `--device` has it."""
    engine: str
    """ "openvino" or "onnxruntime"."""
    target: str
    """What the engine calls it: a device of OpenVINO, or an execution provider."""
    number: int | None = None
    """Which of several."""

    @property
    def problem(self) -> str | None:
        """Why it cannot be used here; None where its engine finds it."""
        if self.engine not in installed_engines():
            return f"{self.engine} is not installed"
        found = found_targets(self.engine)
        if self.target in found:
            return None
        return f"{self.engine} finds {', '.join(found) or 'nothing'} here, but no {self.target}"


ACCELERATORS = {
    each.device: each
    for each in (
        Accelerator("intel:gpu", "openvino", "GPU"),
        Accelerator("intel:npu", "openvino", "NPU"),
        Accelerator("cuda", "onnxruntime", "CUDAExecutionProvider"),
        Accelerator("tensorrt", "onnxruntime", "TensorrtExecutionProvider"),
        Accelerator("coreml", "onnxruntime", "CoreMLExecutionProvider"),
        Accelerator("directml", "onnxruntime", "DmlExecutionProvider"),
    )
}


def accelerator(device: str) -> Accelerator | None:
    """The accelerator that `--device` names, such as "intel:gpu" or "cuda:1"; None: no such."""
    name, _, number = device.rpartition(":")
    if device in ACCELERATORS:
        return ACCELERATORS[device]
    if name == "cuda" and number.isascii() and number.isdecimal():
        known = ACCELERATORS[name]
        return Accelerator(device, known.engine, known.target, int(number))
    return None


def found_targets(engine: str) -> list[str]:
    """What OpenVINO or ONNX Runtime, which is installed, finds on this machine. Raises ImportError if it is damaged."""
    if engine == "openvino":  # GPU.0 and GPU.1 where there are several
        return list(dict.fromkeys(name.split(".")[0] for name in openvino_core().available_devices))
    return list(import_onnxruntime().get_available_providers())
