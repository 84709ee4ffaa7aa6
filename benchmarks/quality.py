"""How calm and how right the labels of a video are: frame by frame, smoothed, and with skipped frames held or carried.

    python benchmarks/quality.py [CLIP ...] [--labels FILE] [--sequence FOLDER] [--stride 4] [--imgsz 384] [--limit N]

Without arguments: the bundled sample with its exact labels. Clips without labels give the flicker only; `--sequence`
is a folder with images/ and labels/ of the same stems (PNGs of class ids, 255 = no label), in order, taken as a video
of `--fps`. `--classes camvid` judges the 11 classes of CamVid, into which related ADE20K classes are merged first.

Flicker: of the pixels that were to be seen in the frame before too, the share whose label differs from the one at their
place there; places by dense flow, forth and back. A moving edge is never at the same pixel twice, so exact labels do
not have 0 either: the line "exact labels" says how much is due to that and to errors of the flow.
The network sees each frame once, whatever is compared; times are processor time of one thread.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from flicker import Alignment, changed_share
from torch import Tensor

from vidseg import zoo
from vidseg.data.label_sets import membership
from vidseg.data.mapping import ClassMapping, read_mapping
from vidseg.defaults import MEMORY_SECONDS
from vidseg.frames import NO_LABEL, Frame, Segmentation, UInt8Array
from vidseg.metrics import Scores, confusion_matrix, label_counts, scores
from vidseg.motion.propagate import FlowPropagator
from vidseg.motion.tracker import FlowTracker
from vidseg.pipeline.policy import InferenceStride
from vidseg.runtimes.loading import load_model
from vidseg.runtimes.torch_runtime import TorchRuntime
from vidseg.segmentation.segmenter import QuerySegmenter
from vidseg.segmentation.temporal import MARGIN, ScoreSmoother
from vidseg.timing import StageTimers

ROOT = Path(__file__).resolve().parent.parent
SAMPLE, SAMPLE_LABELS = ROOT / "samples" / "street.mp4", ROOT / "samples" / "street_labels.mkv"
Pair = tuple[Frame, UInt8Array | None]


class OnceRuntime:
    """Runs the network once per frame: the same image again gets the last answer."""

    name = "once"

    def __init__(self, runtime: TorchRuntime) -> None:
        self._runtime = runtime
        self.device = runtime.device
        self._key: Tensor | None = None
        self._answer: tuple[Tensor, Tensor] | None = None

    def run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if self._answer is None or self._key is None or not torch.equal(self._key, images):
            self._key, self._answer = images, self._runtime.run(images)
        return self._answer


@dataclass
class Variant:
    """One way of labelling a video, fed frame by frame as the pipeline would; keeps its own score."""

    name: str
    segmenter: QuerySegmenter
    timers: StageTimers
    stride: InferenceStride
    propagator: FlowPropagator | None = None
    mapping: ClassMapping | None = None
    shares: list[float] = field(default_factory=list)
    confusion: np.ndarray | int = 0
    inferred: int = 0
    _last: Segmentation | None = None
    _before: UInt8Array | None = None

    def step(self, frame: Frame) -> UInt8Array:
        """(H, W) labels of the next frame."""
        carry = self.propagator.follow(frame) if self.propagator else None
        lost = self.propagator is not None and carry is None
        if self.stride.wants(frame.size_hw, new_scene=lost):
            if self.propagator:
                self.propagator.anchor()
            (self._last,) = self.segmenter.segment([frame])
            self.inferred += 1
            return self._last.label_map
        assert self._last is not None
        return (carry(self._last) if carry else self._last).label_map

    def judge(self, labels: UInt8Array, truth: UInt8Array | None, alignment: Alignment | None) -> None:
        """Count the newest labels."""
        if alignment is not None and self._before is not None:
            self.shares.append(changed_share(labels, self._before, alignment))
        self._before = labels
        if truth is not None:
            if self.mapping is not None:
                truth, labels = self.mapping.table[truth], self.mapping.table[labels]
            counts = label_counts(truth, labels, NO_LABEL)
            self.confusion = self.confusion + confusion_matrix(counts, membership(NO_LABEL, ()))

    @property
    def flicker(self) -> float:
        """Share in 0..1; NaN where no pixel of a frame was to be seen in the one before."""
        shares = [share for share in self.shares if not math.isnan(share)]
        return sum(shares) / len(shares) if shares else math.nan

    @property
    def scores(self) -> Scores | None:
        """Of all frames with exact labels."""
        return None if isinstance(self.confusion, int) else scores(self.confusion)


def video(path: Path, labels: Path | None) -> Iterator[Pair]:
    """Frames of a clip, with those of a grey label clip if there is one."""
    with av.open(str(path)) as clip:
        truth = _gray_frames(labels) if labels else None
        for index, picture in enumerate(clip.decode(video=0)):
            image = picture.to_ndarray(format="rgb24")
            assert picture.pts is not None and picture.time_base is not None
            yield Frame(image, index, picture.pts, picture.time_base), next(truth) if truth else None


def _gray_frames(path: Path) -> Iterator[UInt8Array]:
    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            yield picture.to_ndarray()


def sequence(folder: Path, fps: int) -> Iterator[Pair]:
    """Frames of a labelled folder, in the order of their names."""
    for index, path in enumerate(sorted((folder / "images").iterdir())):
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        truth = cv2.imread(str(folder / "labels" / f"{path.stem}.png"), cv2.IMREAD_UNCHANGED)
        yield Frame(image, index, index, Fraction(1, fps)), truth


def variants(runtime: OnceRuntime, args: argparse.Namespace) -> list[Variant]:
    """What is compared; the first sees every frame as it is."""
    mapping = read_mapping("camvid11") if args.classes == "camvid" else None

    def variant(name: str, *, smooth: bool, stride: int = 1, flow: bool = False) -> Variant:
        timers = StageTimers(time.thread_time)
        smoother = ScoreSmoother(FlowTracker(), seconds=args.seconds, margin=args.margin) if smooth else None
        segmenter = QuerySegmenter(runtime, imgsz=args.imgsz, smoother=smoother, timers=timers)
        propagator = FlowPropagator(timers) if flow else None
        return Variant(name, segmenter, timers, InferenceStride(stride), propagator, mapping)

    return [
        variant("frame by frame", smooth=False),
        variant("smoothed", smooth=True),
        variant(f"every {args.stride}th, hold", smooth=False, stride=args.stride),
        variant(f"every {args.stride}th, flow", smooth=False, stride=args.stride, flow=True),
        variant(f"every {args.stride}th, hold, smoothed", smooth=True, stride=args.stride),
        variant(f"every {args.stride}th, flow, smoothed", smooth=True, stride=args.stride, flow=True),
    ]


def report(name: str, size: tuple[int, int], found: Sequence[Variant], exact: Variant, frames: int) -> None:
    plain = found[0]
    print(f"\n{name}: {frames} frames, {size[1]}x{size[0]}")
    model = plain.timers.totals()["model"].ms_per_frame
    print(f"  {'':32}{'flicker':>8}{'ratio':>7}{'accuracy':>10}{'mIoU':>8}{'ratio':>7}   ms a frame")
    for item in found:
        totals = item.timers.totals()
        added = {stage: totals[stage].ms_per_frame for stage in ("smooth", "propagate") if stage in totals}
        cost = ", ".join(f"{stage} {ms:.1f} ({ms / model:.0%} of the model)" for stage, ms in added.items())
        cost = cost or f"model {model:.1f}, postprocess {totals['postprocess'].ms_per_frame:.1f}"
        right = ""
        if item.scores and plain.scores:
            ratio = item.scores.mean_iou / plain.scores.mean_iou
            right = f"{item.scores.pixel_accuracy:10.4f}{item.scores.mean_iou:8.4f}{ratio:7.3f}"
        print(f"  {item.name:32}{calmness(item, plain)}{right:25}   {cost}; model saw {item.inferred}")
    if exact.shares:
        print(f"  {'exact labels':32}{calmness(exact, plain)}")


def calmness(item: Variant, plain: Variant) -> str:
    ratio = f"{item.flicker / plain.flicker:7.2f}" if plain.flicker > 0 else f"{'-':>7}"
    return f"{item.flicker:8.4f}{ratio}"


def measure(name: str, frames: Iterator[Pair], runtime: OnceRuntime, args: argparse.Namespace) -> None:
    """Run all variants side by side over one video and print what came out."""
    found = variants(runtime, args)
    exact = Variant("exact labels", found[0].segmenter, StageTimers(), InferenceStride(1))
    before: Frame | None = None
    count = 0
    for frame, truth in islice(frames, args.limit):
        if truth is not None and truth.shape != frame.size_hw:
            raise SystemExit(f"{name}: frame {count} is {frame.size_hw}, its labels are {truth.shape}")
        alignment = Alignment.of_images(frame.image, before.image) if before is not None else None
        for item in found:
            item.judge(item.step(frame), truth, alignment)
        if truth is not None:
            exact.judge(truth, None, alignment)
        before = frame
        count += 1
    if before is None:
        raise SystemExit(f"{name}: has no frames")
    report(name, before.size_hw, found, exact, count)


def at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; accepted: 1 or more")
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="*", type=Path, help="video files; none: the bundled sample")
    parser.add_argument("--labels", type=Path, help="grey video of class ids that belongs to the one clip given")
    parser.add_argument("--sequence", type=Path, action="append", default=[], help="folder with images/ and labels/")
    parser.add_argument("--fps", type=at_least_one, default=15, help="frames per second of --sequence")
    parser.add_argument("--classes", choices=("exact", "camvid"), default="exact", help="how labels are judged")
    parser.add_argument("--model", default="m2f-mobile-ade")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--imgsz", type=at_least_one, help="long side that the network sees; default by model")
    parser.add_argument("--stride", type=at_least_one, default=4)
    parser.add_argument("--limit", type=at_least_one, help="frames of each video at most")
    parser.add_argument("--seconds", type=float, default=MEMORY_SECONDS, help="memory of the smoothing")
    parser.add_argument("--margin", type=float, default=MARGIN, help="by which another class has to win")
    args = parser.parse_args()
    for path in (*args.clips, *args.sequence, *filter(None, (args.labels, args.weights))):
        if not path.exists():
            parser.error(f"{path}: no such file or folder")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    args.imgsz = args.imgsz or zoo.entry(args.model).imgsz["cpu"]
    count = None if args.weights is None else len(zoo.weights_labels(args.weights))
    network = load_model(args.model, args.weights, num_classes=count)
    runtime = OnceRuntime(TorchRuntime(network, torch.device("cpu")))
    print(f"{args.model}, long side {args.imgsz}, one thread")
    if not args.clips and not args.sequence:
        measure(SAMPLE.name, video(SAMPLE, SAMPLE_LABELS), runtime, args)
    for clip in args.clips:
        measure(clip.name, video(clip, args.labels), runtime, args)
    for folder in args.sequence:
        measure(folder.name, sequence(folder, args.fps), runtime, args)


if __name__ == "__main__":
    main()
