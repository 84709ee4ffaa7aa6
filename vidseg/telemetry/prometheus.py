"""Metrics of a run for Prometheus, read when they are asked for: a run costs nothing more for being watched.

Names follow prometheus.io/docs/practices/naming (base units, `_total` for counts that only rise), the text
prometheus.io/docs/instrumenting/exposition_formats (version 0.0.4).
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable, Mapping
from itertools import accumulate

from vidseg.pipeline.pipeline import Pipeline
from vidseg.version import __version__

_STARTED = time.time()


def metrics_text(pipeline: Pipeline, **facts: str) -> str:
    """The metrics of one `Pipeline`, and CPU and memory of this process. `facts` are labels of `vidseg_info`."""
    stats, counters = pipeline.stats, dict(pipeline.source_counters)
    reconnects = counters.pop("reconnects", 0)
    stages = {"decoded": stats.decoded, "segmented": stats.inferred, "delivered": stats.delivered}
    dropped = {"overload": pipeline.dropped, "max_fps": stats.skipped, "sending": pipeline.lost_in_sending}
    rates = {"in": pipeline.input_rate.rate, "out": pipeline.output_rate.rate}
    receiver = "Reconnections to the receiver of the stream."
    lines = [
        *_family("vidseg_info", "gauge", "Version, model and runtime.", [({"version": __version__, **facts}, 1)]),
        *_counter("vidseg_frames_total", "Frames that reached each stage.", "stage", stages),
        *_counter("vidseg_frames_dropped_total", "Frames left out, by cause.", "cause", dropped),
        *_gauge("vidseg_frame_rate", "Frames per second over the last 64 frames.", "direction", rates),
        *_gauge("vidseg_queue_depth", "Frames waiting between two stages.", "queue", pipeline.queue_depths),
        *_latency(pipeline),
        *_stages(pipeline),
        *_family("vidseg_reconnects_total", "counter", "Reconnections to the source.", [({}, reconnects)]),
        *_family("vidseg_receiver_reconnects_total", "counter", receiver, [({}, pipeline.receiver_reconnects)]),
        *_counter("vidseg_source_events_total", "Other events counted by the source.", "event", counters),
        *_process(),
    ]
    return "\n".join(lines) + "\n"


Sample = tuple[Mapping[str, str], float]
"""Labels and value."""


def _family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> list[str]:
    return [*_head(name, kind, text), *(_line(name, labels, value) for labels, value in samples)]


def _counter(name: str, text: str, label: str, values: Mapping[str, float]) -> list[str]:
    return _family(name, "counter", text, [({label: key}, value) for key, value in values.items()])


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> list[str]:
    return _family(name, "gauge", text, [({label: key}, value) for key, value in values.items()])


def _latency(pipeline: Pipeline) -> list[str]:
    counts, total = pipeline.latency.snapshot()
    bounds = [*(str(bound) for bound in pipeline.latency.bounds), "+Inf"]
    rising = list(accumulate(counts))
    name = "vidseg_latency_seconds"
    return [
        *_head(name, "histogram", "Seconds from the source until all outputs have taken a frame."),
        *(_line(f"{name}_bucket", {"le": le}, count) for le, count in zip(bounds, rising, strict=True)),
        _line(f"{name}_count", {}, rising[-1]),
        _line(f"{name}_sum", {}, total),
    ]


def _stages(pipeline: Pipeline) -> list[str]:
    name = "vidseg_stage_seconds"
    lines = _head(name, "summary", "Work per frame, by stage.")
    for stage, time_of in pipeline.timers.totals().items():
        lines.append(_line(f"{name}_count", {"stage": stage}, time_of.frames))
        lines.append(_line(f"{name}_sum", {"stage": stage}, time_of.seconds))
    return lines


def _process() -> list[str]:
    """Those that every Prometheus client gives, as far as this system tells them."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = usage.ru_utime + usage.ru_stime
    lines = _family("process_cpu_seconds_total", "counter", "User and system CPU seconds.", [({}, seconds)])
    lines += _family("process_start_time_seconds", "gauge", "Start, in seconds since 1970.", [({}, _STARTED)])
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = [int(word) for word in file.read().split()]
        files = len(os.listdir("/proc/self/fd"))
    except OSError:  # no /proc here
        return lines
    size = os.sysconf("SC_PAGE_SIZE")
    lines += _family("process_virtual_memory_bytes", "gauge", "Virtual memory.", [({}, size * pages[0])])
    lines += _family("process_resident_memory_bytes", "gauge", "Resident memory.", [({}, size * pages[1])])
    return lines + _family("process_open_fds", "gauge", "Open file descriptors.", [({}, files)])


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{told}}} {value!r}" if told else f"{name} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
