"""What the measured stages would allow. That they are measured is tested through the command."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.fakes import frame
from vidseg.commands import bench
from vidseg.commands.bench import BenchRequest, bound_of
from vidseg.commands.bench_stages import StageCost, decode
from vidseg.config import RunConfig
from vidseg.errors import DeviceError
from vidseg.wiring.engine import load_engine
from vidseg.wiring.reporter import SilentReporter


def stages(**costs):
    return tuple(StageCost(name, *values, 10) for name, values in costs.items())


def test_the_thread_with_the_most_work_bounds_the_run():
    bound = bound_of(
        stages(decode=(5, 5), preprocess=(6, 2), model=(14, 20), postprocess=(8, 8), render=(3, 3), encode=(16, 4)),
        cores=8,
        on_cpu=True,
    )
    assert (bound.slowest_stage, bound.slowest_thread) == ("encode", "network")
    assert bound.by_thread == pytest.approx(50) and bound.by_cores == pytest.approx(8000 / 42)
    assert bound.fps == bound.by_thread


def test_few_cores_bound_it_further():
    bound = bound_of(stages(decode=(10, 10), model=(10, 10), encode=(10, 10)), cores=1, on_cpu=True)
    assert bound.by_thread == pytest.approx(100) and bound.fps == pytest.approx(1000 / 30)


def test_the_cpu_time_of_a_gpu_run_is_no_bound():
    bound = bound_of(stages(decode=(10, 10), model=(1, 50)), cores=1, on_cpu=False)
    assert bound.by_cores is None and bound.fps == pytest.approx(100)


def test_a_short_source_is_read_again_for_timing_but_kept_once():
    info, frames, cost = decode(RunConfig(source="test:32x32@10,frames=3"), seconds=0.001)
    assert [frame.index for frame in frames] == [0, 1, 2] and not info.live
    assert cost.frames >= 5 and cost.wall_ms > 0


def test_a_comparison_leaves_out_what_fails_and_says_so(monkeypatch):
    def load(config, reporter, info=None):
        if config.runtime == "torch-compile":
            raise DeviceError("no compiler")
        if config.runtime == "openvino":
            raise DeviceError("openvino cannot be loaded")
        if config.runtime == "onnxruntime":
            raise RuntimeError("bad graph\nmore")
        found = SimpleNamespace(label_map=np.zeros((4, 6), np.uint8))
        segmenter = SimpleNamespace(segment=lambda frames: [found for _ in frames])
        return SimpleNamespace(
            runtime=SimpleNamespace(name=config.runtime), segmenter=lambda config, info, timers: segmenter
        )

    monkeypatch.setattr(bench, "load_engine", load)
    monkeypatch.setattr(bench, "model_alone", lambda *_: ())
    said = []
    reporter = SimpleNamespace(phase=lambda text: None, note=said.append)
    request = BenchRequest(config=RunConfig(device="cpu"))
    compared = bench._compare(request.config, [frame(0)], request, reporter)
    assert [(each.runtime, each.same_labels) for each in compared] == [("torch", 1)]
    assert said == [
        "left out: openvino cannot be loaded",
        "left out: onnxruntime failed (bad graph)",
        "left out: no compiler",
    ]


def test_a_comparison_takes_as_many_threads_as_the_model_alone(monkeypatch):
    seen = []

    def load(config, reporter, **beside):
        if reporter.at.startswith("model alone in"):
            assert torch.get_num_threads() == before
        seen.append((reporter.at, config.threads))
        return load_engine(config, reporter, **beside)

    before = torch.get_num_threads()
    monkeypatch.setattr(bench, "load_engine", load)
    monkeypatch.setattr(bench, "beside_other_stages", lambda config: replace(config, threads=before + 1))
    monkeypatch.setattr(bench, "candidates", lambda *_: ["torch"])
    monkeypatch.setattr(bench, "fitting_engines", lambda *_: [])

    class Reporter(SilentReporter):
        at = "start"

        def phase(self, text):
            self.at = text

    config = RunConfig(source="test:48x32@10,frames=6", runtime="torch", device="cpu", imgsz=64)
    try:
        result = bench.bench(BenchRequest(config=config, batches=(1,), compare=True, seconds=0.01), Reporter())
    finally:
        torch.set_num_threads(before)
    assert [threads for at, threads in seen if at != "each stage alone"] == [None] * 3
    assert [threads for at, threads in seen if at == "each stage alone"] == [before + 1]
    assert (result.threads_alone, result.threads_run) == (None, before + 1)
    assert result.machine["torch_threads"] == str(before) and result.model_alone and result.compared
