"""Network files opened by the engine that reads them: named arrays in, named arrays out.

Importing this file imports none of the engines but torch.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt
import torch

from vidseg.errors import ConfigError, ModelError, all_in_one_line
from vidseg.runtimes.accelerators import Accelerator
from vidseg.runtimes.base import Running, precision_name
from vidseg.runtimes.onnxruntime_import import import_onnxruntime
from vidseg.runtimes.openvino_import import import_openvino, openvino_core
from vidseg.runtimes.openvino_requests import OpenVinoRequests, joined
from vidseg.runtimes.ports import Port, openvino_model, openvino_port
from vidseg.runtimes.registry import ENGINES, is_installed

Array = npt.NDArray[Any]
READERS = {
    **{".onnx": ("openvino", "onnxruntime"), ".xml": ("openvino",), ".tflite": ("openvino",)},
    ".torchscript": ("torch",),
}
"""Engines that read a file of this ending; the order in which "auto" tries them."""

_GIT_LFS = b"version https://git-lfs"
_ONNX_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


class Session(Protocol):
    """A network that is ready to run. Called by one thread. Everything lies on the CPU."""

    @property
    def name(self) -> str:
        """For people, e.g. "onnxruntime 1.32.0, cpu, float32"."""
        ...

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Empty where the file does not say."""
        ...

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Empty where the file does not say."""
        ...

    def run(self, feed: Mapping[str, Array], output_names: Sequence[str]) -> list[Array]:
        """The outputs of these names for inputs by name, in the shapes and types of `inputs` and `outputs`."""
        ...

    def run_each(self, feeds: Sequence[Mapping[str, Array]], output_names: Sequence[str]) -> list[Array]:
        """The same for several inputs of one shape, at once where the engine can; each output holds those of all."""
        ...


class OnnxSession:
    """ONNX Runtime on the CPU, or an accelerator. `network` is a path or the content of a file."""

    def __init__(
        self, network: Path | bytes, *, threads: int | None = None, accelerator: Accelerator | None = None
    ) -> None:
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what it raises says it too, in the one line that is shown
        if threads is not None:
            options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as in `OnnxRuntime`
        content = str(network) if isinstance(network, Path) else network
        providers: list[Any] = ["CPUExecutionProvider"]  # takes the layers that the other one lacks
        if accelerator is not None:
            chosen = {} if accelerator.number is None else {"device_id": accelerator.number}
            providers.insert(0, (accelerator.target, chosen))
        # by itself it would print on standard output that a device fails, and go on without it, even amid a run
        self._session = onnxruntime.InferenceSession(content, options, providers=providers, enable_fallback=0)
        if accelerator is not None and accelerator.target not in self._session.get_providers():
            raise ModelError(f"{accelerator.target} does not start")  # ONNX Runtime goes on without it
        device = "cpu" if accelerator is None else accelerator.device
        self.name = f"onnxruntime {onnxruntime.__version__}, {device}, float32"
        self.inputs = tuple(map(_onnx_port, self._session.get_inputs()))
        self.outputs = tuple(map(_onnx_port, self._session.get_outputs()))

    def run(self, feed: Mapping[str, Array], output_names: Sequence[str]) -> list[Array]:
        found: list[Array] = self._session.run(list(output_names), dict(feed))
        return found

    def run_each(self, feeds: Sequence[Mapping[str, Array]], output_names: Sequence[str]) -> list[Array]:
        return joined([self.run(feed, output_names) for feed in feeds])


class OpenVinoSession:
    """OpenVINO on the CPU, or an accelerator, for ONNX and for its own files.

    Args:
        network: a path or the content of a file.
        weights: content of the .bin that belongs to the content of an .xml.
        threads, requests: as in `OpenVinoRequests`.
    """

    def __init__(
        self,
        network: Path | bytes,
        weights: bytes | None = None,
        *,
        precision: torch.dtype = torch.float32,
        threads: int | None = None,
        requests: int = 1,
        accelerator: Accelerator | None = None,
    ) -> None:
        openvino = import_openvino()
        core = openvino_core()
        model = openvino_model(network) if isinstance(network, Path) else core.read_model(network, weights or b"")
        hint = "bf16" if precision == torch.bfloat16 else "f32"
        target = "CPU" if accelerator is None else accelerator.target
        self._requests = OpenVinoRequests(model, hint, threads=threads, count=requests, kept=2, device=target)
        self._requests.compile()
        self.one_by_one = accelerator is None
        """Pictures are better given as inputs of their own than in one."""
        on = f"cpu, {precision_name(precision)}" if accelerator is None else accelerator.device
        self.name = f"openvino {openvino.__version__.split('-')[0]}, {on}"
        self.inputs = tuple(map(openvino_port, model.inputs))
        self.outputs = tuple(map(openvino_port, model.outputs))
        self._places = {port.name: number for number, port in enumerate(self.outputs)}  # some have no name

    def run(self, feed: Mapping[str, Array], output_names: Sequence[str]) -> list[Array]:
        return self.run_each([feed], output_names)

    def run_each(self, feeds: Sequence[Mapping[str, Array]], output_names: Sequence[str]) -> list[Array]:
        places = [self._places[name] for name in output_names]
        return self._requests.run([_by_place(feed) for feed in feeds], places)

    def start(self, feed: Mapping[str, Array], output_names: Sequence[str]) -> Running[list[Array]]:
        """As `run`, but not waited for: see `OpenVinoRequests.start`."""
        return self._requests.start(_by_place(feed), [self._places[name] for name in output_names])

    def expect(self, shape: Sequence[int]) -> None:
        """Be fast for inputs of this shape, where the network has one input and takes others too."""
        if len(self.inputs) == 1 and None in (self.inputs[0].shape or ()):
            with suppress(RuntimeError):  # a network that cannot be fixed to it runs as it is, or says why then
                self._requests.expect(shape)


def _by_place(feed: Mapping[str, Array]) -> Mapping[Any, Array]:
    """The inputs, by their place where one has no name."""
    return feed if all(feed) else dict(enumerate(feed.values()))


class TorchScriptSession:
    """A traced network in torch. The file does not name what goes in and out: outputs come in the order asked for."""

    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()

    def __init__(self, network: Path | bytes) -> None:
        content = str(network) if isinstance(network, Path) else io.BytesIO(network)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self._module = torch.jit.load(content, map_location="cpu")  # type: ignore[no-untyped-call]
        self._module.eval()
        self.name = f"torch {torch.__version__} (TorchScript), cpu, float32"

    @torch.inference_mode()
    def run(self, feed: Mapping[str, Array], output_names: Sequence[str]) -> list[Array]:
        found = self._module(*map(torch.from_numpy, feed.values()))
        if isinstance(found, dict):
            found = tuple(found.values())
        outputs = found if isinstance(found, tuple | list) else (found,)
        if len(outputs) < len(output_names):
            raise ModelError(f"the TorchScript network gives {len(outputs)} outputs, {len(output_names)} are needed")
        return [output.numpy() for output in outputs[: len(output_names)]]

    def run_each(self, feeds: Sequence[Mapping[str, Array]], output_names: Sequence[str]) -> list[Array]:
        return joined([self.run(feed, output_names) for feed in feeds])


def file_runtimes(path: Path, runtime: str, precision: torch.dtype, *, trusted: bool) -> list[str]:
    """The engines to try for a network file, best first.

    Args:
        trusted: the user vouches for the file, which TorchScript needs.
    Raises:
        ConfigError: it is not trusted, the engine named does not read such a file, none of those that do is installed,
            or none of them knows the precision.
    """
    readers = READERS[path.suffix.casefold()]
    wanted = readers if runtime == "auto" else (runtime,)
    if not set(wanted) <= set(readers):
        raise ConfigError(f"--runtime {runtime}: does not read {path.name}; {' or '.join(readers)} does")
    found = [name for name in wanted if is_installed(name)]
    if not found:
        raise ConfigError(
            f"{path.name} is read by {' or '.join(wanted)}; get it with pip install 'vidseg[{wanted[-1]}]'"
        )
    if path.suffix.casefold() == ".torchscript":
        if not trusted:  # before torch opens it: loading runs code too; and no list of forbidden operations is complete
            raise ConfigError(
                f"{path}: TorchScript is a program that can write any of your files; give --trust-model if you trust "
                "its author, or use ONNX, which only computes: vidseg export --format onnx"
            )
        known = [name for name in found if precision == torch.float32]
    else:
        known = [name for name in found if precision in ENGINES[name].precisions]
    if not known:
        raise ConfigError(f"--precision {precision_name(precision)}: {path.name} runs in float32 here")
    return known


def open_on(path: Path, accelerator: Accelerator) -> Session:
    """The network file on an accelerator.

    Raises:
        ModelError: there is no such device, its engine does not read the file, or it fails with it.
    """
    problem = accelerator.problem
    if problem is None and accelerator.engine not in READERS[path.suffix.casefold()]:
        problem = f"{accelerator.engine} does not read {path.suffix} files"
    if problem is not None:
        raise ModelError(problem)
    try:
        if accelerator.engine == "openvino":
            return OpenVinoSession(path, accelerator=accelerator)
        return OnnxSession(path, accelerator=accelerator)
    except Exception as error:  # engines and drivers raise what they like
        raise ModelError(all_in_one_line(error)) from error


def open_session(
    path: Path,
    runtime: str,
    *,
    trusted: bool = False,
    precision: torch.dtype = torch.float32,
    threads: int | None = None,
    requests: int = 1,
    announce: Callable[[str], None] = lambda text: None,
) -> Session:
    """The network file, ready to run; with "auto" by the first engine that takes it.

    Args:
        trusted: as in `file_runtimes`.
        announce: told which engines were passed over, and why.
    Raises:
        ConfigError: as `file_runtimes`.
        ModelError: no engine can read the file.
    """
    names = file_runtimes(path, runtime, precision, trusted=trusted)
    try:
        with path.open("rb") as file:
            pointer = file.read(len(_GIT_LFS)) == _GIT_LFS
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    if pointer:
        raise ModelError(f"{path}: is a pointer of Git LFS, not the network; fetch it with `git lfs pull`")
    problems: list[str] = []
    for name in names:
        try:
            session = _open(path, name, precision, threads, requests)
        except Exception as error:  # engines raise what they like for a file that is damaged or holds unknown layers
            problems.append(f"{name}: {all_in_one_line(error)}")
            continue
        for problem in problems:
            announce(f"skipping an engine that cannot read {path.name} ({problem})")
        return session
    raise ModelError(f"{path}: cannot be read as a network ({'; '.join(problems)})")


def _open(path: Path, name: str, precision: torch.dtype, threads: int | None, requests: int) -> Session:
    if name == "openvino":
        return OpenVinoSession(path, precision=precision, threads=threads, requests=requests)
    if name == "onnxruntime":
        return OnnxSession(path, threads=threads)
    return TorchScriptSession(path)


def _onnx_port(port: Any) -> Port:
    shape = tuple(side if isinstance(side, int) and side > 0 else None for side in port.shape)
    return Port(port.name, shape, _ONNX_TYPES.get(port.type, port.type.removeprefix("tensor(").removesuffix(")")))
