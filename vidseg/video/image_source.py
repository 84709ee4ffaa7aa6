"""Pictures out of files as frames: one image, a folder or a glob."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from vidseg.errors import ConfigError, SourceError
from vidseg.frames import Frame, UInt8Array, VideoInfo
from vidseg.names import expand_user, shown_name
from vidseg.video.quiet import quiet_opencv
from vidseg.video.source_base import SourceBase
from vidseg.wildcards import matching_paths

IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".dib", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"}
    | {".tif", ".tiff", ".webp"}
)
GLOB_CHARACTERS = frozenset("*?[")


class ImageSource(SourceBase):
    """One frame per image file, in natural order (a2 before a10); pictures keep their own sizes.

    Photos are turned upright as their EXIF data says, grey becomes RGB, transparency is dropped, 16 bits become 8.
    `Frame.name` is the file's stem; `a.jpg` and `a.png` in one folder have the same, which is for the sink to settle.
    Times count as if the pictures were a video of `frame_rate`.

    Counters: unreadable_images (left out because they could not be decoded).

    Args:
        spec: an image file, a folder (its images, not those in folders below) or a glob such as "photos/*.jpg".
        frame_rate: pictures per second, for the times.
    Raises:
        SourceError: nothing there, no image among it, or not one can be decoded.
    """

    def __init__(self, spec: str | os.PathLike[str], *, frame_rate: Fraction | int = 25) -> None:
        super().__init__()
        if frame_rate <= 0:
            raise ConfigError(f"frame rate of images is {frame_rate}; it must be above 0")
        text = os.fspath(spec)
        name = shown_name(text)
        paths = find_images(text)
        self._paths = iter(paths)
        self._time_base = 1 / Fraction(frame_rate)
        self._first = self._next_readable()
        if self._first is None:
            count = "this image" if len(paths) == 1 else f"any of these {len(paths)} images"
            raise SourceError(f"{name}: cannot decode {count}; the content may be damaged or of another kind")
        height, width = self._first[1].shape[:2]
        self._info = VideoInfo(
            width=width,
            height=height,
            time_base=self._time_base,
            frame_rate=Fraction(frame_rate),
            frame_count=len(paths),
            still=True,
            source_paths=tuple(map(str, paths)),
        )

    def _frames(self) -> Iterator[Frame]:
        found, self._first = self._first, None
        index = 0
        while found is not None:
            path, image = found
            yield Frame(image, index, index, self._time_base, duration=1, name=path.stem)
            index += 1
            found = self._next_readable()

    def _next_readable(self) -> tuple[Path, UInt8Array] | None:
        """The next image that can be decoded; None after the last."""
        for path in self._paths:
            if self._stop.is_set():
                return None
            image = read_image(path)
            if image is not None:
                return path, image
            self._count("unreadable_images")
        return None


def read_image(path: Path) -> UInt8Array | None:
    """(H, W, 3) uint8 RGB, upright; None where the file cannot be read or decoded."""
    try:
        data = np.fromfile(path, np.uint8)
        if data.size == 0:
            return None
        with quiet_opencv():
            # From memory rather than by name: OpenCV cannot open every name that the system can.
            bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
    return None if bgr is None else np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def find_images(spec: str) -> list[Path]:
    """The image files that `spec` (file, folder or glob) stands for, in natural order; hidden ones are left out.

    A file that is named itself is taken whatever its ending.

    Raises:
        SourceError: there is nothing, or no image among it.
    """
    name = shown_name(spec)
    path = expand_user(spec)
    if os.path.isfile(path):
        return [Path(path)]
    if os.path.isdir(path):
        try:
            images = _only_images([Path(path, entry) for entry in os.listdir(path)])
        except PermissionError:
            raise SourceError(f"{name}: no permission to look into this folder") from None
        if not images:
            raise SourceError(f"{name}: no images in this folder; known: {_known_suffixes()}")
        return images
    if not GLOB_CHARACTERS & set(spec) or "\0" in spec:
        raise SourceError(f"{name}: no such file or folder")
    matches = [Path(match) for match in matching_paths(path)]
    images = _only_images(matches)
    if not matches:
        raise SourceError(f"{name}: nothing matches this pattern")
    if not images:
        raise SourceError(f"{name}: no image among the {len(matches)} matches; known: {_known_suffixes()}")
    return images


def natural_key(path: Path) -> tuple[Sequence[tuple[int, int, str]], str]:
    """Sort key that takes digits as numbers: frame2 before frame10. The full path settles equal ones."""
    parts = re.split(r"([0-9]+)", str(path).casefold())
    return [(1, int(part), "") if part.isdecimal() else (2, 0, part) for part in parts if part], str(path)


def _only_images(paths: Sequence[Path]) -> list[Path]:
    found = [
        path
        for path in paths
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and os.path.isfile(path)
    ]
    return sorted(found, key=natural_key)


def _known_suffixes() -> str:
    return " ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
