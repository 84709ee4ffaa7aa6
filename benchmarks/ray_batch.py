"""How `vidseg batch --ray` grows: files per minute with one, two, ... workers on this machine.

    python benchmarks/ray_batch.py [--workers 1,2] [--files 8] [--cpus 1] [--options '--imgsz 320'] [--json FILE]

Every worker is a Ray node of its own with `--cpus` CPUs, so the same scheduler, retries and transfers are at work as
with as many machines; only the network between them is missing, and they share one memory and one disk. Each round does
the same copies of the sample into an empty folder; seconds hold the start of the workers and the loading of networks.
Prints seconds, files per minute, and the ratio to the first round. A ratio near the number of workers is the best there
can be, and only while workers * cpus is at most the number of free cores.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
if "RAY_AUTH_MODE" not in os.environ:  # nobody else on the network may use the cluster
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}

from ray.cluster_utils import Cluster

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "samples" / "street.mp4"
BYTES = 100 * 2**20


def seconds_of(address: str, folder: Path, out: Path, options: list[str]) -> float:
    """Wall time of the batch as it is told in its report: from the first job on, without the start of Python."""
    command = [
        sys.executable,
        "-m",
        "vidseg",
        "batch",
        str(folder),
        "-o",
        str(out),
        "--ray",
        address,
        "--quiet",
        *options,
    ]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    report = json.loads((out / "batch-report.json").read_text(encoding="utf-8"))
    return float(report["seconds"])


def one_round(workers: int, args: argparse.Namespace, folder: Path) -> float:
    """Seconds for all files on a fresh cluster of so many workers."""
    node = {"num_cpus": args.cpus, "include_dashboard": False, "object_store_memory": BYTES}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        for _ in range(workers - 1):
            cluster.add_node(**node)
        return seconds_of(cluster.address, folder, folder.parent / f"out{workers}", shlex.split(args.options))
    finally:
        cluster.shutdown()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--cpus", type=int, default=1, help="CPUs of each worker")
    parser.add_argument("--options", default="", help="of vidseg batch")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "in")
        folder.mkdir()
        for number in range(args.files):
            shutil.copy(SAMPLE, folder / f"{number:04}.mp4")
        for workers in map(int, args.workers.split(",")):
            start = time.perf_counter()
            seconds = one_round(workers, args, folder)
            first = rows[0]["seconds"] if rows else seconds
            rows.append({"workers": workers, "seconds": seconds, "ratio": first / seconds})
            print(
                f"{workers} workers: {seconds:7.1f} s, {args.files / seconds * 60:6.1f} files/min, "
                f"ratio {first / seconds:.2f}  (with the start of the cluster {time.perf_counter() - start:.1f} s)",
                flush=True,
            )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
