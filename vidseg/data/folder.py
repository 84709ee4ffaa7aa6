"""Pictures with labels out of a folder: `images/`, `labels/` and perhaps `soft/`, files of one stem belonging together.

- `images/`: JPEG, PNG or WebP.
- `labels/STEM.png`: one channel of up to 8 bits or a palette, the size of the image: class id, 255 = no label.
- `sets.csv` (optional): label values that stand for several classes or for classes of another table; see `label_sets`.
- `soft/STEM.npz` (optional): `ids` uint8 (3, ceil(h/4), ceil(w/4)), a teacher's three likeliest classes per 4x4 pixels,
  and `probs` uint8, their probabilities times 255.

Or ADE20K as it is downloaded: `images/validation/`, and `annotations/validation/` with ids from 1, and 0 for none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vidseg.data.label_sets import FILE as SETS_FILE
from vidseg.data.label_sets import read_sets
from vidseg.data.label_values import read_label_file
from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, UInt8Array
from vidseg.picture_size import HEADER_BYTES, MAX_PIXELS, too_large

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_VALIDATION = "validation"
SOFT_STRIDE = 4
SOFT_CLASSES = 3


@dataclass(frozen=True, slots=True)
class SoftLabels:
    """A teacher's opinion on a coarse grid: `ids` and `probs` (0..255), both (3, h, w) uint8, likeliest first."""

    ids: UInt8Array
    probs: UInt8Array


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled picture: `image` (H, W, 3) RGB, `labels` (H, W) with class ids, K + n for set n, 255 for unknown."""

    name: str
    image: UInt8Array
    labels: UInt8Array
    soft: SoftLabels | None
    fill: bool = False
    """Where the label is unknown, `soft` stands in for it."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a dataset can teach: the values in its label maps, and whether its soft labels stand in for missing ones."""

    classes: frozenset[int]
    soft: bool
    pixels: tuple[int, ...] = ()
    """How many have each of the values 0 to 255."""
    pictures: tuple[frozenset[int], ...] = ()
    """The values in each picture."""


