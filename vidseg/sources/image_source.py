"""Pictures out of files as frames: one image, a folder or a glob."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

from vidseg.errors import ConfigError, SourceError
from vidseg.frames import Frame, UInt8Array, VideoInfo
from vidseg.names import counted, expand_user, shown_name
from vidseg.picture_size import MAX_PIXELS
from vidseg.sources.source_base import SourceBase
from vidseg.sources.still_picture import PictureReader
from vidseg.wildcards import is_glob, matching_paths

IMAGE_SUFFIXES = frozenset(
    {
        ".avif",
        ".bmp",
        ".dib",
        ".heic",
        ".heif",
        ".hif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
    }
    | {".tif", ".tiff", ".webp"}
)

IMAGE_RATE = 25
"""Images per second, where they become a video and nothing else is asked for."""


class ImageSource(SourceBase):
    """One frame per image file, in natural order (a2 before a10); pictures keep their own sizes.

    Photos are turned upright as their EXIF data or container says, grey becomes RGB, transparency is dropped, samples
    of 10 to 16 bits and floats become 8 bits by the range that they use.
    `Frame.name` is the file's stem; `a.jpg` and `a.png` in one folder have the same, which is for the sink to settle.
    Times count as if the pictures were a video of `frame_rate`.

    Counters: unreadable_images (left out because they could not be decoded).

    Args:
        spec: an image file, a folder (its images, not those in folders below) or a glob such as "photos/*.jpg".
        more: further ones, whose pictures follow.
        frame_rate: pictures per second, for the times.
        max_pixels: one of more pixels ends the source, before it is decoded.
    Raises:
        SourceError: nothing there, no image among it, not one can be decoded, or one is too large.
    """

    def __init__(
        self,
        spec: str | os.PathLike[str],
        *,
        more: Sequence[str] = (),
        frame_rate: Fraction | int = IMAGE_RATE,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        super().__init__()
        if frame_rate <= 0:
            raise ConfigError(f"frame rate of images is {frame_rate}; it must be above 0")
        text = os.fspath(spec)
        name = shown_name(text)
        found = [find_images(each) for each in (text, *more)]
        paths = [path for each, _ in found for path in each]
        left_out = [note for _, notes in found for note in notes]
        self._reader = PictureReader(max_pixels)
        self._paths: Iterator[Path] = iter(paths)
        self._time_base = 1 / Fraction(frame_rate)
        self._first = self._next_readable()
        if self._first is None:
            count = "this image" if len(paths) == 1 else f"any of these {len(paths)} images"
            raise SourceError(f"{name}: cannot decode {count}; the content may be damaged or in another format")
        height, width = self._first[1].shape[:2]
        self._info = VideoInfo(
            width=width,
            height=height,
            time_base=self._time_base,
            frame_rate=Fraction(frame_rate),
            frame_count=len(paths),
            still=True,
            source_paths=tuple(map(str, paths)),
            notes=(*self._reader.notes, *left_out, *_notes(paths)),
        )

    def _frames(self) -> Iterator[Frame]:
        found, self._first = self._first, None
        index = math.ceil(self.part.start / self._time_base)
        if index:  # those before are not decoded; what of them cannot be is counted all the same
            self._paths = islice(self._paths, index - 1, None)
            found = self._next_readable()
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
            image = self._reader.read(path)
            if image is not None:
                return path, image
            self._count("unreadable_images")
        return None


def _notes(paths: Sequence[Path]) -> tuple[str, ...]:
    animated = [path for path in paths if is_animated(path)]
    if not animated:
        return ()
    more = f" and {len(animated) - 1} more" if len(animated) > 1 else ""
    only, one = (
        ("are animated: only the first picture of each is", "one")
        if more
        else (
            "is animated: only its first picture is",
            "it",
        )
    )
    return (f"{shown_name(str(animated[0]))}{more} {only} used; give {one} by itself to read it as a video",)


def is_picture(path: str) -> bool:
    """True for the name of one still picture; False for a file whose pictures move."""
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES and not is_animated(path)


def is_animated(path: str | os.PathLike[str]) -> bool:
    """True for a WebP, PNG or AVIF file of more than one picture, from its header; False where it cannot be read."""
    try:
        with open(expand_user(os.fspath(path)), "rb") as file:
            head = file.read(32)
            if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
                return bool(head[20] & 2)
            if head[4:12] == b"ftypavis":
                return True
            if head[:8] != b"\x89PNG\r\n\x1a\n":
                return False
            file.seek(8)
            while len(start := file.read(8)) == 8 and start[4:] != b"IDAT":
                length = int.from_bytes(start[:4], "big")
                if start[4:] == b"acTL":
                    return int.from_bytes(file.read(4), "big") > 1
                file.seek(length + 4, os.SEEK_CUR)
    except (OSError, ValueError, IndexError):
        pass
    return False


def read_image(path: Path) -> UInt8Array | None:
    """(H, W, 3) uint8 RGB, upright; None where the file cannot be read or decoded."""
    return PictureReader().read(path)


def find_images(spec: str) -> tuple[list[Path], tuple[str, ...]]:
    """The image files that `spec` (file, folder or glob) stands for, in natural order, and a note on other files there.

    A file that is named itself is taken whatever its ending; hidden ones are left out without a word.

    Raises:
        SourceError: there is nothing, or no image among it.
    """
    name = shown_name(spec)
    path = expand_user(spec)
    if os.path.isfile(path):
        return [Path(path)], ()
    if os.path.isdir(path):
        try:
            images, left_out = _sorted_out([Path(path, entry) for entry in os.listdir(path)])
        except PermissionError:
            raise SourceError(f"{name}: no permission to look into this folder") from None
        if not images:
            raise SourceError(f"{name}: no images in this folder; known: {_known_suffixes()}")
        return images, left_out
    if not is_glob(spec) or "\0" in spec:
        raise SourceError(f"{name}: no such file or folder")
    matches = [Path(match) for match in matching_paths(path)]
    images, left_out = _sorted_out(matches)
    if not matches:
        raise SourceError(f"{name}: nothing matches this pattern")
    if not images:
        raise SourceError(f"{name}: no image among the {len(matches)} matches; known: {_known_suffixes()}")
    return images, left_out


def natural_key(path: Path) -> tuple[Sequence[tuple[int, int, str]], str]:
    """Sort key that takes digits as numbers: frame2 before frame10. The full path settles equal ones."""
    parts = re.split(r"([0-9]+)", str(path).casefold())
    return [(1, int(part), "") if part.isdecimal() else (2, 0, part) for part in parts if part], str(path)


def _sorted_out(paths: Sequence[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """The images, in order, and a note on what is left out."""
    files = [path for path in paths if not path.name.startswith(".") and os.path.isfile(path)]
    others = [path for path in files if path.suffix.lower() not in IMAGE_SUFFIXES]
    images = sorted((path for path in files if path.suffix.lower() in IMAGE_SUFFIXES), key=natural_key)
    if not others:
        return images, ()
    endings = ", ".join(sorted({shown_name(path.suffix.lower()) or "no ending" for path in others}))
    count = counted(len(others), "file")
    return images, (f"left out: {count} not known as images ({endings})",)


def _known_suffixes() -> str:
    return " ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
