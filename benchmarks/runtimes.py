"""The network alone on every installed runtime: ms a picture, the ratio to eager torch, and how many labels agree.

    python benchmarks/runtimes.py [--models m2f-mobile-ade,fai-m2f-s-ade] [--sizes 384x216,512x512] [--threads 2]
                                  [--repeat 5] [--seconds 2] [--json FILE]

Eager torch here is the model as it is trained: no folding, no channels_last. Each runtime runs in a process of its own,
in turn, `--repeat` times for `--seconds` each. Printed are the median ms, the fastest ms (on a machine that does other
work the median says how well the runtimes share it, the fastest what they can do), and the ratios of both to eager
torch: between the processes of one turn, the median of the turns. Models whose weights are not on this machine get
random ones, which take as long, but say nothing about labels.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EAGER = "eager torch"
VARIANTS = (EAGER, "torch", "torch bfloat16", "onnxruntime", "openvino", "openvino bfloat16")


def measure(variant: str, model_name: str, sizes: list[tuple[int, int]], threads: int, seconds: float) -> list[dict]:
    """Times and labels' agreement with eager torch of one variant, by size (width, height)."""
    sys.path.insert(0, str(ROOT))
    import torch

    from vidseg import zoo
    from vidseg.models import create_model
    from vidseg.runtimes.loading import load_model
    from vidseg.runtimes.registry import create_runtime
    from vidseg.segmentation.postprocess import QueryOutput
    from vidseg.segmentation.preprocess import to_network
    from vidseg.sources.factory import open_source

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    trained = zoo.cached_path(zoo.entry(model_name)) is not None
    model = load_model(model_name) if trained else create_model(model_name)
    source = open_source(str(ROOT / "samples" / "street.mp4"))
    frame = next(iter(source)).image
    source.close()

    @torch.inference_mode()
    def eager(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = model.forward_queries(images.float())
        return out.class_logits, out.mask_logits

    run = eager
    if variant != EAGER:
        engine, _, precision = variant.partition(" ")
        dtype = torch.bfloat16 if precision else torch.float32
        device = torch.device("cpu")
        run = create_runtime(engine, model, model_name, device=device, precision=dtype, threads=threads).run

    results = []
    for width, height in sizes:
        images = to_network(frame, (height, width))
        labels, expected = (
            QueryOutput.from_logits(*(out[0] for out in call(images)), (height, width)).labels("semantic")
            for call in (run, eager)
        )
        for _ in range(3):
            run(images)
        times = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 5:
            begin = time.perf_counter()
            run(images)
            times.append(1e3 * (time.perf_counter() - begin))
        same = float((labels == expected).mean()) if trained else None
        results.append({"median_ms": statistics.median(times), "fastest_ms": min(times), "same_labels": same})
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="m2f-mobile-ade,fai-m2f-s-ade")
    parser.add_argument("--sizes", default="384x216,512x512", help="width x height of what the network sees")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="per size, runtime and repetition")
    parser.add_argument("--json", help="write all numbers to this file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    sizes = [tuple(map(int, size.split("x"))) for size in args.sizes.split(",")]
    if args.one:
        print(json.dumps(measure(args.one, args.models, sizes, args.threads, args.seconds)))  # type: ignore[arg-type]
        return

    sys.path.insert(0, str(ROOT))
    from vidseg.runtimes.registry import installed_engines

    installed = installed_engines()
    print(", ".join(f"{name} {number}" for name, number in installed.items()), f"; {args.threads} threads", sep="")
    variants = [name for name in VARIANTS if name == EAGER or name.split()[0] in installed]
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
    every: dict[str, dict[str, list[list[dict]]]] = {}
    for model in args.models.split(","):
        runs: dict[str, list[list[dict]]] = {variant: [] for variant in variants}
        for _ in range(args.repeat):
            for variant in variants:
                command = [sys.executable, __file__, "--one", variant, "--models", model, "--sizes", args.sizes]
                command += ["--threads", str(args.threads), "--seconds", str(args.seconds)]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
                runs[variant].append(json.loads(done.stdout))
        every[model] = runs
        for index, size in enumerate(args.sizes.split(",")):
            print(f"{model}, {size}")
            for variant in variants:
                cells = []
                for kind in ("median_ms", "fastest_ms"):
                    pairs = zip(runs[variant], runs[EAGER], strict=True)
                    ratio = statistics.median(eager[index][kind] / ours[index][kind] for ours, eager in pairs)
                    ms = statistics.median(result[index][kind] for result in runs[variant])
                    cells.append(f"{kind.removesuffix('_ms')} {ms:7.1f} ms {ratio:5.2f}x")
                same = runs[variant][0][index]["same_labels"]
                labels = "" if same is None else f"  same labels {same:.2%}"
                print(f"  {variant:18} {'   '.join(cells)}{labels}", flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps(every, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
