"""Saved label maps read back: a mask video, or the PNGs of a folder, one after another."""

from __future__ import annotations

import csv
import os
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vidseg.errors import SourceError, short_reason
from vidseg.frames import UInt8Array
from vidseg.names import expand_user, shown_name
from vidseg.saved_masks import FILE_COLUMN, FRAMES_FILE, MARK_COLUMNS, FrameMark, SavedMask
from vidseg.sources.av_open import open_file, reason_of
from vidseg.video.label_png import decode_label_map
from vidseg.video.mask_layout import COLUMNS, OPTION_TAG, VERSION, VERSION_TAG, crc_of
from vidseg.video.pyav import exact

_CUT_OFF_SECONDS = Fraction(1, 100)
"""A last picture that ends this much before the announced end is not the last; less is rounding."""
_AHEAD = 16
"""Pictures that may wait for their row; more means that the rows are gone. A muxer puts them some packets apart."""


def read_mask_video(path: str, option: str = "--save-masks") -> Generator[SavedMask, None, None]:
    """The label maps of a video in grey, in order; one in memory at a time, and a few compressed ones.

    `option` is the one that has to have written it.

    A video of `MaskVideoSink` says which frames they belong to; any other lossless one in 8-bit grey gives their times.

    Raises:
        SourceError: not there, no such video, of a newer layout, written by another option, or damaged.
    """
    name = shown_name(path)
    with open_file(path, name, {}) as container:
        version = container.metadata.get(VERSION_TAG)
        if version not in (None, VERSION):
            raise SourceError(f"{name}: masks of layout {version!r}; this vidseg reads layout {VERSION}, so update it")
        wrote = container.metadata.get(OPTION_TAG, option)
        if wrote != option:
            raise SourceError(f"{name}: was written by {wrote}; give what {option} wrote")
        video = next(iter(container.streams.video), None)
        if video is None or video.codec_context.pix_fmt != "gray":
            found = "no picture" if video is None else f"{video.codec_context.name}, {video.codec_context.pix_fmt}"
            raise SourceError(
                f"{name}: is not a mask video ({found}); accepted: 8-bit grey as `--save-masks FILE.mkv` writes it"
            )
        rows = next(iter(container.streams.subtitles), None) if version is not None else None
        waiting: deque[av.VideoFrame] = deque()
        marks: dict[int, _Row] = {}
        number = end = 0
        try:
            for packet in container.demux([stream for stream in (video, rows) if stream is not None]):
                if rows is not None and packet.stream_index == rows.index:
                    if packet.size:
                        assert packet.pts is not None
                        marks[packet.pts] = _parse_row(name, bytes(packet).decode("utf-8", "replace"))
                else:
                    waiting.extend(frame for frame in packet.decode() if isinstance(frame, av.VideoFrame))
                while waiting and (rows is None or waiting[0].pts in marks):
                    frame = waiting.popleft()
                    yield _video_mask(f"{name}, mask {number}", frame, marks.pop(frame.pts or 0, None))
                    end = (frame.pts or 0) + frame.duration
                    number += 1
                if len(waiting) > _AHEAD:
                    break
        except av.FFmpegError as error:
            raise SourceError(f"{name}: mask {number} is damaged ({reason_of(error)}); save the masks again") from None
        if waiting:
            raise SourceError(f"{name}: mask {number} does not say which frame it belongs to; save the masks again")
        # the header was completed when the file was, so it tells of an end that is missing
        announced = Fraction(container.duration or 0, av.time_base)
        if rows is not None and announced - end * exact(video.time_base) > _CUT_OFF_SECONDS:
            raise SourceError(f"{name}: is cut off after {number} masks; save them again")


