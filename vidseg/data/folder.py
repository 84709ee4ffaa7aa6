"""Labelled pictures of a data set, whatever its format, by number.

Beside what the format itself says (see `formats/`) a data set may have:

- `sets.csv`: label values that stand for several classes or for classes of another table; see `label_sets`.
- `soft/STEM.npz`: `ids` uint8 (3, ceil(h/4), ceil(w/4)), a teacher's three likeliest classes per 4x4 pixels,
  and `probs` uint8, their probabilities times 255.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vidseg.data.formats.layout import Layout, Pair
from vidseg.data.formats.recognise import recognise
from vidseg.data.label_sets import FILE as SETS_FILE
from vidseg.data.own_classes import meaning
from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, UInt8Array
from vidseg.labels import LabelSet
from vidseg.picture_size import HEADER_BYTES, MAX_PIXELS, too_large

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
    """The labelled pictures of a data set, by number, in the order of their names.

    Args:
        folder: what `recognise` takes, or gives.
        num_classes: K, of the network; label values from this on, other than 255, are refused, unless `sets.csv` lists
            them.
        keep: takes (number in order, stem); pictures for which it is False are left out.
        values: (256,) class id of each value in label files, see `parse_values`; None: the value itself.
        max_pixels: pictures and label files with more are refused, before they are decoded.
        labels: the network's classes, by whose names those of the format are found; None: they have none.
        ignore: names of classes that are unknown.
    Raises:
        ConfigError: as `recognise` and `meaning`, or values are given and the format knows what its values mean.
    """

    def __init__(
        self,
        folder: str | Path | Layout,
        *,
        num_classes: int = 150,
        keep: Callable[[int, str], bool] | None = None,
        values: UInt8Array | None = None,
        max_pixels: int = MAX_PIXELS,
        labels: LabelSet | None = None,
        ignore: Sequence[str] = (),
    ) -> None:
        self.layout = folder if isinstance(folder, Layout) else recognise(folder, labels=labels)
        self.folder = self.layout.root
        if values is not None and not self.layout.values:
            raise ConfigError(f"{self.folder}: {self.layout.format} says what its values mean; leave out --values")
        self._max_pixels = max_pixels
        self._values = values
        self._num_classes = num_classes
        self.label_sets = meaning(self.layout, num_classes, labels, ignore)
        """What the values of the label files mean."""
        pairs = self.layout.pairs
        self._pairs = [pair for number, pair in enumerate(pairs) if keep is None or keep(number, pair.name)]
        if not self._pairs:
            raise ConfigError(f"{self.folder}: none of {len(pairs)} images is left after the selection; select more")

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def names(self) -> list[str]:
        """File stems, in order."""
        return [pair.name for pair in self._pairs]

    def fingerprint(self) -> str:
        """A digest of stems, file sizes and `sets.csv`: the same wherever a copy lies, not for other pictures."""
        digest = hashlib.sha256()
        for pair in self._pairs:
            sizes = [_bytes_in(path) for path in (pair.image, pair.labels, self._soft_of(pair))]
            digest.update(f"{pair.name}\0{sizes}\n".encode(errors="surrogateescape"))
        sets = self.folder / SETS_FILE
        digest.update(sets.read_bytes() if sets.is_file() else b"")
        return digest.hexdigest()

    def __getitem__(self, number: int) -> Item:
        """Read one picture with all that belongs to it.

        Raises:
            ConfigError: a file cannot be read, or does not fit the picture or the classes; names the file.
        """
        pair = self._pairs[number]
        path = pair.image
        for each in (path, pair.labels):
            _refuse_too_large(each, self._max_pixels)
        labels = self.layout.read(pair)
        image = _read_image(path, labels.shape)
        labels = self._meaning_of(labels, pair, image.shape[:2])
        return Item(pair.name, image, labels, self._read_soft(pair, image.shape[:2]), self.label_sets.fill)

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

    def _soft_of(self, pair: Pair) -> Path:
        return self.folder / "soft" / f"{pair.name}.npz"

    def _meaning_of(self, labels: UInt8Array, pair: Pair, size_hw: tuple[int, ...]) -> UInt8Array:
        path = pair.labels
        if self._values is not None:
            labels = self._values[labels]
        if labels.shape != size_hw:
            of = "" if path.stem.startswith(pair.name) else f" of {pair.image.name}"
            raise ConfigError(
                f"{path}: labels{of} are {_size(labels.shape)}, the image is {_size(size_hw)}; make their sizes equal"
            )
        return self.label_sets.read(labels, path)

    def _read_soft(self, pair: Pair, size_hw: tuple[int, ...]) -> SoftLabels | None:
        path = self._soft_of(pair)
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
            raise ConfigError(f"{path}: contains class ids above {self._num_classes - 1}, the highest of the model")
        return soft


def every_nth(nth: int) -> Callable[[int, str], bool]:
    """For `keep`: every Nth picture, the first included."""
    return lambda number, _: number % nth == 0


def use_one_thread(_worker: int = 0) -> None:
    """To be called first in a forked worker: OpenCV's thread pool does not survive the fork."""
    cv2.setNumThreads(0)


def _read_image(path: Path, size_hw: tuple[int, ...]) -> UInt8Array:
    """(H, W, 3) RGB as stored, whatever an EXIF tag says about turning it; as turned where the labels fit only that."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    bgr = cv2.imread(str(path), flags)
    if bgr is not None and bgr.shape[:2] != size_hw and bgr.shape[1::-1] == size_hw:
        turned = cv2.imread(str(path), cv2.IMREAD_COLOR)
        bgr = turned if turned is not None and turned.shape[:2] == size_hw else bgr
    if bgr is None:
        raise ConfigError(f"{path}: not a readable image; repair or remove it")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


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
