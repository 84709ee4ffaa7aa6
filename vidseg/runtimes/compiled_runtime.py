"""PyTorch's compiler: the network as kernels made for this machine, one set for each size of picture and batch.

They are made when such a batch first comes, which takes up to minutes, and are kept by torch itself: its cache knows
best what a kernel depends on (graph, options, device, versions). Damage is found by `kernel_cache`.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch._inductor.config
import torch._inductor.utils
from torch import Tensor, nn
from torch._dynamo.exc import BackendCompilerFailed
from torch._inductor.exc import InvalidCxxCompiler
from torch.torch_version import TorchVersion

from vidseg.errors import DeviceError
from vidseg.pipeline.thread_for_all import ThreadForAll
from vidseg.runtimes import engine_cache
from vidseg.runtimes.base import precision_name
from vidseg.runtimes.kernel_cache import KernelCache
from vidseg.runtimes.network import PictureNetwork
from vidseg.runtimes.torch_runtime import for_inference, on_device, refuse_overflow

_FOLDER = "torch-compile"
_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
_NEW_TORCH = "2.13"
"""Older ones count the sizes of all networks together, run those after the eighth as they are, and fail with CUDA
graphs in threads other than the one that imported torch (pytorch issue 123177)."""


def has_graphs() -> bool:
    """Whether networks are run as CUDA graphs, where there is CUDA."""
    return TorchVersion(torch.__version__) >= _NEW_TORCH


class CompiledRuntime:
    """Satisfies `Runtime` with a module that has `forward_queries`, e.g. from `vidseg.models.create_model`.

    Remembers which batches it has run: a smaller one of the same size, as the last of a video, is filled up instead of
    compiled for.
    """

    def __init__(
        self,
        model: nn.Module,
        device: torch.device,
        precision: torch.dtype = torch.float32,
        *,
        cache_folder: Path | None = None,
        announce: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Try the compiler out.

        Args:
            cache_folder: for the kernels, instead of the one in the user's cache.
            announce: told where they are kept, and that they were damaged.
        Raises:
            DeviceError: there is no compiler that works.
        """
        self._kernels = _keep_kernels_in(
            (engine_cache.engines_folder() if cache_folder is None else cache_folder) / _FOLDER, announce
        )
        announce(f"torch compiles once for each input size; kept in {os.environ.get(_CACHE_VARIABLE, 'TMPDIR')}")
        _try_compiler(device, self._kernels)
        self.name = f"torch-compile, {device}, {precision_name(precision)}"
        self.device = device
        self._precision = precision
        self._batches: dict[tuple[int, int], set[int]] = defaultdict(set)
        self._compiled: set[torch.Size] = set()
        network = PictureNetwork(for_inference(model, device, precision))
        options: dict[str, Any] = {}
        if has_graphs():
            options = {"recompile_limit": 64, "isolate_recompiles": True}
            if device.type == "cuda":
                options["mode"] = "reduce-overhead"  # CUDA graphs: one launch instead of hundreds
        self._network = torch.compile(network, dynamic=False, **options)
        # a CUDA graph belongs to the thread that recorded it, and every run, chunk and file has another one
        self._thread = ThreadForAll("graphs") if "mode" in options else None

    def run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if self._thread is None:
            return self._run(images)
        return self._thread.call(lambda: self._run(images))

    def _run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        on_gpu, half = self.device.type == "cuda", self._precision != torch.float32
        # not in the caller's inference mode, which would be compiled for anew
        with torch.inference_mode(False), torch.no_grad(), torch.autocast(self.device.type, self._precision, half):
            filled_up = self._filled_up(images)
            is_new = filled_up.shape not in self._compiled
            x = on_device(filled_up, self.device).to(torch.float32, memory_format=torch.channels_last)
            if on_gpu:
                torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            with _compilers_left_alone():
                try:
                    outputs = self._network(x)
                except BackendCompilerFailed as error:
                    if not (is_new and _removed_kernels(self._kernels, error)):
                        raise
                    outputs = self._network(x)
            if is_new:
                refuse_overflow(outputs, self._precision)
                self._compiled.add(filled_up.shape)
                if self._kernels is not None:
                    self._kernels.record()
            # copied: a CUDA graph writes its next results over these
            class_logits, mask_logits = (tensor[: len(images)].to(torch.float32, copy=on_gpu) for tensor in outputs)
        return class_logits, mask_logits

    def _filled_up(self, images: Tensor) -> Tensor:
        """The pictures, and the last one again up to the smallest batch known that holds them."""
        batches = self._batches[images.shape[2], images.shape[3]]
        batch = min((known for known in batches if known >= len(images)), default=len(images))
        batches.add(batch)
        return torch.cat([images, images[-1:].expand(batch - len(images), -1, -1, -1)])


