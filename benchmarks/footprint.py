"""What vidseg costs beside frames per second: seconds until it answers, and memory over a long run.

    python benchmarks/footprint.py [--frames 10000] [--size 1280x720] [--options '...'] [--json FILE]

Prints the median seconds of `vidseg --help` and of a run that writes one annotated frame (network loaded, file
closed), and the resident memory (MB) of a run over a moving pattern: at 500 frames, at the end, and the highest.
Memory that grows with the number of frames shows as a difference between the first two.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "samples" / "street.mp4"
VIDSEG = [sys.executable, "-m", "vidseg"]
FIRST = 500
"""From this frame on memory is expected to stay."""
TURNS = 5


def seconds_of(*words: str) -> float:
    """Median wall time of a command that has to succeed."""
    took = []
    for _ in range(TURNS):
        start = time.perf_counter()
        subprocess.run([*VIDSEG, *words], check=True, capture_output=True, cwd=ROOT)
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def memory_of(words: list[str]) -> dict[str, float]:
    """MB resident at 500 frames, at the end, and at most; by the frame numbers that the run prints."""
    run = subprocess.Popen([*VIDSEG, *words], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert run.stderr is not None
    seen: dict[int, float] = {}
    peak = 0.0
    for line in run.stderr:
        found = re.search(r"(\d+)/\d+ frames", line)
        if found:
            seen[int(found[1])] = _status(run.pid, "VmRSS")
            peak = _status(run.pid, "VmHWM")
    if run.wait():
        raise SystemExit(f"the run failed with {run.returncode}")
    settled = {frame: size for frame, size in seen.items() if frame >= FIRST}
    if len(settled) < 2:
        raise SystemExit("the run printed too few lines of progress; give more --frames")
    return {"at_500": settled[min(settled)], "at_end": settled[max(settled)], "peak": peak}


def _status(pid: int, key: str) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(rf"{key}:\s+(\d+) kB", text)[1]) / 1024  # type: ignore[index]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--options", default="--preset realtime", help="of `vidseg run`")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        one = ("run", str(SAMPLE), "--limit", "1", "-y", "-o", f"{folder}/one.mp4")
        seconds_of(*one)  # the first one may convert the network
        result = {"help_seconds": seconds_of("--help"), "first_frame_seconds": seconds_of(*one)}
        source = f"test:{options.size},frames={options.frames}"
        words = ["run", source, "-o", f"{folder}/long.mp4", "-y", *shlex.split(options.options)]
        memory = memory_of(words)
    print(f"vidseg --help {result['help_seconds']:.2f} s, first annotated frame {result['first_frame_seconds']:.2f} s")
    print(
        f"memory over {options.frames} frames of {options.size}: {memory['at_500']:.0f} MB after {FIRST} frames, "
        f"{memory['at_end']:.0f} MB at the end, {memory['peak']:.0f} MB at most"
    )
    if options.json:
        options.json.write_text(json.dumps({**result, "memory_mb": memory, "options": vars(options)}, default=str))


if __name__ == "__main__":
    main()
