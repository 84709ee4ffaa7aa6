"""How far a network can be believed: reliability on labelled pictures, and the calibration that its weights carry.

    python benchmarks/confidence.py [--model NAME] [--weights FILE] --data FOLDER [--data FOLDER ...] [--every N]
                                    [--write] [--results FILE.md]

Segments the pictures of labelled folders (as `vidseg eval` takes them, `sets.csv` included) at the model's default
size, and asks of every pixel with a known label how large the winner's share of all scores is and whether the label is
right. A picture counts by the part of it that has labels. Through the shares right goes a rising curve of a few
straight lines (isotonic regression, then the knots that miss it least). The reliability table is that of pictures that
the curve was not fitted on: each half of them is judged by the curve of the other half.

`--write` puts the curve into the metadata of the weights; without `--weights` into the bundled ones, with hash and size
in the registry and the table of their card. `--results` writes the tables as Markdown. The tensors stay as they are, as
do the labels and the int8 version.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import safetensors
import safetensors.torch
import torch
from package import write_between

from vidseg import zoo
from vidseg.atomic import write_whole_file
from vidseg.confidence import IDENTITY, METADATA_KEY, STEPS, Calibration, calibration_metadata
from vidseg.configure import merge
from vidseg.data.folder import FolderDataset, every_nth
from vidseg.data.label_sets import membership
from vidseg.frames import Frame
from vidseg.segmentation.doubt import Doubt
from vidseg.segmentation.segmenter import QuerySegmenter
from vidseg.wiring.engine import load_engine
from vidseg.wiring.reporter import SilentReporter

KNOTS = 7
MOST_CLASSES = 20
"""Label values that stand for more classes are left out."""
REGISTRY = Path(zoo.__file__).parent / "registry.yaml"
MINIMA, IN_CARD = (0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), (0, 0.5, 0.7, 0.9)
"""Values of `--min-confidence` to tell of."""
BEGIN, END = "<!-- sure: benchmarks/confidence.py -->", "<!-- end of sure -->"
Counts = np.ndarray
"""(2, STEPS + 1) pixels that are right, and all, by the step of the winner's share."""


def count(segmenter: QuerySegmenter, data: FolderDataset, num_classes: int) -> tuple[Counts, Counts]:
    """Of the even and of the odd pictures."""
    member = membership(num_classes, data.label_sets.sets)
    said = member.sum(axis=1)
    member[said > MOST_CLASSES] = False  # "none of the things" is right too easily
    found = np.zeros((2, 2, STEPS + 1))
    for number in range(len(data)):
        item = data[number]
        (seen,) = segmenter.segment([Frame(item.image, number, number, Fraction(1))])
        known = member.any(axis=1)[item.labels]
        right = member[item.labels, seen.label_map]
        for row, mask in enumerate((right & known, known)):
            found[number % 2, row] += np.bincount(seen.levels[mask], minlength=STEPS + 1) / mask.size
    return found[0], found[1]