def read_mask_folder(path: str) -> Generator[SavedMask, None, None]:
    """The PNGs of a video's folder, in order: those in its `frames.csv`, else those whose name is a frame's index.

    Raises:
        SourceError: the folder or its table cannot be read, or there is no such PNG.
    """
    folder = Path(expand_user(path))
    name = shown_name(path)
    if (folder / FRAMES_FILE).exists():
        yield from _table(folder)
        return
    try:
        files = sorted(filter(_is_numbered, os.listdir(folder)), key=lambda entry: int(entry[:-4]))
    except OSError as error:
        raise SourceError(f"{name}: cannot be read as a folder ({error.strerror})") from None
    if not files:
        raise SourceError(f"{name}: contains neither {FRAMES_FILE} nor PNGs named by frame, such as 000042.png")
    for entry in files:
        yield _file_mask(folder / entry, int(entry[:-4]), None)


def read_label_map(path: Path) -> UInt8Array:
    """(H, W) uint8 out of a PNG. Raises SourceError."""
    name = shown_name(str(path))
    try:
        image = decode_label_map(np.fromfile(path, np.uint8))
    except OSError as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise SourceError(f"{name}: {reason}; save the masks again") from None
    if image is None:
        raise SourceError(f"{name}: is damaged or not a picture; save the masks again")
    if image.ndim != 2 or image.dtype != np.uint8:
        channels = 1 if image.ndim == 2 else image.shape[2]
        raise SourceError(
            f"{name}: is not a label map ({channels} channels of {8 * image.dtype.itemsize} bits); "
            "accepted: 8-bit grey as --save-masks writes it, or a palette"
        )
    return np.asarray(image, np.uint8)


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the text track."""

    mark: FrameMark
    crc: str


def _video_mask(where: str, frame: av.VideoFrame, row: _Row | None) -> SavedMask:
    label_map = np.asarray(frame.to_ndarray(format="gray"), np.uint8)
    if row is not None:
        if crc_of(np.ascontiguousarray(label_map)) != row.crc:
            raise SourceError(f"{where}: is damaged; save the masks again")
        return SavedMask(where, row.mark.index, row.mark.seconds, lambda: label_map)
    if frame.pts is None or not frame.time_base:
        raise SourceError(f"{where}: has no time; save the masks again")
    return SavedMask(where, None, frame.pts * exact(frame.time_base), lambda: label_map)


def _parse_row(name: str, text: str) -> _Row:
    columns = text.split(",")
    try:
        return _Row(FrameMark.parse(columns), columns[len(COLUMNS) - 1])
    except (ValueError, IndexError):
        raise SourceError(f"{name}: {text[:60]!r} does not describe a frame; save the masks again") from None


def _file_mask(path: Path, index: int, seconds: Fraction | None) -> SavedMask:
    return SavedMask(shown_name(str(path)), index, seconds, lambda: read_label_map(path))


def _is_numbered(entry: str) -> bool:
    stem, ending = os.path.splitext(entry)
    return ending.casefold() == ".png" and stem.isascii() and stem.isdecimal()


def _table(folder: Path) -> Generator[SavedMask, None, None]:
    """The rows of `frames.csv`, read one by one."""
    path = folder / FRAMES_FILE
    name = shown_name(str(path))
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            if header[: len(MARK_COLUMNS) + 1] != [*MARK_COLUMNS, FILE_COLUMN]:
                raise SourceError(f"{name}: its first line is not {','.join((*MARK_COLUMNS, FILE_COLUMN))}")
            for row in rows:
                try:
                    mark = FrameMark.parse(row)
                    entry = row[len(MARK_COLUMNS)]
                    # a table from elsewhere must not reach into other folders
                    if os.path.basename(entry) != entry or not entry:
                        raise ValueError(entry)
                except (ValueError, IndexError):
                    raise SourceError(f"{name}: line {rows.line_num} is damaged; save the masks again") from None
                yield _file_mask(folder / entry, mark.index, mark.seconds)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = short_reason(error, "it is not CSV in UTF-8")
        raise SourceError(f"{name}: cannot be read ({reason}); save the masks again") from None
