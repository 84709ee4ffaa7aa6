"""torch-compile: labels of plain torch, few compilations, kernels where they belong, one line without a compiler."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.exc import BackendCompilerFailed
from torch._inductor.exc import InvalidCxxCompiler

from tests.pretend_gpu import pretend_gpu, require_cuda
from tests.rounding import assert_rounds_alike, in_float64
from tests.runtimes.test_runtimes import as_tuple, labels
from vidseg.errors import DeviceError
from vidseg.runtimes.compiled_runtime import CompiledRuntime
from vidseg.runtimes.loading import load_model
from vidseg.runtimes.registry import create_runtime
from vidseg.segmentation.preprocess import to_network
from vidseg.sources.factory import open_source

ROOT = Path(__file__).parent.parent.parent
CPU = torch.device("cpu")
VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


class Logits(NamedTuple):
    class_logits: Tensor
    mask_logits: Tensor


class TinyNetwork(nn.Module):
    """Two queries and two classes; remembers the batches it was given."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.features = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.BatchNorm2d(4), nn.ReLU())
        self.masks = nn.Conv2d(4, 2, 1)
        self.eval()

    def forward_queries(self, images: Tensor) -> Logits:
        features = self.features(images / 255)
        return Logits(features.mean(dim=(2, 3)).reshape(-1, 2, 2), self.masks(features))


@pytest.fixture(autouse=True)
def _no_cache_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")  # so that it is put back afterwards
    monkeypatch.delenv(VARIABLE)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that come to the network, which is not compiled."""
    seen: list[int] = []

    def keep(network, **options):
        def run(x):
            seen.append(len(x))
            return network(x)

        return run

    monkeypatch.setattr(torch, "compile", keep)
    return seen


def noise(batch: int, height: int = 32, width: int = 40) -> Tensor:
    return torch.randint(0, 255, (batch, 3, height, width), dtype=torch.uint8)


def assert_as_torch(runtime: CompiledRuntime, model: nn.Module, images: Tensor) -> None:
    with torch.inference_mode():
        expected = model.forward_queries(images.float())
        exact = in_float64(model).forward_queries(images.double())
    given = runtime.run(images)
    assert all(tensor.dtype == torch.float32 for tensor in given)
    assert_rounds_alike(given, as_tuple(expected), as_tuple(exact))


def test_a_smaller_batch_of_a_known_size_is_filled_up(batches: list[int], tmp_path: Path) -> None:
    model = TinyNetwork()
    runtime = CompiledRuntime(model, CPU, cache_folder=tmp_path)
    batches.clear()
    for images in (noise(4), noise(3), noise(1), noise(2, 36), noise(6), noise(5), noise(4)):
        assert_as_torch(runtime, model, images)
    assert batches == [4, 4, 4, 2, 6, 6, 4]


@pytest.mark.parametrize(("torch_version", "graphs"), [("2.12.1", False), ("2.13.0+cu130", True)])
def test_results_on_cuda_survive_the_next_replay_of_a_graph(
    torch_version: str, graphs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a pretended GPU, with a compiler whose networks write all results to the same place, as CUDA graphs do."""
    modes, marked, threads = [], [], set()

    def compiled_once(network, **options):
        modes.append(options.get("mode"))
        places: list[Tensor] = []

        def run(x):
            outputs = network(x)
            if not isinstance(outputs, tuple):
                return outputs
            threads.add(threading.get_ident())
            places.extend(each.clone() for each in outputs[len(places) :])
            for place, output in zip(places, outputs, strict=True):
                place.copy_(output)
            return tuple(places)

        return run

    monkeypatch.setattr(torch, "compile", compiled_once)
    monkeypatch.setattr(torch, "__version__", torch_version)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: marked.append(1))
    model = TinyNetwork()
    with pretend_gpu():
        runtime = CompiledRuntime(model, torch.device("cuda"), cache_folder=tmp_path)
        first = runtime.run(noise(2))
        kept = [each.clone() for each in first]
        with ThreadPoolExecutor(1) as other_thread:
            second = other_thread.submit(runtime.run, noise(2)).result()
        assert all(each.device.type == "cuda" and each.dtype == torch.float32 for each in first)
    assert all(torch.equal(a, b) for a, b in zip(first, kept, strict=True)) and len(marked) == 2
    assert not torch.equal(first[1], second[1]) and modes[-1] == ("reduce-overhead" if graphs else None)
    assert len(threads) == (1 if graphs else 2), "graphs belong to the thread that recorded them"


