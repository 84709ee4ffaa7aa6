"""Put drawn traffic lights into the street pictures of a labelled folder: another folder that `vidseg train` reads.

    python samples/paste_lights.py FOLDER OUT [--pictures N]

Traffic lights are in few photos and small there. Drawn signs come with them, so that not all that is bright is a light.
FOLDER has images/, labels/*.png (8 bit class ids) and perhaps soft/*.npz; its pictures with enough road or pavement are
used, in turn, and nothing in FOLDER is changed. Writes OUT/images/*.jpg and OUT/labels/*.png; soft labels are copied,
and count only where they agree with the labels. The same arguments give the same pictures.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

ROAD, PAVEMENT, SIGNBOARD, POLE, TRAFFIC_LIGHT = 6, 11, 43, 93, 136
STREET_SHARE = 0.06
"""A picture with less road and pavement than this is not used."""
DRAWN = 192
"""Pixels along the longer side of a head as it is drawn, before it is made small."""
SEED = 2024
JPEG_QUALITY = 90
COLOURS = ((215, 40, 30), (240, 165, 30), (40, 200, 120))
HOUSINGS = ((28, 30, 30), (20, 38, 32), (62, 64, 66), (190, 150, 40), (110, 112, 112))
HOUSING_SHARES = (0.4, 0.15, 0.15, 0.2, 0.1)
WALKERS_SHARE = 0.3
"""Heads that are for people on foot."""


def walkers_head(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """As `head`, for people on foot: a box, or two, with a hand or a person that is lit."""
    boxes = int(rng.choice([1, 2], p=[0.6, 0.4]))
    size = DRAWN // boxes
    wide = int(size * rng.uniform(0.85, 1.15))
    housing = np.array(HOUSINGS[rng.choice(len(HOUSINGS), p=HOUSING_SHARES)], np.float32) * rng.uniform(0.6, 1.3)
    picture = np.empty((DRAWN, wide, 3), np.float32)
    picture[:] = housing
    lit = int(rng.integers(boxes)) if rng.random() < 0.9 else -1
    edge = int(size * rng.uniform(0.06, 0.14))
    for number in range(boxes):
        top = number * size
        face = picture[top + edge : top + size - edge, edge : wide - edge]
        face[:] = rng.uniform(8, 45)
        if number != lit:
            continue
        stops = rng.random() < 0.5 if boxes == 1 else number == 0
        kinds = ((225, 60, 30), (240, 110, 40)) if stops else ((60, 210, 130), (225, 230, 235))
        colour = np.array(kinds[rng.integers(2)], np.float32) * rng.uniform(0.8, 1.1)
        rows, columns = face.shape[:2]
        thick = max(2, int(size * rng.uniform(0.06, 0.11)))

        def at(x: float, y: float, rows: int = rows, columns: int = columns) -> tuple[int, int]:
            return int(x * columns), int(y * rows)

        shape = np.zeros((rows, columns), np.uint8)
        if stops and rng.random() < 0.5:  # a hand
            cv2.rectangle(shape, at(0.3, 0.45), at(0.68, 0.88), 255, -1)
            lines = [(x, 0.5, x, top) for x, top in ((0.34, 0.2), (0.45, 0.1), (0.56, 0.12), (0.66, 0.25))]
            lines.append((0.66, 0.75, 0.85, 0.45))
        else:
            stride = 0.06 if stops else rng.uniform(0.12, 0.22)
            cv2.circle(shape, at(0.5, 0.17), max(2, int(0.09 * rows)), 255, -1)
            lines = [(0.5, 0.3, 0.5, 0.6), (0.5, 0.6, 0.5 - stride, 0.92), (0.5, 0.6, 0.5 + stride, 0.92)]
            lines += [(0.5, 0.34, 0.5 - stride - 0.1, 0.58), (0.5, 0.34, 0.5 + stride + 0.1, 0.58)]
        for ax, ay, bx, by in lines:
            cv2.line(shape, at(ax, ay), at(bx, by), 255, thick, cv2.LINE_AA)
        share = (shape / np.float32(255))[..., None] * rng.uniform(0.6, 1)
        face[:] = face * (1 - share) + colour * share
    return picture, np.ones(picture.shape[:2], np.float32)


def head(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """A traffic light upright or lying: RGB (H, W, 3) in 0..255 and how much of each pixel it covers, 0..1."""
    if rng.random() < WALKERS_SHARE:
        return walkers_head(rng)
    lamps = int(rng.choice([2, 3, 4], p=[0.2, 0.7, 0.1]))
    radius = DRAWN / lamps * rng.uniform(0.3, 0.42)
    width = 2 * radius * rng.uniform(1.15, 1.6)
    board = rng.uniform(1.25, 1.7) if rng.random() < 0.3 else 1.0
    size_wh = (int(width * board) + 2, DRAWN)
    picture = np.zeros((size_wh[1], size_wh[0], 3), np.float32)
    cover = np.zeros((size_wh[1], size_wh[0]), np.float32)
    housing = np.array(HOUSINGS[rng.choice(len(HOUSINGS), p=HOUSING_SHARES)], np.float32) * rng.uniform(0.6, 1.3)
    middle = size_wh[0] / 2
    if board > 1:
        cover[:] = 1
        picture[:] = rng.uniform(10, 40)
        if rng.random() < 0.5:
            edge = rng.choice([(230, 230, 225), (225, 200, 60)]).tolist()
            cv2.rectangle(picture, (0, 0), (size_wh[0] - 1, DRAWN - 1), edge, int(rng.integers(3, 8)))
    left, right = int(middle - width / 2), int(middle + width / 2)
    top = 0 if board == 1 else int(DRAWN * 0.06)
    cv2.rectangle(picture, (left, top), (right, DRAWN - 1 - top), housing.tolist(), -1)
    cv2.rectangle(cover, (left, top), (right, DRAWN - 1 - top), 1, -1)
    picture[:, left:right] *= np.linspace(rng.uniform(0.7, 1.1), rng.uniform(0.9, 1.4), right - left)[:, None]
    if rng.random() < 0.85:  # else its back
        lit = int(rng.integers(lamps)) if rng.random() < 0.85 else -1
        for number in range(lamps):
            y = top + (DRAWN - 2 * top) * (number + 0.5) / lamps
            r = min(radius, (DRAWN - 2 * top) / lamps * 0.45)
            colour = np.array(COLOURS[min(number, 2) if lamps != 2 else 2 * number], np.float32)
            shade = colour * rng.uniform(0.12, 0.3) + 12 if number != lit else colour
            place = (int(middle), int(y))
            cv2.circle(picture, place, int(r * 1.12), (housing * 0.5).tolist(), -1)
            cv2.circle(picture, place, int(r), shade.tolist(), -1)
            if number == lit:
                glare = np.clip(colour * 0.5 + 150, 0, 255).tolist()
                cv2.circle(picture, place, int(r * rng.uniform(0.3, 0.9)), glare, -1)
            elif rng.random() < 0.7:  # the hood's shadow
                cv2.ellipse(picture, place, (int(r), int(r)), 0, 180, 360, (housing * 0.3).tolist(), -1)
    if lamps == 3 and rng.random() < 0.15:
        picture, cover = np.ascontiguousarray(picture[::-1].swapaxes(0, 1)), cover[::-1].swapaxes(0, 1).copy()
    return picture, cover


def sign(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """As `head`, a road sign or a board: so that not everything bright on a mast is a light."""
    picture, shape = np.empty((DRAWN, DRAWN, 3), np.uint8), np.zeros((DRAWN, DRAWN), np.uint8)
    colours = ((200, 25, 30), (30, 80, 170), (235, 185, 30), (240, 240, 240), (20, 110, 70), (235, 120, 30))
    ground, edge = (colours[each] for each in rng.choice(len(colours), 2, replace=False))
    corners = int(rng.choice([3, 4, 8, 40]))
    if rng.random() < 0.35:
        high = rng.uniform(0.3, 0.9)
        outline = np.array([[0, 0.5 - high / 2], [1, 0.5 - high / 2], [1, 0.5 + high / 2], [0, 0.5 + high / 2]])
    else:
        turned = (np.arange(corners) + (0.5 if corners == 8 else 0) + 0.25 * corners * (corners == 3)) / corners
        outline = 0.5 + 0.5 * np.stack([np.cos(2 * np.pi * turned), -np.sin(2 * np.pi * turned)], 1)
    points = np.rint(outline * (DRAWN - 1)).astype(np.int32)
    cv2.fillPoly(shape, [points], 255, cv2.LINE_AA)
    picture[:] = ground
    cv2.polylines(picture, [points], True, edge, int(rng.integers(6, 36)))
    if rng.random() < 0.8:
        words = "".join(rng.choice(list("ABCDEHKLMNOPRSTU0123456789"), int(rng.integers(1, 7))))
        scale = DRAWN / 45 * min(1.0, 3.2 / len(words)) * rng.uniform(0.6, 1)
        thick = max(2, int(scale * rng.uniform(1.5, 3.5)))
        (wide, high), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
        place = ((DRAWN - wide) // 2, (DRAWN + high) // 2)
        cv2.putText(picture, words, place, cv2.FONT_HERSHEY_SIMPLEX, scale, edge, thick, cv2.LINE_AA)
    return picture.astype(np.float32), shape / np.float32(255)


def seen(picture: FloatArray, cover: FloatArray, height: float, rng: np.random.Generator) -> tuple[FloatArray, ...]:
    """The head from some side, its longer side `height` pixels."""
    scale = height / max(picture.shape[:2])
    narrow = rng.uniform(0.55, 1)
    size_wh = (max(2, round(picture.shape[1] * scale * narrow)), max(2, round(picture.shape[0] * scale)))
    shrunk = [cv2.resize(part, size_wh, interpolation=cv2.INTER_AREA) for part in (picture * cover[..., None], cover)]
    lean = rng.uniform(-0.12, 0.12) * (rng.random() < 0.4)
    border = int(np.ceil(abs(lean) * size_wh[1])) + 1
    matrix = np.array([[1, lean, border - lean * size_wh[1] / 2], [0, 1, 0]], np.float32)
    out_wh = (size_wh[0] + 2 * border, size_wh[1])
    return tuple(np.asarray(cv2.warpAffine(part, matrix, out_wh), np.float32) for part in shrunk)


def put_in(image: UInt8Array, labels: UInt8Array, rng: np.random.Generator) -> None:
    """One to four heads, often alike, and signs, on masts, arms or wires, into a picture and its labels, in place."""
    height, width = labels.shape
    tall = height * float(np.exp(rng.uniform(np.log(0.05), np.log(0.45))))
    drawn, last = head(rng), TRAFFIC_LIGHT
    light = float(np.clip(image.mean() / 110, 0.35, 1.15)) * rng.uniform(0.8, 1.15)
    heads, signs = int(rng.choice([1, 2, 3, 4], p=[0.45, 0.3, 0.15, 0.1])), int(rng.integers(0, 4))
    for number in rng.permutation(heads + signs):
        meant = TRAFFIC_LIGHT if number < heads else SIGNBOARD
        if meant == SIGNBOARD:
            drawn = sign(rng)
        elif last != meant or rng.random() < 0.4:
            drawn = head(rng)
        last = meant
        picture, cover = seen(*drawn, max(5.0, tall * rng.uniform(0.75, 1.1)), rng)
        rows, columns = cover.shape
        x = int(rng.integers(-columns // 3, max(1, width - columns * 2 // 3)))
        y = int(rng.uniform(0, 0.5) * height) - rows // 4
        thick = max(1, round(min(rows, columns) * rng.uniform(0.1, 0.35)))
        support = rng.choice(["mast", "arm", "wire"], p=[0.5, 0.3, 0.2])
        metal = (np.array(HOUSINGS[rng.integers(len(HOUSINGS))]) * rng.uniform(0.8, 1.6) * light).clip(0, 255).tolist()
        middle = (x + columns // 2, y + rows // 2)
        side = rng.choice([-1, 1])
        ends = {
            "mast": (middle[0] + int(side * columns * rng.uniform(0, 0.7)), height),
            "arm": (width * (side > 0), y + int(rows * rng.uniform(0, 0.3))),
            "wire": (middle[0], -1),
        }[str(support)]
        start = (ends[0], y) if support == "mast" else (middle[0], ends[1]) if support == "arm" else middle
        if support == "wire":
            thick = 1
        cv2.line(image, start, ends, metal, thick, cv2.LINE_AA)
        if thick >= 2:
            cv2.line(labels, start, ends, POLE, thick)
        target = (slice(max(0, y), min(height, y + rows)), slice(max(0, x), min(width, x + columns)))
        source = (slice(target[0].start - y, target[0].stop - y), slice(target[1].start - x, target[1].stop - x))
        share = cover[source][..., None]
        haze = rng.uniform(0, 0.25) * image[target].mean(axis=(0, 1), keepdims=True)
        shown = np.clip(picture[source] * light + haze * share, 0, 255)
        image[target] = np.rint(image[target] * (1 - share) + shown).clip(0, 255)
        labels[target][share[..., 0] >= 0.5] = meant


def paste(folder: Path, out: Path, pictures: int) -> int:
    """Write up to that many pictures, no street twice; gives how many."""
    for name in ("images", "labels", "soft"):
        if (folder / name).is_dir():
            (out / name).mkdir(parents=True, exist_ok=True)
    if (folder / "sets.csv").is_file():
        shutil.copy(folder / "sets.csv", out)
    order = np.random.default_rng(SEED).permutation(np.array(sorted((folder / "images").iterdir())))
    done = 0
    for number, path in enumerate(map(Path, order)):
        if done == pictures:
            break
        read, labelled = cv2.imread(str(path)), cv2.imread(str(folder / "labels" / f"{path.stem}.png"), -1)
        if read is None or labelled is None:
            continue
        image, labels = np.asarray(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), np.uint8), np.asarray(labelled, np.uint8)
        if np.isin(labels, (ROAD, PAVEMENT)).mean() < STREET_SHARE:
            continue
        put_in(image, labels, np.random.default_rng((SEED, number)))
        written = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(out / "images" / f"{path.stem}.jpg"), written, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        cv2.imwrite(str(out / "labels" / f"{path.stem}.png"), labels)
        soft = folder / "soft" / f"{path.stem}.npz"
        if soft.is_file():
            shutil.copy(soft, out / "soft")
        done += 1
    return done


def main() -> None:
    """Read the options, draw, and print what was written."""
    parser = argparse.ArgumentParser(description="Put drawn traffic lights into labelled pictures of streets.")
    parser.add_argument("folder", type=Path, help="with images/ and labels/")
    parser.add_argument("out", type=Path, help="folder; gets the same parts")
    parser.add_argument("--pictures", type=int, default=600)
    options = parser.parse_args()
    print(f"{options.out}: {paste(options.folder, options.out, options.pictures)} pictures")


if __name__ == "__main__":
    main()
