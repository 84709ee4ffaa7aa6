"""A live source for a long time, with trouble: does it stay live, and does memory stay flat?

    python benchmarks/soak.py --drill [--model NAME|none] [--json FILE]
    python benchmarks/soak.py [--minutes 10] [--trouble kill,freeze,cut,garbage,size] [--every 15] [--freeze 5]
                              [--timeout 10] [--model NAME|none] [--imgsz 384] [--json FILE]

Starts an RTSP server of its own (needs gir1.2-gst-rtsp-server-1.0, python3-gi, gstreamer1.0-plugins-ugly) and looks at
it as `vidseg run URL --show` does, but for the window. Trouble is made: the server is killed and started again, frozen,
the line cut in the middle of a packet, noise sent, the picture switched between 640x480 and 1280x720.

`--drill` makes these once: 20 kills in a row, a freeze of 30 s, 5 cuts, 4 switches of the size, 5 times noise. Else the
kinds of `--trouble` follow each other, one every `--every` seconds, for so many minutes; `kill*20` stands for 20 kills.

Printed about every ten seconds: frames shown a second, drops, resident memory, threads. At the end, for each kind of
trouble, how long it took from the moment the source was well again until the picture was live again: real frames, none
of them a second or more after the one before, and not in a rush as a backlog comes, from then until the next trouble.
Also the age of frames when they are shown (from their leaving the source), and memory and threads before the first
trouble, after the first minute and after the last trouble: vidseg's own threads, and those of decoders and relay too.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.servers.processes import RtspServer  # noqa: E402
from tests.servers.proxy import Relay  # noqa: E402
from vidseg.cli.console import RunConsole  # noqa: E402
from vidseg.config import RunConfig  # noqa: E402
from vidseg.frames import Frame, Segmentation  # noqa: E402
from vidseg.interfaces import VideoSource  # noqa: E402
from vidseg.motion.propagate import FlowPropagator  # noqa: E402
from vidseg.pipeline.buffer import Buffer, Closed  # noqa: E402
from vidseg.pipeline.options import Result, nothing_found  # noqa: E402
from vidseg.pipeline.pipeline import Pipeline  # noqa: E402
from vidseg.timing import StageTimers  # noqa: E402
from vidseg.wiring.engine import load_engine  # noqa: E402
from vidseg.wiring.frame_policy import pipeline_options  # noqa: E402
from vidseg.wiring.run_source import Announcements, open_run_source  # noqa: E402
from vidseg.wiring.wrapped_source import WrappedSource  # noqa: E402

TROUBLES = ("kill", "freeze", "cut", "garbage", "size")
DRILL = "kill*20,freeze,cut*5,size*4,garbage*5"
DRILL_FREEZE, DRILL_PAUSE = 30.0, 5.0
"""Seconds: of the freeze, and between one trouble's end and the next."""
BACK_SECONDS = 2.0
GAP_SECONDS = 1.0
RUSH_FRAMES, RUSH_SECONDS = 25, 0.5
"""So many frames of 25 a second in so little time are a backlog that is played."""
WARM_UP_SECONDS = 20.0


class NoModel:
    """Finds nothing."""

    def segment(self, frames: Sequence[Frame]) -> list[Segmentation]:
        return [nothing_found(frame) for frame in frames]


class Noting(WrappedSource[VideoSource]):
    """The frames of another source, and when the real ones came."""

    def __init__(self, source: VideoSource) -> None:
        super().__init__(source)
        self.moments: list[float] = []

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            if not frame.placeholder:
                self.moments.append(time.monotonic())
            yield frame


def live_again(moments: Sequence[float], well: float, until: float) -> float | None:
    """Seconds from `well` to the frame from which on the picture is live, `until` then; None where there is none."""
    seen = [moment for moment in moments if well <= moment < until]
    if not seen or until - seen[-1] > GAP_SECONDS:
        return None
    live = seen[0]
    for before, after in itertools.pairwise(seen):
        if after - before > GAP_SECONDS:
            live = after
    for first, last in zip(seen, seen[RUSH_FRAMES - 1 :], strict=False):
        if last - first < RUSH_SECONDS:
            live = max(live, last)
    return live - well


def troubles_of(text: str) -> list[str]:
    """ "kill*2,cut" as kill, kill, cut. Raises ValueError for what is unknown."""
    kinds = []
    for word in text.split(","):
        kind, _, count = word.partition("*")
        if kind not in TROUBLES:
            raise ValueError(f"unknown trouble {kind}; known: {', '.join(TROUBLES)}")
        kinds += [kind] * int(count or 1)
    return kinds


