"""Puts trained weights into the package: the file, its int8 version, the registry's facts, the card's measured table.

    python benchmarks/package.py runs/mobile/weights.safetensors --data DATA [--model m2f-mobile-ade] [--rare 0.25]

`--rare` has rare classes said more readily, see `with_rare_classes`. DATA holds the data sets of `make weights`: the
trained on ones give the pictures that the int8 version is calibrated with and that say which classes are rare, those
named val are measured. The lines between the two marks in the card are written anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import cv2
import safetensors
import safetensors.torch
import torch

from vidseg import zoo
from vidseg.atomic import write_whole_file
from vidseg.runtimes.loading import load_model
from vidseg.runtimes.torch_runtime import TorchRuntime
from vidseg.segmentation.postprocess import QueryOutput
from vidseg.segmentation.preprocess import network_size, to_network

WEIGHTS = Path(zoo.__file__).parent / "weights"
REGISTRY = WEIGHTS.parent / "registry.yaml"
CALIBRATION = {"camvid/train": 20, "idd/train": 35, "coco/train": 45, "people": 15, "scenes": 60, "photos": 125}
"""Data sets and how many pictures of each, spread evenly."""
MEASURED = {"coco/val_dense": None, "coco/val": None, "idd/val": None, "camvid/val": "camvid11"}
"""Data sets and the mapping of their classes."""
GROUPS = ("person", "animal", "vehicle", "road", "chair", "sofa", "bicycle", "motorbike", "boat", "traffic light")
CLASS_BIAS = "head.predictor.forward_prediction_heads.classifier.bias"
RARE, NEUTRAL, FREQUENT = 0.001, 0.02, 0.05
"""Shares of all scores: classes are taken to have no less than the first and no more than the last; those with the
middle one stay as they are."""
BEGIN, END = "<!-- measured: benchmarks/package.py -->", "<!-- end of measured -->"


def calibration_pictures(data: Path, folder: Path) -> int:
    """Links to the pictures in one folder; how many."""
    count = 0
    for name, wanted in CALIBRATION.items():
        found = sorted((data / name / "images").iterdir())
        for picture in found[:: max(1, len(found) // wanted)][:wanted]:
            (folder / f"{count:04}{picture.suffix}").symlink_to(picture.resolve())
            count += 1
    return count


def with_rare_classes(weights: Path, model: str, pictures: Path, strength: float) -> None:
    """Change the file so that its network says a class the more readily the less often it says it.

    The bias of a class rises by strength x log(`NEUTRAL` / share of the scores that it has on the pictures).

    Source: logit adjustment (arXiv:2007.07314), after training.
    """
    runtime, imgsz = TorchRuntime(load_model(model, weights), torch.device("cpu")), zoo.entry(model).imgsz["cpu"]
    shares = torch.zeros(0)
    for file in sorted(pictures.iterdir()):
        image = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        with torch.inference_mode():
            found = runtime.run(to_network(image, network_size(*image.shape[:2], imgsz)))
            scores = QueryOutput.from_logits(found[0][0], found[1][0], image.shape[:2]).class_scores("semantic")
            maps = scores.of(torch.arange(scores.count))
            mean = (maps / maps.sum(dim=0)).mean(dim=(1, 2)).double()
        shares = mean if len(shares) == 0 else shares + mean
    shares = (shares / shares.sum()).clamp(RARE, FREQUENT)
    with safetensors.safe_open(weights, "pt") as opened:
        metadata = opened.metadata()
    tensors = safetensors.torch.load_file(weights)
    bias = tensors[CLASS_BIAS].double()
    bias[: len(shares)] += strength * torch.log(NEUTRAL / shares)
    tensors[CLASS_BIAS] = bias.to(tensors[CLASS_BIAS].dtype)
    write_whole_file(weights, safetensors.torch.save(tensors, metadata))


def measured(data: Path, name: str, mapping: str | None, model: str, precision: str) -> dict[str, Any]:
    """What `vidseg eval` measures on one data set with the bundled weights."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "scores.json")
        words = ["--mapping", mapping] if mapping else ["--groups"]
        words += ["--runtime", "torch"] if precision == "float32" else []
        run_vidseg("eval", data / name, "-m", model, "--precision", precision, "--json", file, "-q", *words)
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def run_vidseg(*words: object) -> None:
    """The command line, as a user would give it; ends this program if it fails."""
    subprocess.run([sys.executable, "-m", "vidseg", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def row(name: str, wide: dict[str, Any], narrow: dict[str, Any]) -> str:
    """A line of the table: float32, and int8 in brackets."""
    right = f"{wide['pixel_accuracy']:.3f} ({narrow['pixel_accuracy']:.3f})"
    if "groups" not in wide:
        return f"| `{name}` | {right} | mIoU of 11 classes {wide['miou']:.3f} ({narrow['miou']:.3f}) |"
    both = [(group, wide["groups"][group], narrow["groups"][group]) for group in GROUPS if group in wide["groups"]]
    return f"| `{name}` | {right} | {', '.join(f'{group} {a:.2f} ({b:.2f})' for group, a, b in both)} |"


def set_facts(model: str, file: Path) -> None:
    """Write hash and size of the file into the registry."""
    content = file.read_bytes()
    facts = {"sha256": hashlib.sha256(content).hexdigest(), "size": str(len(content))}
    facts |= {"bundled": file.name, "int8": f"{model}.int8.zip"}
    before, block = re.split(rf"(?<=- name: {re.escape(model)}\n)", REGISTRY.read_text(encoding="utf-8"), maxsplit=1)
    for key, value in facts.items():
        block = re.sub(rf"^    {key}: .*$", f"    {key}: {value}", block, count=1, flags=re.MULTILINE)
    REGISTRY.write_text(before + block, encoding="utf-8")


def without_code(path: Path) -> None:
    """Drop from a file of int8 weights which code made it: a changed comment would put the bundled one out of use.

    `tests/commands/test_int8.py` compares its labels with those of the code as it is.
    """
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    facts = json.loads(parts["facts.json"])
    facts.pop("code_sha256", None)
    parts["facts.json"] = json.dumps(facts).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, 9)


def write_between(card: Path, begin: str, end: str, lines: list[str]) -> None:
    """Write the lines between the two marks of the card, in place of those that are there."""
    text = card.read_text(encoding="utf-8")
    before, after = text.index(begin) + len(begin), text.index(end)
    card.write_text(text[:before] + "\n\n" + "\n".join(lines) + "\n\n" + text[after:], encoding="utf-8")


def main() -> None:
    """Copy, quantise, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="m2f-mobile-ade")
    parser.add_argument("--rare", type=float, default=0.0, help="0..1: have rare classes said more readily")
    args = parser.parse_args()
    target, small = WEIGHTS / f"{args.model}.safetensors", WEIGHTS / f"{args.model}.int8.zip"
    shutil.copyfile(args.weights, target)
    with tempfile.TemporaryDirectory() as folder:
        count = calibration_pictures(args.data, Path(folder))
        if args.rare:
            with_rare_classes(target, args.model, Path(folder), args.rare)
        set_facts(args.model, target)
        run_vidseg("quantize", folder, "-m", args.model, "--weights", target, "--pictures", count, "-o", small, "-y")
        without_code(small)
    lines = ["| on | pixels right | IoU |", "|---|---|---|"]
    for name, mapping in MEASURED.items():
        if (args.data / name).is_dir():
            both = [measured(args.data, name, mapping, args.model, precision) for precision in ("float32", "int8")]
            lines.append(row(name, *both))
            print(lines[-1], flush=True)
    write_between(WEIGHTS / f"{args.model}.md", BEGIN, END, lines)


if __name__ == "__main__":
    main()