def test_kernels_are_kept_in_the_cache_folder_unless_the_user_says_where(
    batches: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    CompiledRuntime(TinyNetwork(), CPU, cache_folder=tmp_path, announce=said.append)
    assert os.environ[VARIABLE] == str(tmp_path / "torch-compile") and (tmp_path / "torch-compile").is_dir()
    assert len(said) == 1 and str(tmp_path / "torch-compile") in said[0]
    monkeypatch.setenv(VARIABLE, "elsewhere")
    CompiledRuntime(TinyNetwork(), CPU, cache_folder=tmp_path)
    assert os.environ[VARIABLE] == "elsewhere"


def test_the_place_that_torch_gives_itself_is_not_taken_for_a_wish(
    batches: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    cache_dir()
    assert VARIABLE in os.environ
    CompiledRuntime(TinyNetwork(), CPU, cache_folder=tmp_path)
    assert os.environ[VARIABLE] == str(tmp_path / "torch-compile")


def test_a_cache_folder_that_cannot_be_written_is_left_to_torch(batches: list[int], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    CompiledRuntime(TinyNetwork(), CPU, cache_folder=tmp_path / "file")
    assert VARIABLE not in os.environ


def test_without_a_compiler_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments, **options):
        raise RuntimeError("no working C++ compiler\n\nSet TORCHDYNAMO_VERBOSE=1")

    monkeypatch.setattr(torch, "compile", fail)
    with pytest.raises(
        DeviceError, match=r"--runtime torch-compile: .*for cpu \(RuntimeError: no .*such as g\+\+, or"
    ) as told:
        create_runtime("torch-compile", TinyNetwork(), "tiny", device=CPU, cache_folder=tmp_path)
    assert "\n" not in str(told.value)


def test_a_compiler_that_fails_under_way_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def network(x):
        if x.ndim == 4:
            raise BackendCompilerFailed(None, RuntimeError("C++ compile error\n\npages of it"), None)
        return x

    monkeypatch.setattr(torch, "compile", lambda plain, **options: network)
    runtime = CompiledRuntime(TinyNetwork(), CPU, cache_folder=tmp_path)
    with pytest.raises(DeviceError, match=r"the compiler failed \(RuntimeError: C\+\+ compile error\); use") as told:
        runtime.run(noise(1))
    assert "\n" not in str(told.value)


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_ctrl_c_does_not_reach_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python handles it in the main thread; programs that another thread starts inherit what that thread blocks."""
    blocked: list[bool] = []

    def keep(network, **options):
        def run(x):
            blocked.append(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
            return network(x)

        return run

    monkeypatch.setattr(torch, "compile", keep)
    runtime = CompiledRuntime(TinyNetwork(), CPU, cache_folder=tmp_path)
    with ThreadPoolExecutor(1) as other_thread:
        other_thread.submit(runtime.run, noise(1)).result()
        assert not other_thread.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).result()
    runtime.run(noise(1))
    assert blocked == [False, True, False]


def test_kernels_that_cannot_be_loaded_are_made_again_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = tmp_path / "torch-compile" / "a.so"
    fails: list[Exception] = []

    def keep(network, **options):
        def run(x):
            if fails and kernel.exists():
                raise fails[0]
            return network(x)

        return run

    monkeypatch.setattr(torch, "compile", keep)
    model = TinyNetwork()
    runtime = CompiledRuntime(model, CPU, cache_folder=tmp_path)
    kernel.write_bytes(b"ELF")
    fails.append(BackendCompilerFailed(runtime.run, OSError("file too short"), None))
    assert_as_torch(runtime, model, noise(1))
    assert not kernel.exists() and (tmp_path / "torch-compile.json").exists()
    kernel.write_bytes(b"ELF")
    fails[0] = BackendCompilerFailed(runtime.run, InvalidCxxCompiler(), None)  # no fault of the kernels
    with pytest.raises(DeviceError, match="the compiler failed"):
        runtime.run(noise(2))
    assert kernel.exists()


def compiled(model: nn.Module, device: torch.device, precision: torch.dtype, folder: Path) -> CompiledRuntime:
    """Really compiled, where the machine has what that takes."""
    try:
        return CompiledRuntime(model, device, precision, cache_folder=folder)
    except DeviceError as error:
        if device == CPU and (shutil.which("g++") or shutil.which("clang++")):
            raise
        pytest.skip(str(error))


def test_a_compiled_network_gives_what_torch_gives_and_is_compiled_once_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._dynamo.utils import counters
    from torch._inductor import config

    monkeypatch.setattr(config, "cpp_cache_precompile_headers", False)  # takes longer than this one kernel
    monkeypatch.setattr(config.cpp, "vec_isa_ok", True)  # asking takes a compilation for each instruction set
    counters.clear()
    model = TinyNetwork()
    runtime = compiled(model, CPU, torch.float32, tmp_path)
    assert runtime.name == "torch-compile, cpu, float32" and runtime.device == CPU
    first = noise(2)
    assert_as_torch(runtime, model, first)
    kept = runtime.run(first)
    before = [tensor.clone() for tensor in kept]
    graphs = counters["stats"]["unique_graphs"]
    view = noise(2).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    for images in (noise(1), view):
        assert_as_torch(runtime, model, images)
    with torch.inference_mode():
        assert_as_torch(runtime, model, noise(2))
    with ThreadPoolExecutor(1) as other_thread:
        other_thread.submit(assert_as_torch, runtime, model, noise(2)).result()
    assert counters["stats"]["unique_graphs"] == graphs and not counters["graph_break"]
    assert all(torch.equal(a, b) for a, b in zip(kept, before, strict=True))
    assert any((tmp_path / "torch-compile").rglob("*.so"))


def street_labels(runtime, size_hw: tuple[int, int]):
    with open_source(str(ROOT / "samples" / "street.mp4")) as source:
        images = to_network(next(iter(source)).image, size_hw)
    return labels(runtime.run(images), (size_hw[0] * 2, size_hw[1] * 2))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_labels_of_the_nano_are_those_of_plain_torch(precision: torch.dtype, tmp_path: Path) -> None:
    model = load_model("fai-m2f-n-ade")
    runtime = compiled(model, CPU, precision, tmp_path)
    expected = street_labels(create_runtime("torch", model, "nano", device=CPU), (96, 128))
    agree = (street_labels(runtime, (96, 128)) == expected).mean()
    assert agree >= (0.995 if precision == torch.float32 else 0.97)


@pytest.mark.cuda
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("precision", "least"), [(torch.float32, 0.995), (torch.float16, 0.97)])
def test_labels_on_cuda_are_those_of_plain_torch_and_survive_the_next_run(
    precision: torch.dtype, least: float, tmp_path: Path
) -> None:
    require_cuda()
    device = torch.device("cuda")
    model = load_model("fai-m2f-n-ade")
    runtime = CompiledRuntime(model, device, precision, cache_folder=tmp_path)
    expected = street_labels(create_runtime("torch", model, "nano", device=CPU), (96, 128))
    for _ in range(4):  # a CUDA graph is recorded in the second or third, and replayed then
        assert (street_labels(runtime, (96, 128)) == expected).mean() >= least
    images = noise(1, 96, 128)
    first = runtime.run(images)
    kept = [tensor.clone() for tensor in first]
    runtime.run(noise(1, 96, 128))
    assert all(torch.equal(a, b) for a, b in zip(first, kept, strict=True))
    with ThreadPoolExecutor(1) as other_thread:
        again = other_thread.submit(runtime.run, images).result()
    assert all(torch.allclose(a, b, atol=1e-2, rtol=1e-2) for a, b in zip(again, kept, strict=True))
