from contextlib import nullcontext
from fractions import Fraction
from types import SimpleNamespace

import pytest
import torch

from tests.fakes import frame
from tests.runtimes.test_accelerators import Notes
from vidseg.config import RunConfig
from vidseg.errors import ConfigError
from vidseg.frames import VideoInfo
from vidseg.runtimes.openvino_requests import OpenVinoRequests
from vidseg.runtimes.registry import installed_engines
from vidseg.segmentation.tiled_segmenter import TiledSegmenter
from vidseg.timing import StageTimers
from vidseg.wiring.engine import CUDA_BATCH, Engine, load_engine
from vidseg.wiring.network_input import NetworkInput


def info(**words) -> VideoInfo:
    return VideoInfo(width=64, height=48, time_base=Fraction(1, 25), **words)


def test_a_network_that_works_on_two_frames_gets_two():
    runtime = SimpleNamespace(name="openvino 2026.4.1, cpu, float32")
    two = Engine("net", runtime, NetworkInput(640), torch.device("cpu"), requests=2)
    config = RunConfig(device="cpu", model="net.onnx")
    assert (two.batch(config, info()), two.batch(config, info(live=True))) == (2, 1)


@pytest.mark.parametrize(
    ("words", "live", "on", "ahead"),
    [
        ({}, False, "cpu, int8", True),
        ({"show": True}, False, "cpu, int8", False),
        ({}, True, "cpu, int8", False),
        ({"tiles": "2x1"}, False, "cpu, int8", False),
        ({}, False, "intel:gpu", False),  # takes a batch in one go
    ],
)
def test_frames_are_begun_ahead_where_nobody_waits_for_the_newest(words, live, on, ahead):
    made = []

    class Runtime:
        name = f"openvino 2026.4.1, {on}"

        def start(self, image):
            made.append(image.shape)

    loaded = Engine("net", Runtime(), NetworkInput(64), torch.device("cpu"))
    segmenter = loaded.segmenter(RunConfig(**words), info(live=live), StageTimers())
    with nullcontext() if ahead else pytest.raises(AttributeError, match="run"):
        segmenter.begin([frame(0, size_hw=(48, 64))])
    assert made == [(1, 3, 48, 64)] * ahead


@pytest.mark.parametrize(
    ("runtime", "device", "words", "live", "batch"),
    [
        ("openvino 2026.4.1, cpu, int8", "cpu", {}, False, 1),
        ("openvino 2026.4.1, cpu, int8", "cpu", {}, True, 1),
        ("openvino 2026.4.1, cpu, int8", "cpu", {"show": True}, False, 1),
        ("openvino 2026.4.1, cpu, int8", "cpu", {"output": "rtsp://host/x"}, False, 1),
        ("openvino 2026.4.1, cpu, int8", "cpu", {"batch": 2}, True, 2),
        ("openvino 2026.4.1, cpu, float32", "cpu", {"model": "net.onnx"}, False, 1),
        ("torch, cpu, float32", "cpu", {}, False, 1),
        ("torch, cuda, float16", "cuda", {}, False, CUDA_BATCH),
    ],
)
def test_frames_are_batched_where_that_gains_and_nobody_waits_for_them(runtime, device, words, live, batch):
    config = RunConfig(source="x", **words)
    engine = Engine(config.model, SimpleNamespace(name=runtime), NetworkInput(384), torch.device(device))
    assert engine.batch(config, VideoInfo(64, 48, Fraction(1, 25), live=live)) == batch


def test_tiles_need_class_scores():
    runtime = SimpleNamespace(name="torch, cpu, float32")
    made = Engine("net", runtime, NetworkInput(64), torch.device("cpu"))
    assert isinstance(made.segmenter(RunConfig(tiles="2x1"), info(), StageTimers()), TiledSegmenter)
    with pytest.raises(ConfigError, match="--tiles: windows are blended by --rule semantic, not by winner-query"):
        made.segmenter(RunConfig(tiles="2x1", rule="winner-query"), info(), StageTimers())


@pytest.mark.parametrize(
    ("words", "of", "expected"),
    [({}, {}, [(48, 64)]), ({}, {"live": True}, [(48, 64)]), ({}, {"still": True}, []), ({"tiles": "2x1"}, {}, [])],
)
def test_the_network_is_told_the_size_of_a_video(words, of, expected):
    """Of pictures nobody knows the next size, and windows have another."""
    told = []
    runtime = SimpleNamespace(name="openvino 2026.4.1, cpu, int8", device=torch.device("cpu"), expect=told.append)
    made = Engine("net", runtime, NetworkInput(64), torch.device("cpu")).shared()
    made.segmenter(RunConfig(**words), info(**of), StageTimers())
    assert told == expected


def test_an_engine_that_does_not_compile_the_network_is_passed_over_for_another(monkeypatch):
    if not {"openvino", "onnxruntime"} <= set(installed_engines()):
        pytest.skip("needs openvino and onnxruntime")

    def broken(*words, **more):
        raise RuntimeError("Device with name CPU is not registered")

    monkeypatch.setattr(OpenVinoRequests, "_compiled", broken)
    notes = Notes()
    for source in (None, info()):
        made = load_engine(RunConfig(device="cpu", imgsz=64), notes, info=source)
        assert made.runtime.name.startswith("onnxruntime")
        assert any("openvino" in text and "not registered" in text for text in notes.notes)
