"""`vidseg bench`: how fast vidseg is on this machine, and what the bottleneck is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidseg.cli.options import argument, flag, flags_of, made_of, run_options
from vidseg.errors import ConfigError

if TYPE_CHECKING:
    from vidseg.commands.bench import BenchResult
    from vidseg.commands.bench_stages import BatchTime


_BATCH = "1,2,4"
_RUN_OPTIONS = (
    *("model", "weights", "trust_model", "runtime", "imgsz", "tiles", "label_set", "device", "precision", "threads"),
    *("smooth", "codec", "start", "end", "duration", "preset"),
)


@made_of(
    argument("source", str, "SOURCE", "Video file, or test (a test pattern); default: the sample."),
    *run_options(
        _RUN_OPTIONS,
        panels=False,
        threads="CPU threads; default all cores, or the default of `vidseg run` for a whole run.",
        smooth="As in `vidseg run`; default yes",
        codec="As in `vidseg run`; default h264",
        preset="As in `vidseg run`; a stride applies to the whole run only.",
    ),
    flag("compare", bool, "Compare all installed runtimes.", default=False),
    flag("batch", str, f"Batch sizes for the model alone; default {_BATCH}", _BATCH, also=("-b",), default=_BATCH),
    flag("seconds", float, "Length of each measurement; default 3", "S", also=("-s",), default=3.0),
    flag("json", Path, "Also write all numbers to this file.", "FILE"),
    flag("overwrite", bool, "Replace an existing JSON file.", also=("-y",), default=False),
    flag("quiet", bool, "Print no progress.", also=("-q",), default=False),
)
def bench(given: dict[str, Any]) -> None:
    """Measure the model alone, each stage alone, and a whole run; report the rate that the slowest part allows.

    Leave the machine otherwise idle.

    Examples: `vidseg bench`, `vidseg bench street.mp4 --compare --json bench.json`.
    """
    from vidseg.cli.console import RunConsole
    from vidseg.commands.bench import BenchRequest
    from vidseg.commands.bench import bench as run_bench
    from vidseg.presets import resolve

    config = resolve(flags_of(given, ("source", *_RUN_OPTIONS)))
    batch = given["batch"]
    try:
        batches = tuple(dict.fromkeys(int(word) for word in batch.split(",")))
    except ValueError:
        raise ConfigError(f"--batch is {batch!r}; accepted: numbers with commas, e.g. 1,2,4") from None
    own = {name: given[name] for name in ("compare", "seconds", "json", "overwrite")}
    request = BenchRequest(config=config, batches=batches, **own)

    class Console(RunConsole):
        def phase(self, text: str) -> None:
            self.note(f"{text} ...")

    with Console(quiet=given["quiet"]) as console:
        result = run_bench(request, console)
    print_bench(result)


def print_bench(result: BenchResult) -> None:
    """Print the result as tables."""
    from rich.table import Table

    from vidseg.cli.console import output
    from vidseg.commands.busy_threads import ADVICE

    out = output()
    height, width = result.size_hw
    seen = f"{result.network_hw[1]}x{result.network_hw[0]}"
    if result.tiles is not None:
        seen = f"{result.tiles} windows at {seen}"
    out.print(f"{result.source}, {width}x{height}; {result.model}, {result.runtime}, model input {seen}", markup=False)
    out.print(f"{result.cores} cores, {result.machine['processor']}\n", markup=False)

    on_cpu = result.bound.by_cores is not None
    alone = _threads(result.threads_alone) if on_cpu else ""
    table = Table(box=None, pad_edge=False)
    table.add_column(f"model alone{alone}")
    for heading in ("p50 ms", "p95 ms", "pictures/s"):
        table.add_column(heading, justify="right")
    for item in result.model_alone:
        table.add_row(f"batch {item.batch}", *_cells(item))
    out.print(table)

    if result.compared:
        table = Table(box=None, pad_edge=False)
        table.add_column(f"compared{alone}")
        for heading in ("p50 ms", "p95 ms", "pictures/s", "same labels"):
            table.add_column(heading, justify="right")
        for each in result.compared:
            same = f"{each.same_labels:.2%} of {each.reference}'s"
            for position, item in enumerate(each.times):
                table.add_row(f"{each.runtime}, batch {item.batch}", *_cells(item), same if position == 0 else "")
        out.print()
        out.print(table)

    table = Table(box=None, pad_edge=False)
    table.add_column(f"stage alone{_threads(result.threads_run) if on_cpu else ''}")
    for heading in ("ms/frame", "CPU ms/frame", "allows fps"):
        table.add_column(heading, justify="right")
    for stage in result.stages:
        allows = f"{1000 / stage.wall_ms:.1f}" if stage.wall_ms > 0 else "-"
        table.add_row(stage.name, f"{stage.wall_ms:.2f}", f"{stage.cpu_ms:.2f}", allows)
    out.print()
    out.print(table)

    bound = result.bound
    whole = result.end_to_end
    out.print(
        f"\nend to end   {whole.fps:.1f} fps ({whole.frames} frames; {whole.cpu_ms:.1f} CPU ms/frame, "
        f"{whole.cores_busy:.2f} of {result.cores} cores busy)"
    )
    reasons = [f"the {bound.slowest_thread} thread: {bound.by_thread:.1f} fps"]
    if bound.by_cores is not None:
        reasons.append(f"all {result.cores} cores busy: {bound.by_cores:.1f} fps")
    out.print(f"bound        {bound.fps:.1f} fps ({'; '.join(reasons)}); slowest stage: {bound.slowest_stage}")

    if result.busy:
        busiest = max(result.busy, key=lambda thread: thread.mean)
        out.print("\nhow busy each thread of the whole run was, over time")
        for thread in result.busy:
            drawn = "".join(_BARS[min(7, int(8 * share))] for share in thread.shares)
            out.print(f"{thread.name:<12} {drawn} {thread.mean:.0%}", markup=False)
        out.print(f"the busiest is {busiest.name}; to relieve it: {ADVICE[busiest.name]}", markup=False)


_BARS = "▁▂▃▄▅▆▇█"


def _threads(count: int | None) -> str:
    return ", all cores" if count is None else f", {count} network thread{'s' if count > 1 else ''}"


def _cells(item: BatchTime) -> tuple[str, str, str]:
    return f"{item.p50_ms:.1f}", f"{item.p95_ms:.1f}", f"{item.throughput:.1f}"
