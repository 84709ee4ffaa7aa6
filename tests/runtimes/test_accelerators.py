"""Which device is asked of which engine for a network file, by lists of devices that are not here."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnxruntime

from tests.runtimes.tiny_networks import stripe_labels, stripes, write_network
from vidseg.commands import doctor
from vidseg.config import RunConfig
from vidseg.errors import ConfigError, DeviceError
from vidseg.runtimes import accelerators
from vidseg.runtimes.accelerators import ACCELERATORS, accelerator
from vidseg.runtimes.openvino_import import openvino_core
from vidseg.runtimes.registry import installed_engines
from vidseg.wiring.engine import check_engine, load_engine
from vidseg.wiring.reporter import SilentReporter

pytestmark = pytest.mark.skipif("openvino" not in installed_engines(), reason="openvino is not installed")


class Notes(SilentReporter):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class FakeCore:
    """OpenVINO on a machine with a GPU and an NPU, whose work the CPU does."""

    def __init__(self) -> None:
        self.core, self.asked = openvino_core(), []
        self.available_devices = ["CPU", "GPU.0", "GPU.1", "NPU"]
        self.read_model = self.core.read_model

    def compile_model(self, network, device, options):
        self.asked.append((device, options))
        # unasked, it would be in bfloat16 on a processor that has that, also where oneDNN is told not to use it
        return self.core.compile_model(network, "CPU", options | {"INFERENCE_PRECISION_HINT": "f32"})


@pytest.fixture
def net(tmp_path):
    return str(write_network(tmp_path, describe={"input": {"size": [32, 48], "resize": "stretch"}}))


def labels(engine) -> np.ndarray:
    found = engine.runtime.run(torch.from_numpy(stripes()).permute(2, 0, 1)[None])
    return engine.runtime.class_of_channel[found.argmax(dim=1).numpy()][0]


@pytest.mark.parametrize(("device", "target"), [("intel:gpu", "GPU"), ("intel:npu", "NPU")])
def test_intels_devices_are_asked_of_openvino(monkeypatch, net, device, target):
    core = FakeCore()
    for module in ("accelerators", "openvino_requests"):
        monkeypatch.setattr(f"vidseg.runtimes.{module}.openvino_core", lambda: core)
    reporter = Notes()
    engine = load_engine(RunConfig(model=net, device=device, threads=1), reporter)
    assert core.asked == [(target, {"PERFORMANCE_HINT": "LATENCY"})]  # others are options of the CPU
    assert device in engine.runtime.name and not any("instead" in text for text in reporter.notes)
    assert np.array_equal(labels(engine), stripe_labels((8, 12)))


@pytest.mark.parametrize(
    ("device", "provider", "options"),
    [
        ("cuda", "CUDAExecutionProvider", {}),
        ("cuda:1", "CUDAExecutionProvider", {"device_id": 1}),
        ("tensorrt", "TensorrtExecutionProvider", {}),
        ("coreml", "CoreMLExecutionProvider", {}),
        ("directml", "DmlExecutionProvider", {}),
    ],
)
@pytest.mark.parametrize("starts", [True, False])
def test_execution_providers_are_asked_of_onnx_runtime(monkeypatch, net, device, provider, options, starts):
    made = onnxruntime.InferenceSession
    asked = []

    def session(content, settings, providers, enable_fallback=1):
        asked.append(providers)
        assert not enable_fallback
        found = made(content, settings, providers=["CPUExecutionProvider"])
        if len(providers) > 1 and starts:
            found.get_providers = lambda: [provider, "CPUExecutionProvider"]
        return found

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [provider, "CPUExecutionProvider"])
    reporter = Notes()
    engine = load_engine(RunConfig(model=net, device=device, threads=1), reporter)
    assert asked[0] == [(provider, options), "CPUExecutionProvider"]
    told = [text for text in reporter.notes if "runs on the CPU instead" in text]
    assert (device in engine.runtime.name) == starts and bool(told) != starts
    assert starts or f"--device {device}: {provider} does not start; net.onnx" in told[0]
    assert np.array_equal(labels(engine), stripe_labels((8, 12)))


def test_a_device_that_is_not_here_is_told_and_the_cpu_takes_its_place(monkeypatch, net):
    monkeypatch.setattr(accelerators, "found_targets", lambda engine: ["CPU"])
    reporter = Notes()
    engine = load_engine(RunConfig(model=net, device="intel:npu", threads=1), reporter)
    assert "--device intel:npu: openvino finds CPU here, but no NPU; net.onnx runs on the CPU instead" in reporter.notes
    assert "cpu" in engine.runtime.name


def test_what_does_not_go_together_is_refused(net):
    with pytest.raises(DeviceError, match=r"--device mps: runs no network files; accepted: auto, cpu, intel:gpu"):
        check_engine(RunConfig(model=net, device="mps"))
    with pytest.raises(ConfigError, match="--device intel:gpu belongs to openvino, not to --runtime onnxruntime"):
        check_engine(RunConfig(model=net, device="intel:gpu", runtime="onnxruntime"))
    with pytest.raises(ConfigError, match="leave out --precision"):
        check_engine(RunConfig(model=net, device="intel:gpu", precision="bfloat16"))
    assert accelerator("intel:tpu") is None and accelerator("cuda:x") is None


def test_doctor_lists_them(monkeypatch):
    targets = {"openvino": ["CPU", "GPU"], "onnxruntime": ["TensorrtExecutionProvider", "CPUExecutionProvider"]}
    monkeypatch.setattr(accelerators, "found_targets", targets.get)
    [found] = doctor._accelerators()
    assert found.text == "intel:gpu, tensorrt" and found.good
    monkeypatch.setattr(accelerators, "found_targets", lambda engine: ["CPU"])
    [found] = doctor._accelerators()
    assert "none besides the CPU" in found.text and all(name in found.text for name in ACCELERATORS)
