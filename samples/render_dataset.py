"""Render pictures of streets like the sample's with exact labels: a folder that `vidseg train` reads.

    python samples/render_dataset.py OUT [--pictures N] [--size WxH] [--streets N]

The streets have other houses, sky and trees than the clip's (other seeds; people and cars are the same), seen from
random places, heights and directions. Writes OUT/images/*.jpg and OUT/labels/*.png (8 bit class ids); the same
arguments give the same pictures. About two seconds a picture on one core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from render_street import SEED, developed, size_argument
from street.scene import EYE_HEIGHT, SECONDS, Street
from street.view import Camera

JPEG_QUALITY = 90
REACH = (0.0, 75.0)
"""Metres along the street where a camera may stand; the scene is modelled well beyond."""


def random_camera(rng: np.random.Generator, size_wh: tuple[int, int]) -> Camera:
    """A camera on the road, on a pavement or on a low mast, looking more or less along the street."""
    height = EYE_HEIGHT + float(rng.choice([0.0, 0.3, 1.2])) + float(rng.uniform(-0.2, 0.3))
    position = (float(rng.uniform(-6.5, 6.5)), height, float(rng.uniform(*REACH)))
    yaw, pitch, roll = rng.uniform(-0.45, 0.45), rng.uniform(-0.12, 0.08), rng.uniform(-0.03, 0.03)
    return Camera.looking(position, float(yaw), float(pitch), float(roll), size_wh)


def render(folder: Path, pictures: int, size_wh: tuple[int, int], streets: int) -> None:
    """Write the pictures, evenly over the streets."""
    cv2.setNumThreads(1)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(streets):
        street = Street(size_wh, SEED + 1 + number)
        for index in range(number, pictures, streets):
            rng = np.random.default_rng((SEED, 1, index))
            picture, labels = street.frame(float(rng.uniform(0, SECONDS)), random_camera(rng, size_wh))
            stem = f"street_{index:04d}"
            cv2.imwrite(
                str(folder / "images" / f"{stem}.jpg"),
                cv2.cvtColor(developed(picture, index), cv2.COLOR_RGB2BGR),
                [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY],
            )
            cv2.imwrite(str(folder / "labels" / f"{stem}.png"), labels)
            if sys.stderr.isatty():
                print(f"\rstreet {number + 1} of {streets}, picture {index + 1}", end="", file=sys.stderr)


def main() -> None:
    """Read the options, render, and print what was written."""
    parser = argparse.ArgumentParser(description="Render street pictures with exact labels, for training.")
    parser.add_argument("out", type=Path, help="folder; gets images/ and labels/")
    parser.add_argument("--pictures", type=int, default=240)
    parser.add_argument("--size", type=size_argument, default=(480, 270), metavar="WxH", help="default: 480x270")
    parser.add_argument("--streets", type=int, default=12, help="seeds: other houses, sky and trees (default: 12)")
    options = parser.parse_args()
    if not 1 <= options.streets <= options.pictures:
        parser.error(f"--streets is {options.streets}; accepted: 1 to --pictures ({options.pictures})")
    render(options.out, options.pictures, options.size, options.streets)
    print(f"{options.out}: {options.pictures} pictures")


if __name__ == "__main__":
    main()
