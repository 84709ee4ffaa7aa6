"""A GPU that is none: tensors that say they are on "cuda:0" while the CPU computes with them.

As with a real one, what lies there cannot become a NumPy array before `.cpu()`, and does not mix with tensors that are
elsewhere. Number formats are not those of a GPU: autocast is the CPU's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_any, tree_map

GPU = torch.device("cuda:0")
_INDEXING = {Tensor.__getitem__, Tensor.__setitem__}  # takes indices from the CPU too
_TO_NUMPY = {Tensor.numpy, Tensor.__array__}
_BOTH_SIDES = {Tensor.copy_, Tensor.data.__set__, torch._has_compatible_shallow_copy_type}


class OnGpu(Tensor):
    """A tensor of the CPU that says otherwise."""

    __torch_function__ = torch._C._disabled_torch_function_impl


_Generator = torch.Generator


class GeneratorOnGpu(_Generator):
    """Random numbers of the CPU."""

    def __new__(cls, device: Any = "cpu") -> GeneratorOnGpu:
        return super().__new__(cls if _is_gpu(device) else _Generator, "cpu")

    device = property(lambda self: GPU)


def _lies_there(value: Any) -> bool:
    return isinstance(value, OnGpu) or (isinstance(value, nn.Parameter) and getattr(value, "pretended", False))


def _is_gpu(device: Any) -> bool:
    return device is not None and torch.device(device).type == "cuda"


class PretendGpu(TorchFunctionMode):
    """Of one thread. Remembers the operations that ran on the GPU."""

    def __init__(self, ran: set[str]) -> None:
        super().__init__()
        self.ran = ran

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.__deepcopy__:  # its other argument is all that was copied before
            return args[1].setdefault(id(args[0]), args[0].detach().clone())
        kwargs = dict(kwargs or {})
        on_gpu = tree_any(_lies_there, (args, kwargs))
        if func == Tensor.data.__set__ and isinstance(args[1], OnGpu):
            args[0].pretended = True  # a parameter stays the object that it is
        if func == Tensor.device.__get__:
            return GPU if on_gpu else func(*args)
        if func == Tensor.is_cuda.__get__:
            return on_gpu
        if func is torch._C._nn._parse_to:
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if on_gpu and func in _TO_NUMPY:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")
        if func is Tensor.cpu:
            return func(*args, **kwargs).as_subclass(Tensor) if on_gpu else func(*args, **kwargs)
        device = kwargs.get("device")
        if func is Tensor.to:
            places = [x for x in args[1:] if isinstance(x, (torch.device, str))]
            device = device or (places[0] if places else None)
            args = tuple("cpu" if isinstance(x, (torch.device, str)) else x for x in args)
        elif device is None and on_gpu and func not in _INDEXING | _BOTH_SIDES and _mixes((args, kwargs)):
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found cuda:0 and cpu")
        if kwargs.get("device") is not None:
            kwargs["device"] = "cpu"
        given = tree_map(lambda x: x.as_subclass(Tensor) if type(x) is OnGpu else x, (args, kwargs))
        found = func(*given[0], **given[1])
        if device is not None and not _is_gpu(device):
            return found
        if func is Tensor.to and _is_gpu(device):  # where nothing is to be done, torch gives the tensor itself
            self.ran.add(name)
            return found.detach().as_subclass(OnGpu)
        if args and found is given[0][0]:  # changed in place
            return args[0]
        if not (on_gpu or _is_gpu(device)):
            return found
        self.ran.add(name)
        return tree_map(lambda x: x.as_subclass(OnGpu) if type(x) is Tensor else x, found)


def _mixes(given: Any) -> bool:
    return bool(tree_any(lambda x: isinstance(x, Tensor) and not _lies_there(x) and x.dim() > 0, given))


def require_cuda() -> None:
    """Skip the test where there is no CUDA device; with VIDSEG_REQUIRE_CUDA=1 fail it."""
    if torch.cuda.is_available():
        return
    if os.environ.get("VIDSEG_REQUIRE_CUDA") == "1":
        pytest.fail("VIDSEG_REQUIRE_CUDA=1, but there is no CUDA device")
    pytest.skip("no CUDA device")


@contextmanager
def pretend_gpu() -> Iterator[set[str]]:
    """`--device cuda` works in here, in all threads. Gives the names of the operations that run there."""
    ran: set[str] = set()
    real_run, real_autocast = threading.Thread.run, torch.autocast

    def run(thread: threading.Thread) -> None:
        with PretendGpu(ran):
            real_run(thread)

    with pytest.MonkeyPatch.context() as patched, PretendGpu(ran):
        patched.setattr(torch.cuda, "is_available", lambda: True)
        patched.setattr(torch.cuda, "device_count", lambda: 1)
        patched.setattr(torch.cuda, "synchronize", lambda device=None: None)
        patched.setattr(torch.cuda, "get_device_name", lambda device=None: "pretended GPU")
        patched.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
        patched.setattr(torch.cuda, "current_stream", lambda device=None: SimpleNamespace(synchronize=lambda: None))
        patched.setattr(threading.Thread, "run", run)
        patched.setattr(torch, "autocast", lambda _, dtype=None, enabled=True: real_autocast("cpu", dtype, enabled))
        patched.setattr(torch, "Generator", GeneratorOnGpu)
        yield ran
