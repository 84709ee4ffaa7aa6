"""Prints runs, and holds what other consoles share. Data goes to stdout, everything else to stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as ProgressBar
from rich.table import Column

from vidseg.cli.say import say
from vidseg.names import STANDARD_OUTPUT, counted
from vidseg.timing import clock_time
from vidseg.wiring.damage import DAMAGE

if TYPE_CHECKING:
    from vidseg.app.run import Outcome
    from vidseg.pipeline.grid_lane import LaneStats
    from vidseg.pipeline.stats import Progress

PLAIN_LINE_SECONDS = 5.0
"""How often progress is printed if stderr is not a terminal."""

BAR_WIDTH = 20
WIDE_TERMINAL = 140
"""Width in columns from which stage times fit beside the bar."""

SHOWN_STAGES = ("decode", "preprocess", "model", "postprocess", "render", "write")


class RunConsole:
    """Implements `vidseg.wiring.reporter.Reporter`: a progress bar on a terminal, plain lines elsewhere."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self._quiet = quiet
        self._verbose = verbose and not quiet
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._draws = self._console.is_terminal and not quiet
        self._bar: ProgressBar | None = None
        self._next_line = time.monotonic() + PLAIN_LINE_SECONDS
        self._last_line = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def note(self, text: str) -> None:
        if not self._quiet:
            say(f"vidseg: {text}", self._console)

    def address(self, text: str) -> None:
        say(f"vidseg: {text}", self._console)

    def problem(self, text: str) -> None:
        say(f"vidseg: error: {text}", self._console)

    def detail(self, text: str) -> None:
        if self._verbose:
            self.note(text)

    def download(self, done: int, total: int | None) -> None:
        share = f" of {total / 1e6:.1f}" if total else ""
        self._show(done, total, f"{done / 1e6:.1f}{share} MB")

    def progress(self, progress: Progress, total: int | None) -> None:
        line = progress_line(progress, total)
        if self._draws and self._console.width >= WIDE_TERMINAL:
            line = f"{line}  {stage_times(progress)}"
        self._show(progress.delivered, total, line)

    def _show(self, done: int, total: int | None, text: str) -> None:
        """Show a bar on a terminal, or a line every few seconds elsewhere."""
        if self._quiet:
            return
        if self._draws:
            if self._bar is None:
                described = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
                columns = (BarColumn(bar_width=BAR_WIDTH), described)
                self._bar = ProgressBar(*columns, console=self._console, transient=True)
                self._bar.add_task("", total=total)
                self._bar.start()
            self._bar.update(self._bar.task_ids[0], completed=done, total=total, description=text)
        elif time.monotonic() >= self._next_line and text != self._last_line:
            self._last_line = text
            self._next_line = time.monotonic() + PLAIN_LINE_SECONDS
            self.note(text)

    def _stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def summary(self, outcome: Outcome) -> None:
        """Print how the run ended; damage is reported even with --quiet."""
        if outcome.damage is not None:
            self._console.print(f"vidseg: {outcome.damage}", markup=False)
        if self._quiet:
            return
        for line in summary_lines(outcome):
            self.note(line)


def progress_line(progress: Progress, total: int | None) -> str:
    """ "123/456 frames, 31.2 fps, 0:11 left, 4 dropped": what is unknown or zero is left out."""
    of_total = f"/{total}" if total else ""
    parts = [f"{progress.delivered}{of_total} frames"]
    if progress.rate > 0:
        parts.append(f"{progress.rate:.1f} fps")
    if total and progress.rate > 0:
        parts.append(f"{clock_time(max(0.0, (total - progress.delivered) / progress.rate))} left")
    if progress.dropped:
        parts.append(f"{progress.dropped} dropped")
    return ", ".join(parts)


def stage_times(progress: Progress) -> str:
    """ "model 33 ms, write 9 ms": mean milliseconds per frame of the stages seen so far."""
    totals = progress.stages
    return ", ".join(f"{name} {totals[name].ms_per_frame:.0f} ms" for name in SHOWN_STAGES if name in totals)


def summary_lines(outcome: Outcome) -> list[str]:
    """What a run did, one line per topic."""
    stats = outcome.stats
    if outcome.kept is not None:
        return [f"stopped; {outcome.kept}"]
    if outcome.aborted:
        return [f"aborted after {counted(stats.delivered, 'frame')}; unfinished files were removed"]
    if stats.stopped_early and not stats.delivered:
        return ["stopped before the first frame; nothing was written"]
    counts = [f"{counted(stats.delivered, 'frame')} in {stats.elapsed_seconds:.1f} s ({stats.fps:.1f} fps)"]
    if stats.inferred:
        counts.append(f"{stats.inferred} segmented")
    named = (
        ("held", stats.held),
        ("left out for the frame rate", stats.skipped),
        ("dropped", stats.dropped),
        ("too old to show", stats.stale),
    )
    counts += [f"{count} {name}" for name, count in named if count]
    if stats.placeholders:
        counts.append(counted(stats.placeholders, "offline card"))
    counters = dict(stats.source_counters)
    told = (*DAMAGE, "truncated") if outcome.damage is not None else ()
    counts += [f"{count} {name.replace('_', ' ')}" for name, count in counters.items() if count and name not in told]
    lines = ["; ".join([", ".join(counts), *([outcome.runtime] if outcome.runtime else [])])]
    lines += [lane_line(lane) for lane in outcome.lanes]
    times = [f"{name} {stage.ms_per_frame:.1f}" for name, stage in stats.stages.items()]
    if times:
        lines.append(f"ms per frame: {', '.join(times)}")
    lines += [
        f"sent to {path}" if "://" in path or path == STANDARD_OUTPUT else f"wrote {path}" for path in outcome.outputs
    ]
    return lines


def lane_line(lane: LaneStats) -> str:
    """ "cam0: 300 frames in, 290 shown (29.0 fps), 120 segmented, 10 dropped": what is zero is left out at the end."""
    if not lane.decoded:
        return f"{lane.name}: no frame arrived" + (", given up" if lane.broken is not None else "")
    rate = f" ({(lane.shown - 1) / lane.seconds:.1f} fps)" if lane.seconds > 0 else ""
    parts = [
        f"{lane.name}: {counted(lane.decoded, 'frame')} in",
        f"{lane.shown} shown{rate}",
        f"{lane.inferred} segmented",
    ]
    named = (
        ("dropped", lane.dropped),
        ("between two pictures", lane.passed_over),
        ("in progress at the end", lane.discarded),
    )
    parts += [f"{count} {name}" for name, count in named if count]
    several = (("offline card", lane.placeholders), ("reconnect", lane.reconnects))
    parts += [counted(count, name) for name, count in several if count]
    if lane.broken is not None:
        parts.append("broke off")
    return ", ".join(parts)


def output() -> Console:
    """The console for data: stdout, without cutting lines unless it is a terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)
