"""Prints batches: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.columns import Columns
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from vidseg.cli.console import BAR_WIDTH, RunConsole
from vidseg.names import counted, shown_name, url_scheme
from vidseg.timing import clock_time

if TYPE_CHECKING:
    from vidseg.batch.board import Board, Row, RowState
    from vidseg.batch.prepare import Plan
    from vidseg.batch.report import BatchReport

PLAIN_LINE_SECONDS = 30.0
"""How often totals are printed if stderr is not a terminal."""
REFRESH_SECONDS = 0.25

_STYLES = {"running": "bold", "done": "green", "failed": "red", "stopped": "yellow", "waiting": "dim", "skipped": "dim"}
_ACTIONS = {"do": "do  ", "skip": "skip", "fail": "fail"}


class BatchConsole(RunConsole):
    """Implements `vidseg.batch.work.BatchReporter`."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        super().__init__(quiet=quiet, verbose=verbose)
        self._table: Live | None = None
        self._board: Board | None = None
        self._next_table = 0.0
        self._next_totals = time.monotonic() + PLAIN_LINE_SECONDS

    def __exit__(self, *error: object) -> None:
        if self._table is not None and self._board is not None:
            self._table.update(board_table(self._board, height=self._console.height), refresh=True)
            self._table.stop()
        super().__exit__(*error)

    def batch_progress(self, board: Board) -> None:
        """Update the table, or print totals now and then."""
        self._board = board
        now = time.monotonic()
        if self._draws and now >= self._next_table:
            self._next_table = now + REFRESH_SECONDS
            if self._table is None:
                self._stop()
                # stdout stays as it is: while Ray runs, whatever it prints there is discarded
                self._table = Live(console=self._console, auto_refresh=False, redirect_stdout=False)
                self._table.start()
            self._table.update(board_table(board, height=self._console.height), refresh=True)
        elif not self._draws and not self._quiet and now >= self._next_totals:
            self._next_totals = now + PLAIN_LINE_SECONDS
            self.note(totals_line(board))

    def job_done(self, row: Row, board: Board) -> None:
        """Print a line, unless the table shows it."""
        if not self._draws:
            self.note(finished_line(row, board))

    def input_failed(self, name: str, reason: str) -> None:
        """Print the reason at once, also with --quiet."""
        self.problem(f"{shown_name(name)}: {reason}")

    def batch_summary(self, report: BatchReport, written: Sequence[str], folder: str) -> None:
        """Print how the batch ended: counts, remarks, the files of the report, or else where the outputs are."""
        not_started = sum(item.state == "not started" for item in report.files)
        if not_started:
            files = "1 file was" if not_started == 1 else f"{not_started} files were"
            self.problem(f"{files} not started; run the same command again to continue")
        remarks = sum(item.state == "done" and bool(item.details.get("notes")) for item in report.files)
        if remarks and written:
            self.note(f"{'1 file has' if remarks == 1 else f'{remarks} files have'} remarks; see the report")
        totals = ", ".join(f"{count} {state}" for state, count in report.totals().items())
        somewhere = not written and {"done", "skipped"}.intersection(report.totals())
        where = f"; the outputs are in {'the current folder' if folder == '.' else _short(folder)}" if somewhere else ""
        self.note(f"{totals or 'nothing to do'}, in {clock_time(report.seconds)}{where}")
        for path in written:
            self.note(f"wrote {_short(path)}")


def plan_lines(plan: Plan) -> Iterator[str]:
    """One line per input ("do   a.mp4 -> out/a.mp4"), then the counts."""
    for item in plan.decisions:
        outputs = ", ".join(map(_short, item.job.outputs.values()))
        reason = f" ({item.reason})" if item.reason else ""
        yield f"{_ACTIONS[item.action]}  {shown_name(item.job.name)} -> {outputs}{reason}"
    for bad in plan.found.unusable:
        yield f"{_ACTIONS['fail']}  {shown_name(bad.name)} ({bad.reason})"
    counts = {action: sum(item.action == action for item in plan.decisions) for action in _ACTIONS}
    counts["fail"] += len(plan.found.unusable)
    yield f"{counts['do']} to do, {counts['skip']} done before, {counts['fail']} impossible"


def _short(path: str) -> str:
    """Relative to the working directory; a URL unchanged."""
    return shown_name(os.path.relpath(path) if url_scheme(path) is None else path)


def finished_line(row: Row, board: Board) -> str:
    """ "[3/200] a.mp4: done, 1234 frames"."""
    ended = sum(item.state not in ("waiting", "running") for item in board.rows.values())
    frames = counted(row.log.delivered, "frame")
    return f"[{ended}/{len(board.rows)}] {shown_name(row.job.name)}: done, {frames}"


def totals_line(board: Board) -> str:
    """ "12 of 200 done, 2 running, 1 failed, 186 waiting, 41.2 fps, 3:12:00 left"."""
    counts = board.counts()
    parts = [f"{counts['done']} of {len(board.rows)} done"]
    states: tuple[RowState, ...] = ("skipped", "running", "failed", "stopped", "waiting")
    parts += [f"{counts[state]} {state}" for state in states if counts[state]]
    if board.rate > 0:
        parts.append(f"{board.rate:.1f} fps")
    left = board.seconds_left
    if left is not None and counts["running"]:
        parts.append(f"about {clock_time(left)} left")
    return ", ".join(parts)


def board_table(board: Board, *, height: int) -> Group:
    """The most relevant rows that fit, with a bar and totals below."""
    table = Table(box=None, pad_edge=False)
    table.add_column("file", no_wrap=True, overflow="ellipsis")
    table.add_column("state", no_wrap=True)
    for title in ("frames", "fps", "left"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in visible_rows(list(board.rows.values()), max(3, height - 5)):
        log = row.log
        of_total = f"/{log.total}" if log.total and row.state == "running" else ""
        left = row.seconds_left
        table.add_row(
            Text(shown_name(row.job.name)),
            Text(row.state, style=_STYLES[row.state]),
            f"{log.delivered}{of_total}" if log.delivered else "",
            f"{log.rate:.1f}" if log.rate and row.state == "running" else "",
            clock_time(left) if left is not None else "",
        )
    bar = ProgressBar(total=1.0, completed=board.share, width=BAR_WIDTH)
    return Group(table, Columns((bar, Text(totals_line(board), style="bold"))))


def visible_rows(rows: Sequence[Row], room: int) -> list[Row]:
    """All rows if they fit; otherwise the running ones, with recently finished and upcoming ones around them."""
    if len(rows) <= room:
        return list(rows)
    running = [index for index, row in enumerate(rows) if row.state == "running"]
    chosen = set(running[:room])
    first = running[0] if running else next((i for i, row in enumerate(rows) if row.state == "waiting"), len(rows))
    ended = [index for index, row in enumerate(rows) if row.state not in ("running", "waiting", "skipped")]
    waiting = [index for index, row in enumerate(rows) if row.state == "waiting"]
    for_ended = (room - len(chosen)) // 2
    chosen |= set(sorted(ended, key=lambda index: abs(index - first))[:for_ended])
    chosen |= set(waiting[: room - len(chosen)])
    return [rows[index] for index in sorted(chosen)]
