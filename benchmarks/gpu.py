"""Everything that needs a GPU, in one go of at most six minutes: one table, and with --json all numbers.

    python benchmarks/gpu.py [--seconds 340] [--json FILE] [--device cuda] [--parts tests,parity,speed,run,memory]

- tests: `pytest -m cuda`, which fails where there is no CUDA device;
- parity: the labels of every model in half precision, against float32 on the CPU. Models whose weights are not on this
  machine get random ones, which show only that no number is too large: where no class is likely, any rounding decides;
- speed: s, m and l at 640x640, batch 1 and 8, plain and compiled with CUDA graphs (with an older torch not run), beside
  the measured limits of this device: a large matrix product in half precision, and a copy within its memory;
- run: `vidseg run` from file to file, decoded in software and on the device, encoded in software: chips of data centres
  have no encoder;
- memory: what torch holds on the device after 50 and after 400 calls.

A part that fails or has no time left has "not run" and the reason in its row; the others continue, and what was found
is kept. It was written without a GPU at hand: only what `--device cpu` runs of it was ever run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vidseg import zoo
from vidseg.errors import VidsegError
from vidseg.models import create_model
from vidseg.runtimes.compiled_runtime import has_graphs
from vidseg.runtimes.loading import load_model
from vidseg.runtimes.registry import create_runtime, first_line
from vidseg.segmentation.preprocess import to_network
from vidseg.sources.factory import open_source

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "samples" / "street.mp4"
MEASURED = ("fai-m2f-s-ade", "fai-m2f-m-ade", "fai-m2f-l-ade")
PARTS = ("tests", "parity", "speed", "run", "memory")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """What to measure on, and when to be done."""

    device: torch.device
    end: float
    side: int = 640
    calls: int = 30

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    @property
    def half(self) -> torch.dtype:
        return torch.bfloat16 if self.device.type == "cpu" else torch.float16


def network(name: str) -> tuple[torch.nn.Module, str]:
    """A model, and which weights it has; nothing is downloaded."""
    entry = zoo.entry(name)
    if zoo.cached_path(entry) is not None:
        return load_model(name), "trained"
    torch.manual_seed(0)
    model = create_model(name)
    norms = [each for each in model.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():  # else numbers grow from layer to layer, in the l model beyond those of float16
        images = sample(128).float()
        model.train().forward_queries(torch.cat([images, 255 - images, images / 3]))
    return model.eval(), "random"


def pictures(batch: int, side: int) -> torch.Tensor:
    return torch.randint(0, 256, (batch, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def sample(side: int) -> torch.Tensor:
    """(1, 3, side, side) uint8 RGB, of the bundled sample."""
    source = open_source(str(SAMPLE))
    image = to_network(next(iter(source)).image, (side, side))
    source.close()
    return image


def synchronised(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_each(call: Callable[[], Any], device: torch.device, calls: int) -> list[float]:
    """Of calls one after the other, each until the device has done it; after three that do not count."""
    found = []
    for number in range(3 + calls):
        synchronised(device)
        begin = time.perf_counter()
        call()
        synchronised(device)
        if number >= 3:
            found.append(time.perf_counter() - begin)
    return found


def outputs(runtime: Any, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        class_logits, mask_logits = runtime.run(images)
        return class_logits.cpu(), mask_logits.cpu()


def labels(class_logits: torch.Tensor, mask_logits: torch.Tensor) -> torch.Tensor:
    """(B, h, w) the best class of each cell of the masks."""
    scores = class_logits.softmax(-1)[..., :-1]
    return torch.einsum("bqk,bqhw->bkhw", scores, mask_logits.sigmoid()).argmax(1)


def parity(task: Task) -> Iterator[Row]:
    images = sample(min(task.side, 256))
    for entry in zoo.entries():
        if task.left < 10:
            yield {"what": f"parity, {entry.name}", "not run": "out of time"}
            continue
        try:
            yield parity_of(entry.name, task, images)
        except (VidsegError, RuntimeError) as error:
            yield {"what": f"parity, {entry.name}", "not run": first_line(error)}


def parity_of(name: str, task: Task, images: torch.Tensor) -> Row:
    model, weights = network(name)
    exact = outputs(create_runtime("torch", model, name, device=torch.device("cpu")), images)
    half = create_runtime("torch", model, name, device=task.device, precision=task.half)
    found = outputs(half, images)
    what = f"parity, {name}, {half.name}, {weights} weights"
    if weights == "random":
        return {"what": what, "all numbers finite": all(bool(part.isfinite().all()) for part in found)}
    same = float((labels(*found) == labels(*exact)).float().mean())
    off = float((found[1] - exact[1]).abs().mean() / exact[1].abs().mean())
    return {"what": what, "same labels": round(same, 5), "mask logits off": round(off, 5)}


def limits(task: Task) -> Iterator[Row]:
    size = 8192 if task.device.type == "cuda" else 256
    left = torch.randn(size, size, device=task.device, dtype=task.half)
    seconds = statistics.median(seconds_each(lambda: left @ left, task.device, 10))
    yield {"what": f"limit, product of {size}x{size}", "TFLOP/s": round(2e-12 * size**3 / seconds, 2)}
    held = torch.empty(2**30 if task.device.type == "cuda" else 2**22, device=task.device, dtype=torch.uint8)
    other = torch.empty_like(held)
    seconds = statistics.median(seconds_each(lambda: other.copy_(held), task.device, 10))
    yield {"what": "limit, copy in memory", "GB/s": round(2e-9 * held.numel() / seconds, 1)}  # read and written


def speed(task: Task, engines: tuple[str, ...] = ("torch", "torch-compile")) -> Iterator[Row]:
    yield from limits(task)
    for engine in engines:  # all plain ones first: compiling takes minutes
        for batch in (1, 8):
            for name in MEASURED:
                what = f"{name}, {task.side}x{task.side}, batch {batch}, {engine}"
                if engine == "torch-compile" and task.device.type == "cuda" and not has_graphs():
                    yield {
                        "what": what,
                        "not run": f"torch {torch.__version__} runs no CUDA graphs in threads, 2.13 does",
                    }
                    continue
                if task.left < (15 if engine == "torch" else 60):
                    yield {"what": what, "not run": "out of time"}
                    continue
                try:
                    yield {"what": what, **latency(task, name, engine, batch)}
                except (VidsegError, RuntimeError) as error:
                    yield {"what": what, "not run": first_line(error)}


def latency(task: Task, name: str, engine: str, batch: int) -> Row:
    model, _ = network(name)
    runtime = create_runtime(engine, model, name, device=task.device, precision=task.half)
    images = pictures(batch, task.side)

    def call() -> None:
        with torch.inference_mode():
            runtime.run(images)

    walls = sorted(seconds_each(call, task.device, task.calls))
    p50, p95 = statistics.median(walls), walls[math.ceil(0.95 * (len(walls) - 1))]
    return {"p50 ms": round(1000 * p50, 2), "p95 ms": round(1000 * p95, 2), "pictures/s": round(batch / p50, 1)}


def end_to_end(task: Task) -> Iterator[Row]:
    for hwaccel in ("none", "cuda") if task.device.type == "cuda" else ("none",):
        with tempfile.TemporaryDirectory() as folder:
            stats = Path(folder, "stats.json")
            command = [sys.executable, "-m", "vidseg", "run", str(SAMPLE), "-o", f"{folder}/out.mp4"]
            command += ["--stats", str(stats), "--device", str(task.device), "--hwaccel", hwaccel]
            command += ["--imgsz", str(task.side)]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=max(1.0, task.left))
            what = f"run, sample to MP4, decoded by {hwaccel if hwaccel != 'none' else 'software'}, encoded by software"
            said = done.stderr.strip().splitlines() or ["no reason"]
            otherwise = [line for line in said if line.endswith("decoding in software")]
            if done.returncode or otherwise:
                yield {"what": what, "not run": [*said, *otherwise][-1]}
                continue
            found = json.loads(stats.read_text())
            yield {"what": what, "frames/s": round(found["delivered"] / found["elapsed_seconds"], 1)}


def memory(task: Task) -> Iterator[Row]:
    if task.device.type != "cuda":
        yield {"what": "memory", "not run": "is asked of CUDA only"}
        return
    model, _ = network(MEASURED[0])
    runtime = create_runtime("torch", model, MEASURED[0], device=task.device, precision=task.half)
    images, held = pictures(1, task.side), {}
    for number in range(1, 401):
        with torch.inference_mode():
            runtime.run(images)
        if number in (50, 400):
            held[f"MB after {number}"] = round(torch.cuda.memory_reserved(task.device) / 1e6, 1)
    yield {"what": "memory, batch 1", **held}


def tests(task: Task) -> Iterator[Row]:
    files = sorted(str(path) for path in ROOT.glob("tests/**/test_*.py") if "mark.cuda" in path.read_text())
    # without the options of the project, which need plug-ins that may be missing there
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-m", "cuda", "-q", "--no-header", *files]
    environment = os.environ | {"VIDSEG_REQUIRE_CUDA": "1"}
    limit = max(1.0, min(150.0, task.left))
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=limit)
    for line in done.stdout.splitlines():
        if line.startswith("FAILED"):
            print(line, file=sys.stderr)
    last = ((done.stdout + done.stderr).strip().splitlines() or ["nothing was said"])[-1]
    yield {"what": "pytest -m cuda", "result": last, "exit": done.returncode}


def out_of_time(number: int, frame: Any) -> None:
    raise TimeoutError("out of time")


def measured(part: str, task: Task) -> Iterator[Row]:
    """The rows of a part. Whatever fails in it is its last row."""
    parts = {"tests": tests, "parity": parity, "speed": speed, "run": end_to_end, "memory": memory}
    try:
        if task.left < 5:
            raise TimeoutError("out of time")
        yield from parts[part](task)
    except Exception as error:  # the other parts are still worth having
        yield {"what": part, "not run": first_line(error)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=340)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--side", type=int, default=640, help="of the square pictures")
    parser.add_argument("--calls", type=int, default=30, help="that each latency is the median of")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--json")
    given = parser.parse_args()
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("gpu.py: there is no CUDA device; --device cpu tries the script itself")
    task = Task(device, time.monotonic() + given.seconds, given.side, given.calls)
    signal.signal(signal.SIGALRM, out_of_time)
    signal.setitimer(signal.ITIMER_REAL, given.seconds)  # for what takes longer than was thought
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    print(f"{gpu}, torch {torch.__version__}")
    rows = []
    for part in given.parts.split(","):
        for row in measured(part, task):
            rows.append(row)
            print("; ".join([str(row["what"]), *(f"{key} {row[key]}" for key in row if key != "what")]), flush=True)
            if given.json:
                content = {"device": gpu, "torch": torch.__version__, "rows": rows}
                Path(given.json).write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
