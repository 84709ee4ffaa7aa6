"""Shows progress of training and measuring on stderr, and tables of scores on stdout."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from vidseg.cli.console import RunConsole, output
from vidseg.names import printable
from vidseg.timing import clock_time

if TYPE_CHECKING:
    from vidseg.commands.evaluate import Evaluation
    from vidseg.metrics import Scores


class TrainingConsole(RunConsole):
    """Implements the reporters of `vidseg.commands.train` and `vidseg.commands.evaluate`."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._miou: float | None = None
        self._first: tuple[float, int] | None = None

    def checking(self, done: int, total: int) -> None:
        """Pictures read or measured so far."""
        self._show(done, total, f"{done}/{total} images")
        if done == total:
            self._stop()

    def step(self, done: int, total: int, losses: dict[str, float], lr: float, crops_per_second: float) -> None:
        parts = ", ".join(f"{name} {value:.2f}" for name, value in losses.items() if name != "loss")
        miou = f", mIoU {self._miou:.3f}" if self._miou is not None else ""
        text = f"step {done}/{total}, loss {losses['loss']:.2f} ({parts}), lr {lr:.2g}{miou}"
        self._show(done, total, f"{text}, {crops_per_second:.1f} crops/s{self._time_left(done, total)}")
        if done == total:
            self._stop()

    def measured(self, step: int, result: Scores) -> None:
        self._miou = result.mean_iou
        self.note(f"step {step}: mIoU {result.mean_iou:.4f}, pixel accuracy {result.pixel_accuracy:.4f}")

    def _time_left(self, done: int, total: int) -> str:
        """ ", 1:05 left", from the rate since the first reported step, including measurements; "" at that step."""
        now = time.monotonic()
        if self._first is None:
            self._first = (now, done)
        start, first = self._first
        return f", {clock_time((total - done) * (now - start) / (done - first))} left" if done > first else ""


def print_evaluation(evaluation: Evaluation) -> None:
    """Print a table of the classes in the ground truth, most frequent first, then the means."""
    found = evaluation.scores
    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for heading in ("IoU", "accuracy", "share of truth"):
        table.add_column(heading, justify="right")
    order = sorted(range(len(evaluation.names)), key=lambda number: -found.truth_share[number])
    for number in order:
        if not math.isnan(found.iou[number]):
            values = (found.iou[number], found.accuracy[number], found.truth_share[number])
            table.add_row(Text(printable(evaluation.names[number])), *(f"{value:.4f}" for value in values))
    out = output()
    out.print(table)
    out.print(f"\n{printable(evaluation.description)}, {evaluation.pictures} images", markup=False)
    for name, value in (
        ("mIoU", found.mean_iou),
        ("mAcc", found.mean_accuracy),
        ("pixel accuracy", found.pixel_accuracy),
        ("fwIoU", found.frequency_weighted_iou),
    ):
        out.print(f"{name:14}  {value:.4f}")
    if evaluation.groups:
        out.print("\nIoU of groups: " + ", ".join(f"{name} {iou:.3f}" for name, iou in evaluation.groups.items()))
