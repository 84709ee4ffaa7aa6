"""The one line about a GPU that cannot be used, where its driver and libraries say pages or leave a traceback."""

from __future__ import annotations

import re

_ON_CPU = "or use the CPU (device cpu)"
_INSTALL = "install a PyTorch for it (https://pytorch.org)"
_KINDS = (
    (
        r"driver on your system is too old|driver version is insufficient|PTX was compiled with an unsupported",
        f"the GPU driver is too old for this PyTorch; update the driver, {_INSTALL}, {_ON_CPU}",
    ),
    (
        r"no kernel image is available|not compatible with the current PyTorch|invalid device function",
        f"this PyTorch has no kernels for this GPU; {_INSTALL}, {_ON_CPU}",
    ),
    (
        r"not compiled with CUDA|Found no NVIDIA driver|No CUDA GPUs are available|no CUDA-capable device",
        f"PyTorch finds no GPU (`vidseg doctor` says more); install its driver and a PyTorch for it, {_ON_CPU}",
    ),
    (
        r"busy or unavailable|CUDA unknown error|initialization error|NOT_INITIALIZED|system not yet initialized|"
        r"unspecified launch failure|ECC error|fallen off the bus|GPU is lost|forward compatibility was",
        f"the GPU fails ({{said}}); see whether other programs use it and nvidia-smi finds it, {_ON_CPU}",
    ),
)
"""What is said of it, and what to tell the user. Kernels that read or write a wrong place are mistakes of ours, and are
not among them."""


def gpu_problem(error: BaseException) -> str | None:
    """One line about an error that a GPU, its driver or how PyTorch was built is to blame for; None for others."""
    text = str(error).strip()
    if not isinstance(error, RuntimeError | AssertionError) or re.search(r"CUDA|NVIDIA|CUDNN|HIP", text) is None:
        return None
    for signs, told in _KINDS:
        if re.search(signs, text):
            return told.format(said=text.splitlines()[0].partition(". ")[0][:200])
    return None
