"""`vidseg run` against the loop that people write: the same clip, the same weights, fps of each and the ratio.

    python benchmarks/e2e.py [CLIP] [--imgsz 640] [--frames 60] [--repeat 3] [--options '...'] [--json FILE]

The plain loop is what the demos of model repositories do: cv2.VideoCapture -> frame to tensor -> model with full-size
masks -> class scores and argmax at full size -> colours -> addWeighted -> cv2.VideoWriter(mp4v). It decodes, infers and
writes one after the other, shows no progress and drops the audio. vidseg gives H.264 with audio, and smooths labels
over time unless `--options=--no-smooth` is given.

Both sides run in turn, in fresh processes, `--repeat` times; the medians and the median of the pairwise ratios are
printed. Loading the network is not counted on either side.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "samples" / "street.mp4"


def plain_loop(clip: str, out: str, imgsz: int, frames: int) -> dict[str, object]:
    """The loop that people write; seconds by stage, wall seconds and frames."""
    import cv2
    import numpy as np
    import torch

    from vidseg.labels import ade20k
    from vidseg.runtimes.loading import load_model

    model = load_model("m2f-mobile-ade")
    palette = ade20k().palette[:, ::-1]
    stages = dict.fromkeys(("decode", "preprocess", "model", "postprocess", "render", "write"), 0.0)
    capture = cv2.VideoCapture(clip)
    writer = None
    count = 0
    begin = last = time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal last
        now = time.perf_counter()
        stages[stage] += now - last
        last = now

    while count < frames:
        good, frame = capture.read()
        lap("decode")
        if not good:
            break
        height, width = frame.shape[:2]
        scale = imgsz / max(height, width)
        small = cv2.resize(frame, (round(width * scale), round(height * scale)))
        rgb = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
        tensor = torch.from_numpy(rgb).permute(2, 0, 1)[None].float()
        lap("preprocess")
        with torch.no_grad():
            output = model.forward_queries(tensor)
            lap("model")
            probs = output.class_logits.softmax(-1)[0, :, :-1]
            masks = torch.nn.functional.interpolate(
                output.mask_logits.sigmoid(), size=(height, width), mode="bilinear", align_corners=False
            )[0]
            labels = torch.einsum("qk,qhw->khw", probs, masks).argmax(0).numpy()
        lap("postprocess")
        colour = palette[labels].astype(np.uint8)
        picture = cv2.addWeighted(frame, 0.5, colour, 0.5, 0)
        lap("render")
        if writer is None:
            rate = int(capture.get(cv2.CAP_PROP_FPS))
            writer = cv2.VideoWriter(out, cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
        writer.write(picture)
        lap("write")
        count += 1
    if writer is not None:
        writer.release()
    return {"frames": count, "seconds": time.perf_counter() - begin, "stages": stages}


def vidseg_run(clip: str, out: str, imgsz: int, frames: int, extra: list[str]) -> dict[str, object]:
    """`vidseg run` in this process's child; stages and wall seconds from its own --stats file."""
    stats = Path(out).with_suffix(".json")
    command = [sys.executable, "-m", "vidseg", "run", clip, "-o", out, "--stats", str(stats), "-q"]
    command += ["--imgsz", str(imgsz), "--limit", str(frames), *extra]
    subprocess.run(command, check=True, cwd=ROOT)
    content = json.loads(stats.read_text())
    stages = {name: stage["seconds"] for name, stage in content["stages"].items()}
    return {"frames": content["delivered"], "seconds": content["elapsed_seconds"], "stages": stages}


def measure(side: str, clip: str, imgsz: int, frames: int, extra: list[str]) -> dict[str, object]:
    """One run of one side in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out.mp4")
        if side == "vidseg":
            return vidseg_run(clip, out, imgsz, frames, extra)
        command = [sys.executable, __file__, clip, "--imgsz", str(imgsz), "--frames", str(frames), "--plain", out]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        return json.loads(done.stdout)


def fps(result: dict[str, object]) -> float:
    return float(result["frames"]) / float(result["seconds"])  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", nargs="?", default=str(SAMPLE))
    parser.add_argument("--imgsz", type=int, default=640, help="long side that the network sees, for both sides")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", help="write all numbers to this file")
    parser.add_argument("--plain", help=argparse.SUPPRESS)
    parser.add_argument("--options", default="", help="more options for vidseg run, in one text: '--runtime torch'")
    args = parser.parse_args()
    clip = str(Path(args.clip).resolve())
    if args.plain:
        print(json.dumps(plain_loop(clip, args.plain, args.imgsz, args.frames)))
        return

    sides = ("plain loop", "vidseg")
    results: dict[str, list[dict[str, object]]] = {side: [] for side in sides}
    for number in range(args.repeat):
        for side in sides:
            results[side].append(measure(side, clip, args.imgsz, args.frames, shlex.split(args.options)))
            print(f"run {number + 1} of {args.repeat}: {side}: {fps(results[side][-1]):.2f} fps", file=sys.stderr)

    ratios = [fps(ours) / fps(plain) for ours, plain in zip(results["vidseg"], results["plain loop"], strict=True)]
    print(f"{Path(clip).name}, {results['vidseg'][0]['frames']} frames, long side {args.imgsz}, {os.cpu_count()} cores")
    for side in sides:
        runs = results[side]
        middle = sorted(runs, key=fps)[len(runs) // 2]
        stages: dict[str, float] = middle["stages"]  # type: ignore[assignment]
        busy = sum(stages.values())
        shares = ", ".join(f"{name} {seconds / busy:.0%}" for name, seconds in stages.items())
        print(f"{side:>10}: median {statistics.median(map(fps, runs)):6.2f} fps; share of the stages' time: {shares}")
    print(f"     ratio: median {statistics.median(ratios):.1f}x (from {min(ratios):.1f} to {max(ratios):.1f})")
    if args.json:
        Path(args.json).write_text(json.dumps({"clip": clip, "ratios": ratios, "runs": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