class FolderDataset:
    """The labelled pictures of a folder, by number, in the order of their names.

    Args:
        folder: holds `images/` and `labels/`.
        num_classes: K; label values from this on, other than 255, are refused, unless `sets.csv` lists them.
        keep: takes (number in order, stem); pictures for which it is False are left out.
        values: (256,) class id of each value in label files, see `parse_values`; None: the value itself.
        max_pixels: pictures and label files with more are refused, before they are decoded.
    Raises:
        ConfigError: a folder is missing, there are no images, an image has no labels, or `sets.csv` is wrong.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        num_classes: int = 150,
        keep: Callable[[int, str], bool] | None = None,
        values: UInt8Array | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.folder = Path(folder)
        self._max_pixels = max_pixels
        self._values = values
        images, labels = self.folder / "images", self.folder / "labels"
        if (images / _VALIDATION).is_dir() and (self.folder / "annotations" / _VALIDATION).is_dir():
            images, labels = images / _VALIDATION, self.folder / "annotations" / _VALIDATION
            self._values = _ade20k_values() if values is None else values
        self._label_folder = labels
        if not self.folder.exists():
            raise ConfigError(f"{self.folder}: the folder does not exist; a dataset has images/ and labels/")
        for part in (images, labels):
            if not part.is_dir():
                raise ConfigError(f"{self.folder}: no folder '{part.name}'; a dataset has images/ and labels/")
        found = sorted(path for path in images.iterdir() if _is_image(path))
        if not found:
            raise ConfigError(f"{images}: no images; accepted: {', '.join(IMAGE_SUFFIXES)}")
        missing = [path.name for path in found if not self._labels_of(path).is_file()]
        if missing:
            raise ConfigError(
                f"{labels}: {len(missing)} of {len(found)} images have no labels, first {missing[0]}; "
                f"expected {Path(missing[0]).stem}.png"
            )
        self._num_classes = num_classes
        self.label_sets = read_sets(self.folder, num_classes)
        """What the values of the label files mean."""
        self._images = [path for number, path in enumerate(found) if keep is None or keep(number, path.stem)]
        if not self._images:
            raise ConfigError(f"{self.folder}: nothing is left of {len(found)} images after choosing; choose more")

    def __len__(self) -> int:
        return len(self._images)

    @property
    def names(self) -> list[str]:
        """File stems, in order."""
        return [path.stem for path in self._images]

    def fingerprint(self) -> str:
        """A digest of stems, file sizes and `sets.csv`: the same wherever a copy lies, not for other pictures."""
        digest = hashlib.sha256()
        for image in self._images:
            sizes = [_bytes_in(path) for path in (image, self._labels_of(image), self._soft_of(image))]
            digest.update(f"{image.stem}\0{sizes}\n".encode(errors="surrogateescape"))
        sets = self.folder / SETS_FILE
        digest.update(sets.read_bytes() if sets.is_file() else b"")
        return digest.hexdigest()

    def __getitem__(self, number: int) -> Item:
        """Read one picture with all that belongs to it.

        Raises:
            ConfigError: a file cannot be read, or does not fit the picture or the classes; names the file.
        """
        path = self._images[number]
        for each in (path, self._labels_of(path)):
            _refuse_too_large(each, self._max_pixels)
        # as stored: labels are drawn on the stored pixels, whatever an EXIF tag says about turning them
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if bgr is None:
            raise ConfigError(f"{path}: not a readable image; mend or remove it")
        image: UInt8Array = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        labels, soft = self._read_labels(path, image.shape[:2]), self._read_soft(path, image.shape[:2])
        return Item(path.stem, image, labels, soft, self.label_sets.fill)

    def check(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Content:
        """Read everything once, so that a bad file is found now and not after an hour. Raises as `[]` does."""
        pixels = np.zeros(256, dtype=np.int64)
        pictures: list[frozenset[int]] = []
        soft = False
        for number in range(len(self)):
            item = self[number]
            counts = np.bincount(item.labels.ravel(), minlength=256)
            pixels += counts
            pictures.append(frozenset(np.flatnonzero(counts).tolist()) - {NO_LABEL})
            soft = soft or (item.fill and item.soft is not None and bool(item.soft.probs.any()))
            progress(number + 1, len(self))
        return Content(frozenset[int]().union(*pictures), soft, tuple(pixels.tolist()), tuple(pictures))

    def _labels_of(self, image: Path) -> Path:
        return self._label_folder / f"{image.stem}.png"

    def _soft_of(self, image: Path) -> Path:
        return self.folder / "soft" / f"{image.stem}.npz"

    def _read_labels(self, image: Path, size_hw: tuple[int, ...]) -> UInt8Array:
        path = self._labels_of(image)
        labels = read_label_file(path)
        if self._values is not None:
            labels = self._values[labels]
        if labels.shape != size_hw:
            raise ConfigError(
                f"{path}: labels are {_size(labels.shape)}, the image is {_size(size_hw)}; make them of one size"
            )
        return self.label_sets.read(np.asarray(labels, dtype=np.uint8), path)

    def _read_soft(self, image: Path, size_hw: tuple[int, ...]) -> SoftLabels | None:
        path = self._soft_of(image)
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as arrays:
                soft = SoftLabels(arrays["ids"], arrays["probs"])
        except Exception:  # NumPy and zipfile raise a dozen kinds over a damaged file
            raise ConfigError(f"{path}: not soft labels; accepted: .npz with arrays 'ids' and 'probs'") from None
        shape = (SOFT_CLASSES, *(-(-side // SOFT_STRIDE) for side in size_hw))
        for key, array in (("ids", soft.ids), ("probs", soft.probs)):
            if array.shape != shape or array.dtype != np.uint8:
                raise ConfigError(f"{path}: '{key}' is {array.dtype} {array.shape}; accepted: uint8 {shape}")
        if (soft.ids[soft.probs > 0] >= self._num_classes).any():
            raise ConfigError(f"{path}: holds class ids above {self._num_classes - 1}, the highest of the model")
        return soft


def _ade20k_values() -> UInt8Array:
    """(256,) class id of each value in ADE20K's annotations: 1 to 150 are the classes, 0 is none of them."""
    values = np.arange(-1, 255)
    values[[0, NO_LABEL]] = NO_LABEL
    return values.astype(np.uint8)


def every_nth(nth: int) -> Callable[[int, str], bool]:
    """For `keep`: every Nth picture, the first included."""
    return lambda number, _: number % nth == 0


def use_one_thread(_worker: int = 0) -> None:
    """To be called first in a forked worker: OpenCV's thread pool does not survive the fork."""
    cv2.setNumThreads(0)


def _is_image(path: Path) -> bool:
    """By its name; hidden files, such as the `._a.jpg` that macOS writes beside a.jpg, are none."""
    return path.suffix.casefold() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _refuse_too_large(path: Path, most: int) -> None:
    """Raises ConfigError if the picture's header says that it has more pixels than that."""
    try:
        with path.open("rb") as file:
            said = too_large(file.read(HEADER_BYTES), most)
    except OSError:
        return  # whoever reads it says so
    if said is not None:
        raise ConfigError(f"{path}: {said}; make it smaller, or give --max-pixels")


def _bytes_in(path: Path) -> int:
    """Size of a file; -1 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