class Troublemaker(threading.Thread):
    """Makes one trouble after the other; notes when each began, and its kind and when the source was well again."""

    def __init__(self, server: RtspServer, relay: Relay, arguments: argparse.Namespace) -> None:
        super().__init__(name="troublemaker", daemon=True)
        self._server, self._relay, self._arguments = server, relay, arguments
        self._ended = threading.Event()
        self.began: list[float] = []
        self.well: list[tuple[str, float]] = []

    def run(self) -> None:
        kinds = troubles_of(self._arguments.trouble)
        if not self._arguments.drill:
            kinds = itertools.cycle(kinds)
        self._ended.wait(WARM_UP_SECONDS)
        for number, kind in enumerate(kinds, 1):
            if self._ended.is_set():
                return
            self.began.append(time.monotonic())
            self._make(kind, number)
            self.well.append((kind, time.monotonic()))
            self._ended.wait(self._arguments.every)

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
            while not self._relay.clean and not self._ended.wait(0.02):
                pass
        else:
            server.tell(f"size {('640x480', '1280x720')[number % 2]}")

    def stop(self) -> None:
        self._ended.set()
        self.join()


def resident_mb() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def summary_of(seconds: Sequence[float | None]) -> dict[str, float | None]:
    """How many, how many of them None, and of the others the median and the longest."""
    known = [value for value in seconds if value is not None]
    longest, median = (round(float(of(known)), 2) if known else None for of in (max, np.median))
    return {"times": len(seconds), "never": len(seconds) - len(known), "median": median, "longest": longest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--drill", action="store_true")
    parser.add_argument("--trouble", default=",".join(TROUBLES))
    parser.add_argument("--every", type=float, default=15.0)
    parser.add_argument("--freeze", type=float, default=5.0)
    parser.add_argument("--model", default="none")
    parser.add_argument("--imgsz", type=int, default=384)
    parser.add_argument("--timeout", type=float, default=RunConfig().timeout)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.drill:
        arguments.trouble, arguments.freeze, arguments.every = DRILL, DRILL_FREEZE, DRILL_PAUSE
        arguments.minutes = float("inf")
    try:
        troubles_of(arguments.trouble)
    except ValueError as error:
        parser.error(str(error))

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
    source = Noting(open_run_source(config, announcements, print))
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
    rows: list[dict[str, float]] = []
    begin = time.monotonic()
    ends = begin + 60 * arguments.minutes
    trouble.start()

    over = begin

    def note_row(shown_before: int, since: float, now: float) -> None:
        gc.collect()
        stats = pipeline.stats
        rows.append(
            {
                "seconds": round(now - begin),
                "shown_per_second": round((stats.shown - shown_before) / (now - since), 1),
                "dropped": pipeline.dropped,
                "stale": stats.stale,
                "reconnects": source.counters.get("reconnects", 0),
                "resident_mb": round(resident_mb(), 1),
                "threads": sum(thread.name.startswith("vidseg") for thread in threading.enumerate()),
                "system_threads": len(os.listdir("/proc/self/task")),
            }
        )
        print(rows[-1], flush=True)

    def display(results: Buffer[Result]) -> None:
        nonlocal over
        since, shown_before = begin, 0
        while (now := time.monotonic()) < ends and trouble.is_alive():
            announcements.print(lambda text: print(f"{now - begin:7.1f} s  {text}", flush=True))
            if now >= since + 10:
                note_row(shown_before, since, now)
                since, shown_before = now, pipeline.stats.shown
            try:
                result = results.get(timeout=0.1)
            except TimeoutError:
                continue
            except Closed:
                break
            if pipeline.stale(result):
                continue
            pipeline.stats.shown += 1
            if not result.frame.placeholder:
                ages.append(time.perf_counter() - result.frame.arrived)
        over = time.monotonic()
        note_row(shown_before, since, over)

    stats = pipeline.run(display)
    trouble.stop()
    back: dict[str, list[float | None]] = {}
    for (kind, well), until in zip(trouble.well, [*trouble.began[1:], over], strict=False):
        if until - well > BACK_SECONDS:  # else the time was over before it could be back
            back.setdefault(kind, []).append(live_again(source.moments, well, until))
    settled = [row for row in rows if row["seconds"] >= 60] or rows
    calm = [row for row in rows if row["seconds"] <= WARM_UP_SECONDS]
    return {
        "minutes": round((time.monotonic() - begin) / 60, 1),
        "shown": stats.shown,
        "placeholders": stats.placeholders,
        "dropped": stats.dropped,
        "stale": stats.stale,
        "counters": stats.source_counters,
        "age_ms": {f"p{q}": round(float(np.percentile(ages, q)) * 1000, 1) for q in (50, 95, 99, 100)},
        "live_again_seconds": {kind: summary_of(all_) for kind, all_ in back.items()},
        **{
            name: {"before": calm[-1][name], "after a minute": settled[0][name], "after": rows[-1][name]}
            for name in ("resident_mb", "threads", "system_threads")
        },
    }


if __name__ == "__main__":
    main()
