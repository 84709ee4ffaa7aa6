"""A live source for a long time, with trouble: does it stay live, and does memory stay flat?

    python benchmarks/soak.py [--minutes 10] [--trouble kill,freeze,cut,garbage,size] [--every 15] [--freeze 5]
                              [--model NAME|none] [--imgsz 384] [--json FILE]

Starts an RTSP server of its own (needs gir1.2-gst-rtsp-server-1.0, python3-gi, gstreamer1.0-plugins-ugly) and looks at
it as `vidseg run URL --show` does, but for the window. Every `--every` seconds the next trouble is made: the server is
killed and started again, frozen, the line cut in the middle of a packet, noise sent, the picture switched between
640x480 and 1280x720. Printed about every ten seconds: frames shown a second, drops, resident memory, threads, and
the age of frames when they are shown (from their leaving the source). At the end: how long the picture took to be back
after each trouble, and how memory and threads compare with those after the first minute.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.servers.processes import RtspServer  # noqa: E402
from tests.servers.proxy import Relay  # noqa: E402
from vidseg.app.engine import load_engine  # noqa: E402
from vidseg.app.live_source import Announcements, open_run_source  # noqa: E402
from vidseg.app.run import pipeline_options  # noqa: E402
from vidseg.cli.console import RunConsole  # noqa: E402
from vidseg.config import RunConfig  # noqa: E402
from vidseg.frames import Frame, Segmentation  # noqa: E402
from vidseg.motion.propagate import FlowPropagator  # noqa: E402
from vidseg.pipeline.buffer import Buffer, Closed  # noqa: E402
from vidseg.pipeline.pipeline import Pipeline, Result, nothing_found  # noqa: E402
from vidseg.timing import StageTimers  # noqa: E402

TROUBLES = ("kill", "freeze", "cut", "garbage", "size")
BACK_SECONDS = 2.0


class NoModel:
    """Finds nothing."""

    def segment(self, frames: Sequence[Frame]) -> list[Segmentation]:
        return [nothing_found(frame) for frame in frames]


class Troublemaker(threading.Thread):
    """Makes one trouble after the other, and notes when the source was well again."""

    def __init__(self, server: RtspServer, relay: Relay, arguments: argparse.Namespace) -> None:
        super().__init__(name="troublemaker", daemon=True)
        self._server, self._relay, self._arguments = server, relay, arguments
        self._ended = threading.Event()
        self.well_since: list[tuple[str, float]] = []

    def run(self) -> None:
        kinds = self._arguments.trouble.split(",")
        number = 0
        while not self._ended.wait(self._arguments.every):
            kind = kinds[number % len(kinds)]
            number += 1
            self._make(kind, number)
            self.well_since.append((kind, time.monotonic()))

    def _make(self, kind: str, number: int) -> None:
        server = self._server
        if kind == "kill":
            server.kill()
            self._ended.wait(1.0)
            server.start()
        elif kind == "freeze":
            server.freeze()
            self._ended.wait(self._arguments.freeze)
            server.thaw()
        elif kind == "cut":
            self._relay.cut_in_packet(100)
            self._ended.wait(0.2)
        elif kind == "garbage":
            self._relay.send_garbage(20)
            self._ended.wait(1.0)
        else:
            server.tell(f"size {('640x480', '1280x720')[number % 2]}")

    def stop(self) -> None:
        self._ended.set()
        self.join()


def resident_mb() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--trouble", default=",".join(TROUBLES))
    parser.add_argument("--every", type=float, default=15.0)
    parser.add_argument("--freeze", type=float, default=5.0)
    parser.add_argument("--model", default="none")
    parser.add_argument("--imgsz", type=int, default=384)
    parser.add_argument("--timeout", type=float, default=3.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    unknown = set(arguments.trouble.split(",")) - set(TROUBLES)
    if unknown:
        parser.error(f"unknown trouble {', '.join(sorted(unknown))}; known: {', '.join(TROUBLES)}")

    with RtspServer(size="640x480") as server, Relay(server.port) as relay:
        summary = soak(arguments, server, relay)
    print(json.dumps(summary, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(summary, indent=2) + "\n")


def soak(arguments: argparse.Namespace, server: RtspServer, relay: Relay) -> dict[str, object]:
    """Run, and return what came of it."""
    config = RunConfig(
        source=relay.behind(server.url), show=True, timeout=arguments.timeout, imgsz=arguments.imgsz, threads=1
    )
    announcements, console, timers = Announcements(), RunConsole(), StageTimers()
    source = open_run_source(config, announcements, print)
    segmenter = NoModel()
    if arguments.model != "none":
        config = RunConfig(source=config.source, show=True, model=arguments.model, imgsz=arguments.imgsz, threads=1)
        segmenter = load_engine(config, console).segmenter(config, source.info, timers)
    pipeline = Pipeline(
        source,
        segmenter,
        None,
        [],
        propagator=FlowPropagator(timers),
        second_propagator=FlowPropagator(timers),
        options=pipeline_options(config, source.info, 1),
        timers=timers,
    )
    trouble = Troublemaker(server, relay, arguments)
    ages: list[float] = []
    arrivals: list[float] = []
    rows: list[dict[str, float]] = []
    begin = time.monotonic()
    ends = begin + 60 * arguments.minutes
    trouble.start()

    def display(results: Buffer[Result]) -> None:
        next_row, shown_before = begin + 10, 0
        while (now := time.monotonic()) < ends:
            announcements.print(lambda text: print(f"{now - begin:7.1f} s  {text}", flush=True))
            if now >= next_row:
                gc.collect()
                stats = pipeline.stats
                rows.append(
                    {
                        "seconds": round(now - begin),
                        "shown_per_second": round((stats.shown - shown_before) / (now - next_row + 10), 1),
                        "dropped": pipeline.dropped,
                        "stale": stats.stale,
                        "reconnects": source.counters.get("reconnects", 0),
                        "resident_mb": round(resident_mb(), 1),
                        "threads": threading.active_count(),
                    }
                )
                print(rows[-1], flush=True)
                next_row, shown_before = now + 10, stats.shown
            try:
                result = results.get(timeout=0.1)
            except TimeoutError:
                continue
            except Closed:
                return
            if pipeline.stale(result):
                continue
            pipeline.stats.shown += 1
            if not result.frame.placeholder:
                arrivals.append(time.monotonic())
                ages.append(time.perf_counter() - result.frame.arrived)

    stats = pipeline.run(display)
    trouble.stop()
    back: dict[str, list[float]] = {}
    for kind, well in trouble.well_since:
        later = [moment - well for moment in arrivals if moment >= well]
        if later and well < ends - BACK_SECONDS:
            back.setdefault(kind, []).append(round(later[0], 2))
    settled = [row for row in rows if row["seconds"] >= 60] or rows[1:] or rows
    return {
        "minutes": arguments.minutes,
        "shown": stats.shown,
        "placeholders": stats.placeholders,
        "dropped": stats.dropped,
        "stale": stats.stale,
        "counters": stats.source_counters,
        "age_ms": {f"p{q}": round(float(np.percentile(ages, q)) * 1000, 1) for q in (50, 95, 99, 100)},
        "back_seconds": {kind: {"times": len(all_), "longest": max(all_)} for kind, all_ in back.items()},
        "resident_mb": {"first": settled[0]["resident_mb"], "last": settled[-1]["resident_mb"]},
        "threads": {"first": settled[0]["threads"], "last": settled[-1]["threads"]},
    }


if __name__ == "__main__":
    main()
