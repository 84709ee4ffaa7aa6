"""Which engine is taken, and what is said when it cannot be."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from vidseg.config import RunConfig
from vidseg.configure import merge
from vidseg.errors import ConfigError, DeviceError
from vidseg.runtimes import registry
from vidseg.runtimes.registry import (
    ENGINES,
    candidates,
    create_runtime,
    fitting_engines,
    import_problem,
    installed_engines,
    runtime_device,
)

CPU = torch.device("cpu")


@pytest.fixture
def only(monkeypatch):
    """`only("torch")`: as if nothing else were installed."""

    def install(*names):
        monkeypatch.setattr(registry, "is_installed", lambda name: name in names)
        monkeypatch.setattr(registry, "_version", lambda module: "1.2")

    return install


@pytest.fixture
def engines_that(monkeypatch):
    """Replaces the making of engines: gives the name, or raises what is given for it."""

    def make(**errors):
        def create(name, *rest):
            if name in errors:
                raise errors[name]
            return name

        monkeypatch.setattr(registry, "_create", create)

    return make


def create(runtime, said=None):
    return create_runtime(
        runtime, nn.Identity(), "nano", device=CPU, announce=(lambda text: None) if said is None else said.append
    )


def test_auto_takes_the_fastest_that_is_installed_and_fits(only, engines_that):
    engines_that()
    only("torch", "onnxruntime", "openvino")
    assert create("auto") == "openvino"
    assert candidates("auto", CPU, torch.float32) == ["openvino", "onnxruntime", "torch"]
    assert candidates("auto", CPU, torch.bfloat16) == ["openvino", "torch"]
    assert candidates("auto", torch.device("cuda"), torch.float16) == ["torch"]
    only("torch", "onnxruntime")
    assert create("auto") == "onnxruntime"
    only("torch")
    assert create("auto") == "torch"


def test_auto_never_compiles(only, engines_that):
    engines_that()
    only("torch", "torch-compile")
    for device, precision in ((CPU, torch.float32), (torch.device("cuda"), torch.float16)):
        assert candidates("auto", device, precision) == ["torch"]
        assert candidates("torch-compile", device, precision) == ["torch-compile"]
        assert "torch-compile" in fitting_engines(device, precision)
    assert create("torch-compile") == "torch-compile"


def test_auto_passes_over_engines_that_fail_and_says_so(only, engines_that):
    only("torch", "onnxruntime", "openvino")
    engines_that(openvino=ImportError("libfoo.so: not found"), onnxruntime=RuntimeError("bad graph\nmore"))
    said = []
    assert create("auto", said) == "torch"
    assert said == [
        "openvino cannot be loaded (libfoo.so: not found); skipping it",
        "onnxruntime failed with nano (bad graph); skipping it",
    ]


def test_an_engine_asked_for_by_name_is_not_replaced(only, engines_that):
    only("torch", "onnxruntime", "openvino")
    engines_that(openvino=ImportError("libfoo.so: not found"), onnxruntime=RuntimeError("bad graph"))
    with pytest.raises(DeviceError, match=r"--runtime openvino: .*cannot be loaded \(libfoo.so: not found\); try pip"):
        create("openvino")
    with pytest.raises(RuntimeError, match="bad graph"):
        create("onnxruntime")


def test_the_last_engine_fails_with_its_own_error(only, engines_that):
    only("torch")
    engines_that(torch=RuntimeError("out of memory"))
    with pytest.raises(RuntimeError, match="out of memory"):
        create("auto")


def test_the_only_engine_of_a_precision_that_cannot_be_loaded_is_told_in_one_line(only, engines_that):
    only("torch", "openvino")
    engines_that(openvino=ImportError("libfoo.so: not found"))
    with pytest.raises(DeviceError, match=r"^--precision int8: openvino: .*cannot be loaded \(libfoo.so: not found\)"):
        create_runtime("auto", nn.Identity(), "nano", device=CPU, precision=torch.int8)


def test_an_engine_that_cannot_be_imported_says_why(monkeypatch):
    def fail():
        raise ImportError("libfoo.so: not found\nmore")

    assert import_problem("torch") is None
    monkeypatch.setattr(registry, "import_openvino", fail)
    assert import_problem("openvino") == "libfoo.so: not found"


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_an_engine_that_is_not_installed_is_told_with_the_pip_command(only, name):
    only("torch")
    with pytest.raises(DeviceError, match=rf"--runtime {name}: not installed; .*pip install 'vidseg\[{name}\]'"):
        runtime_device(name, "auto")


def test_device_and_engine_have_to_go_together(only, monkeypatch):
    only("torch", "openvino")
    monkeypatch.setattr(
        registry, "pick_device", lambda name: torch.device("cuda" if name in ("auto", "cuda") else name)
    )
    assert runtime_device("openvino", "auto") == CPU
    assert runtime_device("torch", "auto") == torch.device("cuda") == runtime_device("auto", "auto")
    with pytest.raises(DeviceError, match=r"--runtime openvino: runs on cpu only, not on cuda; give -d cpu"):
        runtime_device("openvino", "cuda")


def test_a_precision_that_the_engine_does_not_know_is_refused(only):
    only("torch", "onnxruntime")
    with pytest.raises(ConfigError, match="--precision bfloat16: --runtime onnxruntime supports float32"):
        candidates("onnxruntime", CPU, torch.bfloat16)


def test_the_option_knows_exactly_the_engines():
    assert RunConfig().runtime == "auto"
    assert all(merge(("test", {"runtime": name})).runtime == name for name in ENGINES)
    with pytest.raises(ConfigError, match=r"--runtime is 'tensorrt'; accepted: auto \| torch \| openvino"):
        merge(("test", {"runtime": "tensorrt"}))


def test_torch_is_always_installed():
    assert installed_engines()["torch"].startswith(torch.__version__.partition("+")[0])


def test_choosing_an_engine_reads_no_versions(monkeypatch):
    """Each file of a batch chooses; versions are files that take milliseconds to parse."""

    def read(name):
        raise AssertionError(f"the version of {name} was read")

    monkeypatch.setattr(registry, "version", read)
    assert "torch" in candidates("auto", torch.device("cpu"), torch.float32)


def test_looking_for_engines_imports_none():
    code = (
        "import sys\nfrom vidseg.runtimes import registry, openvino_runtime, onnxruntime_runtime\n"
        "registry.installed_engines()\n"
        "assert not {'openvino', 'onnxruntime', 'onnx'} & set(sys.modules)\n"
    )
    root = Path(registry.__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60)
    assert done.returncode == 0, done.stderr