def _keep_kernels_in(folder: Path, announce: Callable[[str], None]) -> KernelCache | None:
    """Tell torch where to, unless the user has; where nothing can be written its own place in TMPDIR stays.

    Returns:
        What looks after the folder, None where it is not ours.
    """
    told = os.environ.get(_CACHE_VARIABLE)
    own = f"{tempfile.gettempdir()}/torchinductor_"  # parts of torch set the variable themselves when imported
    if told is not None and told != str(folder) and not told.startswith(own):
        return None
    kernels = KernelCache(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            return None
        damage = kernels.check()
    except OSError:
        return None
    if damage is not None:
        announce(damage)
    os.environ[_CACHE_VARIABLE] = str(folder)
    return kernels


def _removed_kernels(kernels: KernelCache | None, error: Exception) -> bool:
    """True where trying again may help: kernels that cannot be loaded are gone now."""
    if kernels is None or isinstance(getattr(error, "inner_exception", error), InvalidCxxCompiler):
        return False
    kernels.wipe()
    # torch remembers which of its headers it has written
    getattr(torch._inductor.utils, "clear_caches", torch.compiler.reset)()
    return True


def _try_compiler(device: torch.device, kernels: KernelCache | None) -> None:
    """Compile one addition: torch asks for its tools only when a picture comes, too late for a run that has begun."""
    # in this thread: those that torch starts for it would not be left alone later
    with torch.no_grad(), torch._inductor.config.patch(compile_threads=1):
        try:
            try:
                torch.compile(_plus_one)(torch.zeros(2, device=device))
            except Exception as error:
                if not _removed_kernels(kernels, error):
                    raise
                torch.compile(_plus_one)(torch.zeros(2, device=device))
        except Exception as error:  # whatever a compiler, a driver or torch may raise
            needed = "a C++ compiler such as g++" if device.type == "cpu" else "Triton and a C compiler such as gcc"
            raise DeviceError(
                f"--runtime torch-compile: cannot compile for {device} ({_reason(error)}); "
                f"install {needed}, or use --runtime torch"
            ) from error


def _plus_one(x: Tensor) -> Tensor:
    return x + 1


@contextmanager
def _compilers_left_alone() -> Iterator[None]:
    """Compilers that start in here do not get the Ctrl+C that ends a run in good order.

    The terminal sends it to all processes, and they would give up. Python handles it in the main thread.

    Raises:
        DeviceError: a compiler failed.
    """
    blocked = None
    if threading.current_thread() is not threading.main_thread() and hasattr(signal, "pthread_sigmask"):
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    except BackendCompilerFailed as error:
        raise DeviceError(
            f"--runtime torch-compile: the compiler failed ({_reason(error)}); use --runtime torch"
        ) from error
    finally:
        if blocked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _reason(error: Exception) -> str:
    """The first line of what a compiler said."""
    inner = getattr(error, "inner_exception", error)
    return f"{type(inner).__name__}: {str(inner).strip()}".splitlines()[0]
