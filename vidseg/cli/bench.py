"""`vidseg bench`: how fast it is on this machine, and what holds it back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidseg.errors import ConfigError

if TYPE_CHECKING:
    from vidseg.commands.bench import BenchResult
    from vidseg.commands.bench_stages import BatchTime


def _option(*names: str, help_text: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help_text, metavar=metavar, show_default=False)


def bench(
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="Video file, or test; default: the sample.")
    ] = None,
    model: Annotated[
        str | None, _option("--model", "-m", help_text="See `vidseg models`, or a network file; default fai-m2f-n-ade")
    ] = None,
    weights: Annotated[str | None, _option("--weights", metavar="FILE", help_text="Your own weights.")] = None,
    trust_model: Annotated[bool, _option("--trust-model", help_text="As in `vidseg run`.")] = False,
    runtime: Annotated[
        str | None, _option("--runtime", help_text="auto, torch, openvino, onnxruntime, torch-compile; default auto")
    ] = None,
    compare: Annotated[bool, _option("--compare", help_text="All runtimes that are installed, side by side.")] = False,
    batch: Annotated[
        str, _option("--batch", "-b", metavar="1,2,4", help_text="Pictures at once for the model alone; default 1,2,4")
    ] = "1,2,4",
    label_set: Annotated[
        str | None, _option("--label-set", metavar="NAME|FILE", help_text="As in `vidseg run`.")
    ] = None,
    imgsz: Annotated[int | None, _option("--imgsz", metavar="N", help_text="Long side the model sees.")] = None,
    device: Annotated[str | None, _option("--device", "-d", help_text="auto, cpu, cuda, cuda:N, mps.")] = None,
    precision: Annotated[
        str | None, _option("--precision", help_text="auto, float32, float16, bfloat16, int8, fast.")
    ] = None,
    threads: Annotated[
        int | None,
        _option("--threads", metavar="N", help_text="CPU threads; default all, in a whole run as `vidseg run`."),
    ] = None,
    smooth: Annotated[bool | None, _option("--smooth/--no-smooth", help_text="As in `vidseg run`; default yes")] = None,
    codec: Annotated[str | None, _option("--codec", help_text="As in `vidseg run`; default h264")] = None,
    preset: Annotated[
        str | None, _option("--preset", "-p", help_text="As in `vidseg run`; a stride counts for the whole run.")
    ] = None,
    seconds: Annotated[
        float, _option("--seconds", "-s", metavar="S", help_text="For each measurement; default 3")
    ] = 3.0,
    json: Annotated[Path | None, _option("--json", metavar="FILE", help_text="Write all numbers there too.")] = None,
    overwrite: Annotated[bool, _option("--overwrite", "-y", help_text="Replace the JSON file if it exists.")] = False,
    quiet: Annotated[bool, _option("--quiet", "-q", help_text="No progress.")] = False,
) -> None:
    """Measure the model alone, each stage alone, and a whole run; say what the slowest part would allow.

    Leave the machine alone meanwhile. Example: `vidseg bench street.mp4 --compare --json bench.json`.
    """
    from vidseg.cli.console import RunConsole
    from vidseg.commands.bench import BenchRequest
    from vidseg.commands.bench import bench as run_bench
    from vidseg.presets import resolve

    named = (
        "source",
        "model",
        "weights",
        "trust_model",
        "runtime",
        "imgsz",
        "label_set",
        "device",
        "precision",
        "threads",
        "smooth",
    )
    given = locals()
    config = resolve({name: given[name] for name in (*named, "codec", "preset")})
    try:
        batches = tuple(dict.fromkeys(int(word) for word in batch.split(",")))
    except ValueError:
        raise ConfigError(f"--batch is {batch!r}; accepted: numbers with commas, e.g. 1,2,4") from None
    request = BenchRequest(
        config=config, batches=batches, compare=compare, seconds=seconds, json=json, overwrite=overwrite
    )

    class Console(RunConsole):
        def phase(self, text: str) -> None:
            self.note(f"{text} ...")

    with Console(quiet=quiet) as console:
        result = run_bench(request, console)
    print_bench(result)


def print_bench(result: BenchResult) -> None:
    """The tables."""
    from rich.table import Table

    from vidseg.cli.console import output

    out = output()
    height, width = result.size_hw
    seen = f"{result.network_hw[1]}x{result.network_hw[0]}"
    out.print(f"{result.source}, {width}x{height}; {result.model}, {result.runtime}, sees {seen}", markup=False)
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


def _threads(count: int | None) -> str:
    return ", all cores" if count is None else f", {count} network thread{'s' if count > 1 else ''}"


def _cells(item: BatchTime) -> tuple[str, str, str]:
    return f"{item.p50_ms:.1f}", f"{item.p95_ms:.1f}", f"{item.throughput:.1f}"
