"""Figures of a run for Prometheus, read when they are asked for: a run costs nothing more for being watched.

Names follow prometheus.io/docs/practices/naming: base units, `_total` for counts that only rise.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import accumulate
from socketserver import BaseServer
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

import vidseg
from vidseg.pipeline.pipeline import Pipeline

_SLOW_CLIENT_SECONDS = 2.0


class PipelineCollector(Collector):
    """The figures of one `Pipeline`. `facts` are told as labels of `vidseg_info`."""

    def __init__(self, pipeline: Pipeline, **facts: str) -> None:
        self._pipeline = pipeline
        self._facts = {"version": vidseg.__version__, **facts}

    def collect(self) -> Iterator[Metric]:
        pipeline, stats = self._pipeline, self._pipeline.stats
        yield InfoMetricFamily("vidseg", "What runs.", value=self._facts)
        yield _labelled(
            CounterMetricFamily("vidseg_frames", "Frames that got so far.", labels=["stage"]),
            {"decoded": stats.decoded, "segmented": stats.inferred, "delivered": stats.delivered},
        )
        yield _labelled(
            CounterMetricFamily("vidseg_frames_dropped", "Frames that were left out.", labels=["cause"]),
            {"overload": pipeline.dropped, "max_fps": stats.skipped, "sending": pipeline.lost_in_sending},
        )
        yield _labelled(
            GaugeMetricFamily("vidseg_frame_rate", "Frames per second over the last 64 frames.", labels=["direction"]),
            {"in": pipeline.input_rate.rate, "out": pipeline.output_rate.rate},
        )
        yield _labelled(
            GaugeMetricFamily("vidseg_queue_depth", "Frames that wait between two stages.", labels=["queue"]),
            pipeline.queue_depths,
        )
        yield self._latency()
        stages = SummaryMetricFamily("vidseg_stage_seconds", "Work per frame, by stage.", labels=["stage"])
        for name, stage in pipeline.timers.totals().items():
            stages.add_metric([name], count_value=stage.frames, sum_value=stage.seconds)
        yield stages
        counters = pipeline.source_counters
        reconnects = counters.pop("reconnects", 0)
        yield CounterMetricFamily("vidseg_reconnects", "Times the source was lost and found again.", value=reconnects)
        text = "Times the receiver of a sent stream was lost and found again."
        yield CounterMetricFamily("vidseg_receiver_reconnects", text, value=pipeline.receiver_reconnects)
        yield _labelled(
            CounterMetricFamily("vidseg_source_events", "Other things that the source counted.", labels=["event"]),
            counters,
        )

    def _latency(self) -> Metric:
        counts, total = self._pipeline.latency.snapshot()
        bounds = [*(str(bound) for bound in self._pipeline.latency.bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(counts), strict=True))
        text = "Seconds from a frame's coming out of the source until every output had taken it."
        return HistogramMetricFamily("vidseg_latency_seconds", text, buckets=buckets, sum_value=total)


class MetricsServer:
    """Answers any GET with the figures of `pipeline`. `run` blocks: it is meant for a thread of its own.

    One request at a time; a client that says nothing is hung up on after 2 s.
    """

    def __init__(self, listener: socket.socket, pipeline: Pipeline, **facts: str) -> None:
        registry = CollectorRegistry()
        registry.register(PipelineCollector(pipeline, **facts))
        ProcessCollector(registry=registry)  # CPU and memory; does nothing where there is no /proc
        self._server = _Server(listener)
        self._server.set_app(make_wsgi_app(registry))

    def run(self) -> None:
        """Serve until `stop`."""
        with self._server:
            self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """Make `run` return soon. To be called while it runs, from another thread."""
        self._server.shutdown()


class _Handler(WSGIRequestHandler):
    timeout = _SLOW_CLIENT_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: who reads the figures is no event."""


class _Server(WSGIServer):
    """On a socket that listens already."""

    def __init__(self, listener: socket.socket) -> None:
        BaseServer.__init__(self, listener.getsockname(), _Handler)
        self.socket = listener
        host, port = listener.getsockname()[:2]
        self.server_name, self.server_port = str(host), int(port)
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: the client went away, or stayed silent."""


def _labelled(family: Any, values: dict[str, Any]) -> Metric:
    for label, value in values.items():
        family.add_metric([label], value)
    metric: Metric = family
    return metric
