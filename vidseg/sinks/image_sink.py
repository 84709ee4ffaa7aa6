"""Picture files: one for a single image, or one per frame in a folder or after a pattern."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2

from vidseg.atomic import UniqueStems, check_folder, refuse_source, refuse_source_folder, write_whole_file
from vidseg.errors import SinkError, WriteError
from vidseg.frames import Frame, Segmentation, UInt8Array, VideoInfo

IMAGE_ENDINGS: Mapping[str, Sequence[int]] = {
    ".png": (),  # OpenCV's own choice: naming a level, even 1, drops its fast strategy and takes twice as long
    ".jpg": (cv2.IMWRITE_JPEG_QUALITY, 95),
    ".jpeg": (cv2.IMWRITE_JPEG_QUALITY, 95),
    ".webp": (cv2.IMWRITE_WEBP_QUALITY, 95),
    ".bmp": (),
    ".tif": (),
    ".tiff": (),
}
"""File ending -> parameters for OpenCV's encoder."""

ALPHA_ENDINGS = (".png", ".webp", ".tif", ".tiff")
"""Those that keep transparency."""

_NUMBER = re.compile(r"%(0?\d*)d")


class ImageSink:
    """Writes each picture as a file of its own. Satisfies `vidseg.interfaces.Sink`.

    `path` is one of
    - a file such as `out.png`: for one picture;
    - a pattern such as `frames_%05d.png`: the number is the frame's index in the source;
    - a folder, for sources of pictures: files are named after the frames ("a.png", and "a_1.png" for a second "a").

    Every file appears when it is complete. Pictures written before `abort` stay: each is complete.
    """

    needs_picture = True
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        *,
        overwrite: bool,
        image_ending: str = ".png",
        alpha: bool = False,
        source_paths: Iterable[str | Path] = (),
    ) -> None:
        """Check the path and make the folder where `path` is one.

        Args:
            overwrite: existing pictures may be replaced.
            image_ending: for a folder, what the files end with.
            alpha: pictures are RGBA; only formats that keep transparency are taken.
            source_paths: picture files of the input, which are never replaced.
        Raises:
            SinkError: unknown ending, bad pattern, folder missing, pictures there already, or the input itself.
        """
        self.path = Path(path)
        self._overwrite = overwrite
        self._alpha = alpha
        self._sources = [Path(source) for source in source_paths]
        self._stems = UniqueStems()
        self.counters = {"frames": 0}
        """frames: pictures written."""
        self._single = self._pattern = self._made_folder = False
        text = str(path)
        if text.endswith(("/", os.sep)) or self.path.is_dir() or not self.path.suffix:
            self._ending = image_ending.casefold()
            self._check_ending(self._ending)
            self._check_folder_use(info)
        else:
            self._ending = self.path.suffix.casefold()
            self._check_ending(self._ending)
            check_folder(self.path.parent, self.path)
            self._pattern = "%" in self.path.name
            if self._pattern:
                self._check_pattern()
            else:
                self._single = True
                self._check_single(info)

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Write `picture`, (H', W', 3) uint8 RGB or (H', W', 4) RGBA. Raises WriteError."""
        assert picture is not None, "ImageSink needs a picture"
        target = self._target(frame)
        self._refuse_sources(target)
        if not self._overwrite and os.path.lexists(target):
            raise WriteError(f"{target}: exists; overwrite it with -y or choose another place")
        write_whole_file(target, encode_image(picture, self._ending, target))
        self.counters["frames"] += 1

    def close(self) -> None:
        """Nothing is left to do. Raises WriteError if no picture was written."""
        if not self.counters["frames"]:
            raise WriteError(f"{self.path}: no frame was written, so there is no image")

    def abort(self) -> None:
        """Remove the folder if it was made here and is empty; each file in it was whole when it appeared."""
        if self._made_folder:
            with contextlib.suppress(OSError):  # not empty
                self.path.rmdir()

    def _target(self, frame: Frame) -> Path:
        if self._single:
            if self.counters["frames"]:
                pattern = self.path.with_name(f"{self.path.stem}_%05d{self._ending}")
                raise WriteError(
                    f"{self.path}: is a single image, but the source has more; use a pattern such as {pattern}"
                )
            return self.path
        if self._pattern:
            return self.path.with_name(self.path.name % frame.index)
        stem = self._stems.take(frame.name if frame.name is not None else f"{frame.index:06d}")
        return self.path / f"{stem}{self._ending}"

    def _refuse_sources(self, target: Path) -> None:
        """Raises WriteError if `target` is one of the input's own pictures."""
        if os.path.lexists(target) and any(os.path.exists(s) and os.path.samefile(s, target) for s in self._sources):
            raise WriteError(f"{target}: is part of the input and will not be replaced; choose another folder")

    def _check_ending(self, ending: str) -> None:
        if ending not in IMAGE_ENDINGS:
            raise SinkError(f"{self.path}: '{ending}' is not a known image format; accepted: {' '.join(IMAGE_ENDINGS)}")
        if self._alpha and ending not in ALPHA_ENDINGS:
            raise SinkError(f"{self.path}: {ending} does not support transparency; accepted: {' '.join(ALPHA_ENDINGS)}")

    def _check_folder_use(self, info: VideoInfo) -> None:
        if not info.still:
            raise SinkError(
                f"{self.path}: is a folder, which suits images; for a video give a file such as "
                f"{self.path / 'out.mp4'} or a pattern such as {self.path / '%05d.png'}"
            )
        refuse_source_folder(self.path, self.path, self._sources)
        check_folder(self.path.resolve().parent, self.path)
        self._made_folder = not self.path.exists()
        try:
            self.path.mkdir(exist_ok=True)
            there = sorted(entry.name for entry in self.path.iterdir() if entry.suffix.casefold() == self._ending)
        except OSError as error:
            raise SinkError(f"{self.path}: cannot be used as a folder ({error.strerror})") from error
        self._refuse_existing(self.path, there)

    def _check_pattern(self) -> None:
        name = self.path.name
        if len(_NUMBER.findall(name.replace("%%", ""))) != 1 or "%" in _NUMBER.sub("", name.replace("%%", "")):
            raise SinkError(f"{self.path}: a pattern needs exactly one number such as %05d, and %% for a percent sign")
        self._refuse_existing(self.path.parent, numbered_pictures(self.path))

    def _check_single(self, info: VideoInfo) -> None:
        if info.frame_count is not None and info.frame_count > 1:
            pattern = self.path.with_name(f"{self.path.stem}_%05d{self._ending}")
            raise SinkError(
                f"{self.path}: is a single image, but the source has "
                f"{info.frame_count}; use a pattern such as {pattern}"
            )
        refuse_source(self.path, self._sources)
        self._refuse_existing(self.path.parent, [self.path.name] if os.path.lexists(self.path) else [])

    def _refuse_existing(self, folder: Path, names: list[str]) -> None:
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SinkError(f"{self.path}: folder {folder} is not writable; choose another place")
        if names and not self._overwrite:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise SinkError(f"{folder / names[0]}{more}: exists; overwrite with -y or choose another place")


