"""Render the sample clip `street.mp4` (picture and sound) and its exact labels `street_labels.mkv`.

    python samples/render_street.py [--out DIR] [--frames N] [--size WxH]

Needs numpy, OpenCV and PyAV, as the project does. The same arguments give the same pictures and labels.
"""

from __future__ import annotations

import argparse
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from street.scene import SECONDS, Street
from street.sound import SAMPLE_RATE, street_sound
from street.view import FloatArray, UInt8Array

FRAME_RATE = 30
SEED = 2024
VIDEO_QUALITY = 25
"""x264 crf: the picture stays clean and the file small enough to be kept in the repository."""


def developed(picture: FloatArray, index: int) -> UInt8Array:
    """What a small camera makes of a drawn picture (h, w, 3): lens blur, darker corners, contrast, grain."""
    height, width = picture.shape[:2]
    soft = cv2.GaussianBlur(picture, (0, 0), 0.55 * width / 640 + 0.05)
    glow = cv2.GaussianBlur(np.clip(picture - 205, 0, None), (0, 0), 9 * width / 640)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    corner = 1 - 0.10 * ((x**2 + y**2) / 2) ** 1.5
    tone = np.clip((soft + 0.5 * glow) * corner[..., None] / 255, 0, 1)
    tone = tone + 0.10 * (tone * tone * (3 - 2 * tone) - tone)
    rng = np.random.default_rng((SEED, index))
    grain = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), 0.6)
    return np.asarray(np.clip(255 * tone + 3.2 * grain[..., None] + 0.5, 0, 255), np.uint8)


def render(folder: Path, frames: int, size_wh: tuple[int, int]) -> tuple[Path, Path]:
    """Write clip and labels into `folder` and give their paths."""
    cv2.setNumThreads(1)
    clip_path, labels_path = folder / "street.mp4", folder / "street_labels.mkv"
    street = Street(size_wh, SEED)
    bitexact = {"fflags": "+bitexact"}  # no random ids and no version in the files
    with (
        av.open(str(clip_path), "w", options={**bitexact, "movflags": "+faststart"}) as clip,
        av.open(str(labels_path), "w", options=bitexact) as labels,
    ):
        video = clip.add_stream(
            "libx264", FRAME_RATE, options={"crf": str(VIDEO_QUALITY), "preset": "veryslow", "threads": "1"}
        )
        video.width, video.height = size_wh
        video.pix_fmt = "yuv420p"
        audio = clip.add_stream("aac", SAMPLE_RATE, layout="stereo")
        audio.bit_rate = 96_000
        # version 3, range coder with large contexts: the smallest of ffv1 for flat areas
        maps = labels.add_stream(
            "ffv1", FRAME_RATE, options={"level": "3", "coder": "1", "context": "1", "g": "300", "slices": "4"}
        )
        maps.width, maps.height = size_wh
        maps.pix_fmt = "gray"
        for index in range(frames):
            picture, label_map = street.frame(index / FRAME_RATE)
            for stream, container, image, layout in (
                (video, clip, developed(picture, index), "rgb24"),
                (maps, labels, label_map, "gray"),
            ):
                frame = av.VideoFrame.from_ndarray(image, format=layout)
                frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE)
                container.mux(stream.encode(frame))
            if sys.stderr.isatty():
                print(f"\rframe {index + 1} of {frames}", end="", file=sys.stderr)
        sound = street_sound(frames / FRAME_RATE, SEED)
        for start in range(0, sound.shape[1], 1024):
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[:, start : start + 1024]), "fltp", "stereo")
            block.sample_rate, block.pts, block.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
            clip.mux(audio.encode(block))
        clip.mux([*video.encode(None), *audio.encode(None)])
        labels.mux(maps.encode(None))
    return clip_path, labels_path


def size_argument(text: str) -> tuple[int, int]:
    """(width, height) of "640x360", for argparse."""
    width, _, height = text.partition("x")
    if (
        not (width.isdigit() and height.isdigit())
        or min(int(width), int(height)) < 32
        or int(width) % 2
        or int(height) % 2
    ):
        raise argparse.ArgumentTypeError(f"'{text}' is no size; accepted: WIDTHxHEIGHT, even numbers of at least 32")
    return int(width), int(height)


def _count(text: str) -> int:
    whole = round(SECONDS * FRAME_RATE)
    if not text.isdigit() or not 1 <= int(text) <= whole:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of frames; accepted: 1 to {whole}")
    return int(text)


def main() -> None:
    """Read the options, render, and print what was written."""
    parser = argparse.ArgumentParser(description="Render the street sample: a clip with sound and its exact labels.")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent, help="folder (default: this one)")
    parser.add_argument("--frames", type=_count, default=round(SECONDS * FRAME_RATE), help="how many, from the start")
    parser.add_argument("--size", type=size_argument, default=(640, 360), metavar="WxH", help="default: 640x360")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for path in render(options.out, options.frames, options.size):
        print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