def isotonic(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The rising sequence nearest to the values in weighted squares (pool adjacent violators)."""
    blocks: list[list[float]] = []
    for value, weight in zip(values, weights, strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            later, earlier = blocks.pop(), blocks.pop()
            total = earlier[1] + later[1]
            mean = (earlier[0] * earlier[1] + later[0] * later[1]) / total
            blocks.append([mean, total, earlier[2] + later[2]])
    return np.concatenate([np.full(int(length), value) for value, _, length in blocks])


def fitted(counts: Counts) -> Calibration:
    """A rising curve of `KNOTS` knots through the share that is right."""
    right, all_of_them = counts
    weights = all_of_them + 1e-6 * all_of_them.sum() / STEPS
    shares = np.arange(STEPS + 1) / STEPS
    rising = isotonic((right + 1e-6 * all_of_them.sum() / STEPS * shares) / weights, weights)
    kept = [0, STEPS]
    while len(kept) < KNOTS:  # a knot where most pixels are missed by most
        guess = np.interp(shares, shares[kept], rising[kept])
        missed = weights * (guess - rising) ** 2
        smooth = np.convolve(missed, np.ones(9), "same")
        smooth[[place for knot in kept for place in range(max(0, knot - 8), min(STEPS, knot + 8) + 1)]] = 0
        kept = sorted([*kept, int(smooth.argmax())])
    basis = np.stack([np.interp(shares, shares[kept], np.eye(KNOTS)[knot]) for knot in range(KNOTS)], axis=1)
    root = np.sqrt(weights)[:, None]
    heights = np.linalg.lstsq(basis * root, rising * root[:, 0], rcond=None)[0]
    heights = np.maximum.accumulate(heights.clip(0, 1))
    return Calibration(
        tuple((round(float(shares[k]), 4), round(float(h), 4)) for k, h in zip(kept, heights, strict=True))
    )


def table(parts: list[tuple[Counts, Calibration]]) -> tuple[list[str], float, float]:
    """Reliability by tenth of confidence, and the expected calibration error of the curves and of plain shares."""
    bins, plain = np.zeros((10, 3)), np.zeros((10, 3))
    for (right, total), curve in parts:
        for into, confidence in ((bins, curve.table / 255), (plain, IDENTITY.table / 255)):
            where = np.minimum((confidence * 10).astype(int), 9)
            for column, values in enumerate((right, total, confidence * total)):
                np.add.at(into[:, column], where, values)
    whole = bins[:, 1].sum()

    def error(into: np.ndarray) -> float:
        return float(np.abs(into[:, 2] - into[:, 0]).sum() / whole)

    rows = ["| confidence | share of the pixels | said on average | right |", "|---|---|---|---|"]
    for number, (right, total, said) in enumerate(bins):
        if total > 0:
            shown = f"{total / whole:.3f} | {said / total:.3f} | {right / total:.3f}"
            rows.append(f"| {number / 10:.1f} to {number / 10 + 0.1:.1f} | {shown} |")
    return rows, error(bins), error(plain)


def left_out(parts: list[tuple[Counts, Calibration]], minima: tuple[float, ...] = MINIMA) -> list[str]:
    """What `--min-confidence` leaves out, and what of the rest is right."""
    rows = ["| --min-confidence | labelled | of these right | of what is left out, wrong |", "|---|---|---|---|"]
    for minimum in minima:
        kept = right = lost = lost_wrong = 0.0
        for counts, curve in parts:
            sure = np.arange(STEPS + 1) / STEPS >= curve.least_share(minimum)
            kept, right = kept + counts[1][sure].sum(), right + counts[0][sure].sum()
            lost, lost_wrong = lost + counts[1][~sure].sum(), lost_wrong + (counts[1] - counts[0])[~sure].sum()
        shown = f"{lost_wrong / lost:.3f}" if lost else "-"
        rows.append(f"| {minimum:g} | {kept / (kept + lost):.3f} | {right / max(kept, 1e-9):.3f} | {shown} |")
    return rows


def write(path: Path, calibration: Calibration, bundled: bool) -> None:
    """The same tensors with the calibration beside them; the registry knows the file by its hash."""
    before = path.read_bytes()
    with safetensors.safe_open(path, "pt") as file:
        metadata = {key: text for key, text in (file.metadata() or {}).items() if key != METADATA_KEY}
    tensors = {key: tensor.contiguous() for key, tensor in safetensors.torch.load(before).items()}
    after = safetensors.torch.save(tensors, metadata | calibration_metadata(calibration))
    write_whole_file(path, after)
    if bundled:
        text = REGISTRY.read_text(encoding="utf-8")
        old, new = (hashlib.sha256(data).hexdigest() for data in (before, after))
        if old not in text:
            raise SystemExit(f"{REGISTRY}: does not know {path.name} by its hash {old}; set sha256 and size by hand")
        text = re.sub(rf"sha256: {old}\n(\s+)size: \d+", rf"sha256: {new}\n\g<1>size: {len(after)}", text)
        write_whole_file(REGISTRY, text.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="m2f-mobile-ade")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--data", type=Path, action="append", required=True, help="labelled folder; may be repeated")
    parser.add_argument("--every", type=int, default=1, help="take every Nth picture")
    parser.add_argument("--imgsz", type=int)
    parser.add_argument("--write", action="store_true", help="store the curve with the weights")
    parser.add_argument("--results", type=Path, help="write the tables there, as Markdown")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    weights = None if args.weights is None else str(args.weights)
    config = merge(("command line", {"model": args.model, "weights": weights, "runtime": "torch", "imgsz": args.imgsz}))
    engine = load_engine(config, SilentReporter())
    # shares, whatever the weights say of them now
    segmenter = QuerySegmenter(engine.runtime, imgsz=engine.size.imgsz, labels=engine.labels, doubt=Doubt(keep=True))
    halves = []
    for folder in args.data:
        keep = None if args.every == 1 else every_nth(args.every)
        data = FolderDataset(folder, num_classes=len(engine.labels), keep=keep)
        each = count(segmenter, data, len(engine.labels))
        right, known = (sum(part[row].sum() for part in each) for row in (0, 1))
        print(
            f"{folder}: {len(data)} pictures, {known / len(data):.3f} of them known, {right / known:.3f} of that right"
        )
        halves.append(each)
    even, odd = (sum(each[half] for each in halves) for half in (0, 1))
    curve = fitted(even + odd)
    parts = [(even, fitted(odd)), (odd, fitted(even))]
    rows, error, plain = table(parts)
    names = ", ".join(f"{folder.resolve().parent.name}/{folder.name}" for folder in args.data)
    knots = ", ".join(f"{share:g}: {confidence:g}" for share, confidence in curve.knots)
    lines = [
        f"{args.model}, long side {engine.size.imgsz}, {names}: expected calibration error {error:.3f}, "
        f"of plain shares {plain:.3f}; knots {knots}",
        *("", *rows, "", *left_out(parts)),
    ]
    print("\n".join(lines))
    if args.results is not None:
        write_whole_file(args.results, ("\n".join(lines) + "\n").encode())
    if args.write:
        path = args.weights or zoo.entry(args.model).bundled_path
        if path is None or path.suffix != ".safetensors":
            raise SystemExit(f"{path or args.model}: only a .safetensors file can hold the calibration")
        bundled = path == zoo.entry(args.model).bundled_path
        write(path, curve, bundled=bundled)
        if bundled:
            said = f"Expected calibration error {error:.3f} ({plain:.3f} without the curve)."
            write_between(path.with_suffix(".md"), BEGIN, END, [said, "", *left_out(parts, IN_CARD)])
        print(f"written into {path}")


if __name__ == "__main__":
    main()