def is_numbered(path: str | Path) -> bool:
    """Whether this names pictures by their number, such as "frames_%05d.png"."""
    name = os.path.basename(path).replace("%%", "")
    return os.path.splitext(name)[1].casefold() in IMAGE_ENDINGS and bool(_NUMBER.search(name))


def numbered_pictures(path: str | Path) -> list[str]:
    """The names of the pictures that are there for a numbered path, sorted; none where nobody may look."""
    folder, name = os.path.split(path)
    before, after = (re.escape(part.replace("%%", "%")) for part in _split_at_number(name))
    known = re.compile(f"{before}\\d+{after}")
    try:
        return sorted(filter(known.fullmatch, os.listdir(folder or ".")))
    except OSError:
        return []


def encode_image(picture: UInt8Array, ending: str, target: Path) -> bytes:
    """The bytes of an image file for (H, W, 3) uint8 RGB or (H, W, 4) RGBA. Raises WriteError naming `target`."""
    try:
        conversion = cv2.COLOR_RGB2BGR if picture.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        done, data = cv2.imencode(ending, cv2.cvtColor(picture, conversion), list(IMAGE_ENDINGS[ending]))
    except cv2.error as error:
        raise WriteError(f"{target}: cannot be encoded ({error.err})") from error
    if not done:
        raise WriteError(f"{target}: cannot be encoded as {ending}")
    return bytes(data.tobytes())


def _split_at_number(name: str) -> tuple[str, str]:
    """What stands before and after the pattern's number; "%%" is left as it is."""
    masked = name.replace("%%", "\0\0")
    match = _NUMBER.search(masked)
    assert match is not None, name
    return name[: match.start()], name[match.end() :]
