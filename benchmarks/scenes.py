"""How often a whole region changes class although what it shows stays the same.

    python benchmarks/scenes.py [CLIP ...] [--model NAME] [--weights FILE] [--imgsz N] [--limit N] [--span 0.4]

Without arguments: the bundled sample. A frame counts where one connected region of at least 5 % of the picture has
another class, the same all over, than it had at its place `--span` seconds before; places by the flow of `quality.py`,
chained frame by frame, and only where it is sure all the way. Over a span, because smoothing lets a region change over
some frames. Told for single frames, for smoothed ones without the memory of scenes, and for smoothed ones as a run
gives them, with flicker and the time that smoothing takes, processor time of one thread.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from flicker import Alignment, changed_share
from quality import SAMPLE, OnceRuntime, at_least_one, video

from vidseg import zoo
from vidseg.frames import Frame, UInt8Array
from vidseg.motion.tracker import FlowTracker
from vidseg.runtimes.loading import load_model
from vidseg.runtimes.torch_runtime import TorchRuntime
from vidseg.segmentation.segmenter import QuerySegmenter
from vidseg.segmentation.temporal import ScoreSmoother
from vidseg.timing import StageTimers

REGION = 0.05
"""Of the picture, at least."""
LONG_SIDE = 384
"""Pixels in which labels are compared; the flow has no more."""


@dataclass
class Variant:
    """One way of labelling; keeps its own score."""

    name: str
    segmenter: QuerySegmenter
    timers: StageTimers
    maps: deque[UInt8Array]
    flips: list[bool] = field(default_factory=list)
    flicker: list[float] = field(default_factory=list)


def chained(steps: list[Alignment]) -> Alignment:
    """From the newest frame back over all steps, the newest last."""
    rows, columns, visible = steps[-1].rows, steps[-1].columns, steps[-1].visible
    for step in reversed(steps[:-1]):
        visible = visible & step.visible[rows, columns]
        rows, columns = step.rows[rows, columns], step.columns[rows, columns]
    return Alignment(rows, columns, visible)


def region_changes(now: UInt8Array, before: UInt8Array, way: Alignment) -> bool:
    """Whether one connected region of `REGION` of the picture has one class now and had one other before."""
    old = before[way.rows, way.columns].astype(np.int64)
    pairs = np.where(way.visible & (old != now), 256 * old + now, -1)
    values, counts = np.unique(pairs, return_counts=True)
    least = REGION * now.size
    for value in values[(values >= 0) & (counts >= least)]:
        _, _, stats, _ = cv2.connectedComponentsWithStats((pairs == value).astype(np.uint8))
        if len(stats) > 1 and stats[1:, cv2.CC_STAT_AREA].max() >= least:
            return True
    return False


def measure(name: str, frames: Iterator[Frame], variants: list[Variant], span: float) -> None:
    """Run all variants side by side over one video and print what came out."""
    steps: deque[Alignment] = deque()
    times: deque[float] = deque()
    small_before: UInt8Array | None = None
    for frame in frames:
        scale = LONG_SIDE / max(frame.size_hw)
        size = (round(frame.size_hw[1] * scale), round(frame.size_hw[0] * scale))
        small = np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), np.uint8)
        if small_before is not None:
            steps.append(Alignment.of_images(small, small_before))
        small_before = small
        times.append(frame.seconds)
        while len(times) > 2 and times[-1] - times[1] >= span:
            times.popleft()
            steps.popleft()
        way = chained(list(steps)) if times[-1] - times[0] >= 0.9 * span and steps else None
        for item in variants:
            labels = item.segmenter.segment([frame])[0].label_map
            item.maps.append(np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), np.uint8))
            while len(item.maps) > len(times):
                item.maps.popleft()
            if steps:
                item.flicker.append(changed_share(item.maps[-1], item.maps[-2], steps[-1]))
            if way is not None:
                item.flips.append(region_changes(item.maps[-1], item.maps[0], way))
    print(f"{name}: {len(variants[0].flips)} frames", flush=True)
    for item in variants:
        smooth = item.timers.totals().get("smooth")
        cost = "" if smooth is None else f"   smoothing {smooth.ms_per_frame:.1f} ms"
        print(f"  {item.name:32}{np.mean(item.flips):8.4f} flicker {np.nanmean(item.flicker):.4f}{cost}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="*", type=Path, help="video files; none: the bundled sample")
    parser.add_argument("--model", default="m2f-mobile-ade")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--imgsz", type=at_least_one)
    parser.add_argument("--limit", type=at_least_one, help="frames of each video at most")
    parser.add_argument("--span", type=float, default=0.4, help="seconds over which labels are compared")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    imgsz = args.imgsz or zoo.entry(args.model).imgsz["cpu"]
    count = None if args.weights is None else len(zoo.weights_labels(args.weights))
    network = load_model(args.model, args.weights, num_classes=count)
    runtime = OnceRuntime(TorchRuntime(network, torch.device("cpu")))
    for clip in args.clips or [SAMPLE]:
        variants = []
        for name, options in (("frame by frame", None), ("smoothed", {"scene_share": 0.0}), ("with scenes", {})):
            timers = StageTimers(time.thread_time)
            smoother = None if options is None else ScoreSmoother(FlowTracker(), **options)
            segmenter = QuerySegmenter(runtime, imgsz=imgsz, smoother=smoother, timers=timers)
            variants.append(Variant(name, segmenter, timers, deque()))
        measure(clip.name, (frame for frame, _ in islice(video(clip, None), args.limit)), variants, args.span)


if __name__ == "__main__":
    main()
