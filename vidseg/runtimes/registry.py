"""Which inference engines there are, which of them are installed, and the one to take.

Nothing heavy is imported before an engine is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from vidseg.errors import ConfigError, DeviceError, first_line
from vidseg.gpu import gpu_problem
from vidseg.runtimes.base import Runtime, precision_name
from vidseg.runtimes.engine_cache import Parts
from vidseg.runtimes.onnxruntime_import import import_onnxruntime
from vidseg.runtimes.openvino_import import import_openvino
from vidseg.runtimes.torch_runtime import TorchRuntime, pick_device


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """What is true of an engine whether it is installed or not."""

    name: str
    modules: tuple[str, ...]
    """What has to be importable."""
    devices: tuple[str, ...]
    precisions: tuple[torch.dtype, ...]
    automatic: bool = True
    """False: has to be asked for by name."""


ENGINES = {
    engine.name: engine
    for engine in (
        # the order in which "auto" tries them: fastest first, see benchmarks/runtimes.py
        EngineEntry("openvino", ("openvino",), ("cpu",), (torch.float32, torch.bfloat16, torch.int8)),
        EngineEntry("onnxruntime", ("onnxruntime", "onnx"), ("cpu",), (torch.float32,)),
        EngineEntry("torch", ("torch",), ("cpu", "cuda", "mps"), (torch.float32, torch.float16, torch.bfloat16)),
        # needs a compiler on the machine, and minutes before the first picture; not measured on CUDA
        EngineEntry(
            "torch-compile",
            ("torch",),
            ("cpu", "cuda"),
            (torch.float32, torch.float16, torch.bfloat16),
            automatic=False,
        ),
    )
}


def installed_engines() -> dict[str, str]:
    """Name and version of the engines that are installed, fastest first."""
    return {name: _version(engine.modules[0]) for name, engine in ENGINES.items() if is_installed(name)}


def is_installed(name: str) -> bool:
    """True if the engine is installed. Cheap, unlike `installed_engines`, which reads the versions from disk."""
    return all(find_spec(module) is not None for module in ENGINES[name].modules)


def import_problem(name: str) -> str | None:
    """Why the engine, which is installed, cannot be imported; None if it can. Imports it."""
    try:
        for module in ENGINES[name].modules:
            silent = {"openvino": import_openvino, "onnxruntime": import_onnxruntime}.get(module)
            import_module(module) if silent is None else silent()
    except Exception as error:  # a damaged installation may raise anything
        return first_line(error)
    return None


def reinstall_advice(name: str) -> str:
    """What to do about an engine that is installed and cannot be imported."""
    return f"try pip install --force-reinstall 'vidseg[{name}]'"


def runtime_device(runtime: str, device: str) -> torch.device:
    """The device of a run: as `pick_device`, but "auto" is the CPU where the engine named can do nothing else.

    Raises:
        DeviceError: the engine is not installed, or there is no such device, or they do not go together.
    """
    if runtime == "auto":
        return pick_device(device)
    engine = ENGINES[runtime]
    if not is_installed(runtime):
        raise DeviceError(
            f"--runtime {runtime}: not installed; get it with pip install 'vidseg[{runtime}]', or use --runtime auto"
        )
    picked = pick_device("cpu" if device == "auto" and engine.devices == ("cpu",) else device)
    if picked.type not in engine.devices:
        raise DeviceError(
            f"--runtime {runtime}: runs on {', '.join(engine.devices)} only, not on {picked}; "
            "give -d cpu or --runtime torch"
        )
    return picked


def fitting_engines(device: torch.device, precision: torch.dtype) -> list[str]:
    """The engines that know the device and the precision, installed or not; also those that "auto" never takes."""
    return [name for name, known in ENGINES.items() if device.type in known.devices and precision in known.precisions]


def candidates(runtime: str, device: torch.device, precision: torch.dtype) -> list[str]:
    """The engines to try, best first: the one named, or for "auto" all that are installed and fit.

    Raises:
        ConfigError: the engine named does not know the precision, or none that is installed does.
    """
    if runtime == "auto":
        fitting = [name for name in fitting_engines(device, precision) if ENGINES[name].automatic]
        installed = [name for name in fitting if is_installed(name)]
        if not installed:
            needed = f"needs pip install 'vidseg[{fitting[0]}]'" if fitting else f"is not offered on {device.type}"
            raise ConfigError(f"--precision {precision_name(precision)}: {needed}")
        return installed
    known = ENGINES[runtime].precisions
    if precision not in known:
        names = ", ".join(precision_name(dtype) for dtype in known)
        raise ConfigError(f"--precision {precision_name(precision)}: --runtime {runtime} supports {names}")
    return [runtime]


def create_runtime(
    runtime: str,
    model: nn.Module,
    model_name: str,
    *,
    device: torch.device,
    precision: torch.dtype = torch.float32,
    threads: int | None = None,
    requests: int = 1,
    size_hw: tuple[int, int] | None = None,
    quantized: Parts | None = None,
    cache_folder: Path | None = None,
    announce: Callable[[str], None] = lambda text: None,
) -> Runtime:
    """The engine named, ready to run the network; with "auto" the first one that can be made.

    Args:
        threads: CPU threads of the network; None leaves the choice to the engine. torch's are set for the whole
            process, with `torch.set_num_threads`.
        requests: images that OpenVINO works on at once; several share the cores, whatever `threads` says.
        size_hw: height and width of most of the images, where they are known.
        quantized: the network in int8, for that precision; see `quantized.find_quantized`.
        cache_folder: for converted networks, instead of the one in the user's cache.
        announce: told when a network is converted, and when "auto" passes over an engine that fails.
    Raises:
        ConfigError: the engine does not know the precision.
        DeviceError: the engine named cannot be loaded, or none that knows the precision can.
    """
    names = candidates(runtime, device, precision)
    for name in names:
        try:
            return _create(
                name,
                model,
                model_name,
                device,
                precision,
                threads,
                requests,
                size_hw,
                quantized,
                cache_folder,
                announce,
            )
        except ImportError as error:
            if runtime != "auto" or name == names[-1]:
                given = f"--runtime {name}" if runtime != "auto" else f"--precision {precision_name(precision)}: {name}"
                raise DeviceError(
                    f"{given}: installed, but cannot be loaded ({first_line(error)}); {reinstall_advice(name)}"
                ) from error
            announce(f"{name} cannot be loaded ({first_line(error)}); skipping it")
        except Exception as error:
            if (problem := gpu_problem(error)) is not None:
                raise DeviceError(f"--device {device}: {problem}") from error
            # nobody asked for this engine by name: that it fails must not end the run while another one works
            if runtime != "auto" or name == names[-1]:
                raise
            announce(f"{name} failed with {model_name} ({first_line(error)}); skipping it")
    raise AssertionError("there is always a candidate")


def _create(
    name: str,
    model: nn.Module,
    model_name: str,
    device: torch.device,
    precision: torch.dtype,
    threads: int | None,
    requests: int,
    size_hw: tuple[int, int] | None,
    quantized: Parts | None,
    cache_folder: Path | None,
    announce: Callable[[str], None],
) -> Runtime:
    if name == "openvino":
        from vidseg.runtimes.openvino_runtime import OpenVinoRuntime

        return OpenVinoRuntime(
            model,
            model_name,
            precision=precision,
            threads=threads,
            requests=requests,
            size_hw=size_hw,
            quantized=quantized,
            cache_folder=cache_folder,
            announce=announce,
        )
    if name == "onnxruntime":
        from vidseg.runtimes.onnxruntime_runtime import OnnxRuntime

        return OnnxRuntime(model, model_name, threads=threads, cache_folder=cache_folder, announce=announce)
    if device.type == "cuda" and precision == torch.float32:
        torch.backends.cudnn.allow_tf32 = False  # else convolutions round to ten bits, as float16 does
    if name == "torch-compile":
        from vidseg.runtimes.compiled_runtime import CompiledRuntime

        return CompiledRuntime(model, device, precision, cache_folder=cache_folder, announce=announce)
    return TorchRuntime(model, device, precision)


def _version(module: str) -> str:
    try:
        return version(module)
    except PackageNotFoundError:  # a distribution of another name, e.g. onnxruntime-gpu
        return "unknown version"
