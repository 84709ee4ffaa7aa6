"""One line about GPUs that cannot be used; torch's own words are as its sources and users' reports have them."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from torch import nn

from vidseg.batch.resources import devices_for
from vidseg.commands import doctor
from vidseg.commands.train import TrainRequest, train
from vidseg.config import RunConfig
from vidseg.errors import ConfigError, DeviceError
from vidseg.gpu import gpu_problem
from vidseg.memory import memory_problem
from vidseg.runtimes import registry
from vidseg.runtimes.compiled_runtime import CompiledRuntime
from vidseg.runtimes.fold import fold_batch_norms
from vidseg.runtimes.loading import load_model
from vidseg.runtimes.torch_runtime import TorchRuntime, pick_device, pick_precision
from vidseg.train.settings import TrainSettings
from vidseg.wiring.engine import load_engine
from vidseg.wiring.reporter import SilentReporter

TOO_OLD = (
    "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver by downloading "
    "and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx Alternatively, go to: "
    "https://pytorch.org to install a PyTorch version that has been compiled with your version of the CUDA driver."
)
NO_KERNEL = (
    "CUDA error: no kernel image is available for execution on the device\nSearch for `cudaErrorNoKernelImageForDevice'"
    " in https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html for more information.\nCUDA kernel "
    "errors might be asynchronously reported at some other API call"
)
BUSY = "CUDA error: CUDA-capable device(s) is/are busy or unavailable\nCUDA kernel errors might be asynchronously"
ACCELERATOR_ERROR = getattr(torch, "AcceleratorError", RuntimeError)  # older torch has none


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError(TOO_OLD), "the GPU driver is too old for this PyTorch; update the driver"),
        (ACCELERATOR_ERROR(NO_KERNEL), "this PyTorch has no kernels for this GPU; install a PyTorch for it"),
        (ACCELERATOR_ERROR(BUSY), "the GPU fails (CUDA error: CUDA-capable device(s) is/are busy or unavailable)"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"), "the GPU fails (cuDNN error: CUDNN_STATUS_NOT_I"),
        (RuntimeError("No CUDA GPUs are available"), "PyTorch finds no GPU (`vidseg doctor` says more)"),
        (AssertionError("Torch not compiled with CUDA enabled"), "PyTorch finds no GPU (`vidseg doctor` says more)"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_one_line(error, told):
    found = gpu_problem(error)
    assert (
        found is not None
        and found.startswith(told)
        and found.endswith("or use the CPU (device cpu)")
        and "\n" not in found
    )
    assert memory_problem(error) is None


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        KeyError("CUDA unknown error"),
    ],
)
def test_mistakes_of_ours_on_a_gpu_keep_their_traceback(error):
    assert gpu_problem(error) is None and memory_problem(error) is None


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
        "HIP out of memory. Tried to allocate 2.00 GiB",
        "MPS backend out of memory (MPS allocated: 17.00 GB, other allocations: 1.00 GB, max allowed: 18.13 GB). Tried",
    ],
)
def test_a_gpu_without_memory_is_told_in_one_line(text):
    told = memory_problem(RuntimeError(text))
    assert told.startswith("out of memory: ") and told.endswith("; give a smaller --imgsz or --batch, or -d cpu")


def test_this_torch_says_it_as_we_expect():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises((RuntimeError, AssertionError)) as caught:
        torch.zeros(1, device="cuda")
    assert gpu_problem(caught.value).startswith("PyTorch finds no GPU")


def test_a_network_that_cannot_be_brought_to_the_gpu_is_one_line(monkeypatch):
    def create(*_):
        raise RuntimeError(TOO_OLD)

    monkeypatch.setattr(registry, "_create", create)
    device = torch.device("cuda:1")
    with pytest.raises(DeviceError, match=r"^--device cuda:1: the GPU driver is too old for this PyTorch; update"):
        registry.create_runtime("auto", nn.Identity(), "nano", device=device, precision=torch.float16)


@pytest.mark.parametrize(("count", "told"), [(0, "none found, this PyTorch is built without CUDA"), (2, "2 found")])
def test_a_device_that_is_not_there_says_what_is(monkeypatch, count, told):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: count > 0)
    with pytest.raises(DeviceError) as caught:
        pick_device("cuda:7")
    assert f"no such cuda device here ({told});" in str(caught.value)
    if count:
        assert pick_device("1") == torch.device("cuda:1")


@pytest.mark.parametrize(("cuda", "mps", "device"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")])
def test_a_gpu_is_taken_where_there_is_one(monkeypatch, cuda, mps, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    picked = pick_device("auto")
    assert picked == torch.device(device)
    assert pick_precision("auto", picked) == (torch.float16 if cuda else torch.float32)


def test_a_gpu_that_cannot_be_used_is_told_in_a_line_and_the_cpu_is_taken(monkeypatch):
    class Notes(SilentReporter):
        said: ClassVar[list[str]] = []

        def note(self, text):
            self.said.append(text)

    def is_available():
        warnings.warn(f"CUDA initialization: {TOO_OLD}", stacklevel=1)
        return False

    def init():
        raise RuntimeError(TOO_OLD)

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_engine(RunConfig(source="test", model="fai-m2f-n-ade", runtime="torch"), Notes())
        assert Notes.said[0].startswith("runs on the CPU: the GPU driver is too old for this PyTorch; update")
        Notes.said.clear()
        on_cpu = [{"runtime": "torch", "device": "cpu"}, {"runtime": "onnxruntime"}]
        for chosen in on_cpu[: 1 + registry.is_installed("onnxruntime")]:
            load_engine(RunConfig(source="test", model="fai-m2f-n-ade", **chosen), Notes())
    assert not any("driver" in text for text in Notes.said)


@pytest.mark.parametrize(
    ("given", "count", "devices"),
    [
        ({}, 2, ["cuda:0", "cuda:1"]),
        ({"device": "cuda"}, 2, ["cuda:0", "cuda:1"]),
        ({"device": "cuda:1"}, 2, ["cuda:1"]),
        ({"runtime": "torch-compile"}, 2, ["auto"]),
        ({}, 1, ["auto"]),
        ({"device": "cpu"}, 2, ["cpu"]),
    ],
)
def test_a_batch_uses_all_gpus_unless_one_is_named(monkeypatch, given, count, devices):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert devices_for(RunConfig(**given)) == devices


def test_weights_in_half_precision_give_the_results_of_autocast_to_the_last_bit():
    model, cpu = load_model("fai-m2f-n-ade"), torch.device("cpu")
    images = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8)
    plain, given = TorchRuntime(model, cpu, torch.bfloat16), TorchRuntime(model, cpu, torch.bfloat16)
    plain._model = fold_batch_norms(model)
    assert all(torch.equal(one, other) for one, other in zip(plain.run(images), given.run(images), strict=True))
    kept = {parameter.dtype for parameter in given._model.parameters()}
    assert torch.bfloat16 in kept and torch.float32 in kept and given._model.pixel_mean.dtype == torch.float32


@pytest.mark.parametrize("engine", [TorchRuntime, CompiledRuntime])
def test_a_network_too_large_for_float16_says_so_instead_of_giving_wrong_labels(monkeypatch, tmp_path, engine):
    class Large(nn.Module):
        def __init__(self):
            super().__init__()
            self.masks = nn.Conv2d(3, 2, 1, bias=False)
            nn.init.constant_(self.masks.weight, 100.0)

        def forward_queries(self, images):
            return SimpleNamespace(class_logits=images.new_zeros(len(images), 2, 3), mask_logits=self.masks(images))

    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    more = {} if engine is TorchRuntime else {"cache_folder": tmp_path}
    images = torch.full((1, 3, 32, 32), 255, dtype=torch.uint8)
    cpu = torch.device("cpu")
    runtime = engine(Large(), cpu, torch.float16, **more)
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"^--precision float16: .* give --precision bfloat16 or float32$"):
            runtime.run(images)
    assert engine(Large(), cpu, torch.bfloat16, **more).run(images)[1].amax() > 65504
    assert engine(Large(), cpu, torch.float16, **more).run(images // 2)[1].isfinite().all()


def test_training_on_the_second_gpu_leaves_the_first_alone(monkeypatch, tmp_path):
    def set_device(device):
        raise InterruptedError(str(device))

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", set_device)
    with pytest.raises(InterruptedError, match="cuda:1"):
        train(TrainRequest(data=(), out=tmp_path, settings=TrainSettings(), device="cuda:1"), None)


def test_float32_on_cuda_is_not_rounded_to_ten_bits(monkeypatch):
    """PyTorch's convolutions are, unless they are told not to."""
    device = torch.device("cuda:1")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(registry, "TorchRuntime", lambda model, *where: where)
    for precision, rounded in ((torch.float16, True), (torch.float32, False)):
        made = registry.create_runtime("torch", nn.Identity(), "nano", device=device, precision=precision)
        assert made == (device, precision) and torch.backends.cudnn.allow_tf32 is rounded


def test_doctor_tries_each_gpu_and_goes_on_where_one_fails(monkeypatch):
    class One:
        def add(self, other):
            return self

        def item(self):
            return 2

    def ones(count, device):
        if device == "cuda:1":
            raise ACCELERATOR_ERROR(NO_KERNEL)
        return One()

    properties = SimpleNamespace(name="Some GPU", total_memory=24 * 2**30)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    monkeypatch.setattr(torch, "ones", ones)
    working, other = (finding for finding in doctor._gpus() if finding.topic == "cuda")
    assert working == doctor.Finding("cuda", "cuda:0 Some GPU, 24 GiB", good=True)
    assert other.text.startswith("cuda:1 this PyTorch has no kernels for this GPU") and other.good is False
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    assert doctor._gpus()[0].text == "no CUDA device (this PyTorch is built without CUDA); runs on the CPU"
