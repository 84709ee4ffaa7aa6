"""Metrics for Prometheus, read back with the library's own parser."""

from __future__ import annotations

import pytest

pytest.importorskip("prometheus_client")

from prometheus_client.parser import text_string_to_metric_families

from tests.fakes import FakeSegmenter, FakeSender, FakeSource, frame
from vidseg.pipeline.options import PipelineOptions
from vidseg.pipeline.pipeline import Pipeline
from vidseg.telemetry.prometheus import metrics_text

pytestmark = pytest.mark.timeout(60)

MODEL = 'nano "2"\\n,\nnet'
"""A name that needs care between quotes."""


@pytest.fixture(scope="module")
def samples() -> dict[tuple[str, str], float]:
    """Every sample of a finished run, by name and first label."""
    source = FakeSource([frame(k) for k in range(6)])
    options = PipelineOptions(max_fps=15, stride=2)
    pipeline = Pipeline(source, FakeSegmenter(), None, [FakeSender(lost=2, reconnects=1)], options=options)
    pipeline.run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vidseg.timing._BURST_SECONDS", 0)  # stages that do nothing take less
        text = metrics_text(pipeline, model=MODEL)
    return {
        (sample.name, sample.labels.get("model", next(iter(sample.labels.values()), ""))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_all_figures_are_there_and_add_up(samples):
    # 30 fps limited to 15: every other frame is left out
    assert samples["vidseg_frames_total", "decoded"] == 6
    assert samples["vidseg_frames_total", "delivered"] == 3
    assert samples["vidseg_frames_total", "segmented"] == 2
    assert samples["vidseg_frames_dropped_total", "max_fps"] == 3
    assert samples["vidseg_frames_dropped_total", "overload"] == 0
    assert samples["vidseg_frames_dropped_total", "sending"] == 2
    assert samples["vidseg_receiver_reconnects_total", ""] == 1
    assert samples["vidseg_frame_rate", "in"] > 0 and samples["vidseg_frame_rate", "out"] > 0
    assert samples["vidseg_queue_depth", "incoming"] == 0
    assert samples["vidseg_latency_seconds_count", ""] == samples["vidseg_latency_seconds_bucket", "+Inf"] == 3
    assert samples["vidseg_latency_seconds_sum", ""] > 0
    assert samples["vidseg_stage_seconds_count", "write"] == 3
    assert samples["vidseg_reconnects_total", ""] == 0
    assert samples["vidseg_source_events_total", "corrupt_packets"] == 3


def test_buckets_only_rise(samples):
    buckets = [value for (name, _), value in samples.items() if name == "vidseg_latency_seconds_bucket"]
    assert buckets == sorted(buckets) and len(buckets) == 15


def test_what_runs_is_named(samples):
    assert samples["vidseg_info", MODEL] == 1


def test_the_process_is_measured(samples):
    assert samples["process_cpu_seconds_total", ""] > 0
    assert samples["process_resident_memory_bytes", ""] > 1e6
    assert samples["process_open_fds", ""] >= 3
