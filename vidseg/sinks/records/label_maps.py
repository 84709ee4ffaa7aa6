"""Class ids per pixel, one PNG per frame."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2

from vidseg.atomic import (
    UniqueStems,
    check_folder,
    refuse_source_folder,
    sync_file,
    sync_folder,
    write_failure,
    write_whole_file,
)
from vidseg.errors import SinkError, WriteError
from vidseg.frames import Frame, Segmentation, UInt8Array, label_map_of
from vidseg.interfaces import Sink
from vidseg.saved_masks import FILE_COLUMN, FRAMES_FILE, MARK_COLUMNS, FrameMark
from vidseg.saved_state import State
from vidseg.sinks.records.class_shares import csv_line
from vidseg.sinks.records.line_file import LineFile
from vidseg.video.label_png import LABEL_PNG_PARAMETERS


class LabelMapSink:
    """Writes `segmentation.label_map`, or what `of` gives, as 8-bit, single-channel PNGs.

    Satisfies `vidseg.interfaces.ResumableSink`.

    A pixel's value is its class id, 255 where nothing is said; the size is the frame's. A picture's map has the
    picture's name ("street.png"; "street_1.png" for a second "street"), a video's the frame's index ("000042.png").
    Each file appears when it is complete, so those written before `abort` stay. With `times`, `frames.csv` beside them
    says which frame each belongs to; it grows row by row under its name plus ".part" and gets its name in `close`.
    """

    needs_picture = False
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        directory: str | Path,
        *,
        overwrite: bool,
        times: bool = False,
        source_paths: Iterable[str | Path] = (),
        keep: bool = False,
        of: Callable[[Segmentation], UInt8Array] = label_map_of,
    ) -> None:
        """Make the folder if it is not there.

        Args:
            overwrite: PNGs of the same names may be replaced, and `frames.csv`.
            times: write `frames.csv` too: for videos.
            source_paths: files of the input; the maps cannot go where one of them lies.
            keep: when the disk fills, `frames.csv` gets its name with the rows that it has.
            of: what is written of a segmentation, (H, W) uint8.
        Raises:
            SinkError: no folder can be made there, it is not writable, or holds PNGs and `overwrite` is False.
        """
        self.path = Path(directory)
        self._overwrite = overwrite
        self._of = of
        self._stems = UniqueStems()
        self.counters = {"frames": 0}
        """frames: maps written."""
        if self.path.exists() and not self.path.is_dir():
            raise SinkError(f"{self.path}: is a file; give a folder for the label maps")
        check_folder(self.path.absolute().parent, self.path)
        refuse_source_folder(self.path, self.path, source_paths)
        self._made_folder = not self.path.exists()
        try:
            self.path.mkdir(exist_ok=True)
            maps = sum(entry.suffix.casefold() == ".png" for entry in self.path.iterdir())
        except OSError as error:
            raise SinkError(f"{self.path}: cannot be used as a folder ({error.strerror})") from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise SinkError(f"{self.path}: is not writable; choose another folder")
        if maps and not overwrite:
            raise SinkError(f"{self.path}: contains {maps} PNG files; overwrite with -y or choose another folder")
        self._table: LineFile | None = None
        if times:
            try:
                self._table = LineFile(
                    self.path / FRAMES_FILE, overwrite=overwrite, source_paths=source_paths, keep=keep
                )
                self._table.write(csv_line((*MARK_COLUMNS, FILE_COLUMN)))
            except BaseException:
                self.abort()
                raise

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Write one map. Raises WriteError."""
        self.write_map(frame, segmentation)

    def write_map(self, frame: Frame, segmentation: Segmentation) -> Path:
        """Write one map; the path of its file. Raises WriteError."""
        stem = self._stems.take(frame.name if frame.name is not None else f"{frame.index:06d}")
        target = self.path / f"{stem}.png"
        if not self._overwrite and os.path.lexists(target):
            raise WriteError(f"{target}: exists; overwrite it with -y or choose another folder")
        done, data = cv2.imencode(".png", self._of(segmentation), LABEL_PNG_PARAMETERS)
        if not done:
            raise WriteError(f"{target}: cannot be encoded as PNG")
        try:
            write_whole_file(target, data.tobytes())
        except WriteError as error:
            if self._table is None:
                raise
            raise self._table.ended_by(error) from error
        if self._table is not None:
            self._table.write(csv_line((*FrameMark.of(frame).row(), target.name)), frame.seconds)
        self.counters["frames"] += 1
        return target

    def note_frame(self, frame: Frame, picture_hw: tuple[int, int] | None) -> None:
        """Add the frame of a video to the table; its map is written by another process."""
        if self._table is not None:
            self._table.write(csv_line((*FrameMark.of(frame).row(), f"{frame.index:06d}.png")), frame.seconds)
        self.counters["frames"] += 1

    def merge_state(self, state: State) -> None:
        """Nothing: the maps are there."""

    def state(self) -> State:
        """The number of maps: those of a video are named by the frame's index, so no name is to be remembered."""
        return dict(self.counters)

    def restore(self, state: State) -> None:
        """Go on after them."""
        self.counters = dict(state)

    def begin_chunk(self, path: Path) -> Sink:
        """Takes the maps of one chunk. They go where they belong at once, and are written again if it is."""
        return _MapChunk(self)

    def check(self, chunks: Sequence[Path]) -> None:
        """Nothing: a map is its owner's as soon as it is there."""

    def join(self, chunks: Sequence[Path], whole: Callable[[Path], None]) -> None:
        """Nothing is left to do."""

    def close(self) -> None:
        """Give the table its name. Raises WriteError."""
        if self._table is not None:
            self._table.commit()
            self._table = None

    def abort(self) -> None:
        """Drop the table, and the folder if it was made here and is empty; each PNG was whole when it appeared."""
        if self._table is not None:
            self._table.discard()
            self._table = None
        if self._made_folder:
            with contextlib.suppress(OSError):  # not empty
                self.path.rmdir()


class _MapChunk:
    """Takes the maps of one chunk and flushes them to the disk at its end. Satisfies `vidseg.interfaces.Sink`."""

    needs_picture = False
    notes: tuple[str, ...] = ()

    def __init__(self, maps: LabelMapSink) -> None:
        self._maps = maps
        self.path = maps.path
        self._written: list[Path] = []

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Write one map. Raises WriteError."""
        self._written.append(self._maps.write_map(frame, segmentation))

    def close(self) -> None:
        """Flush all maps. Raises WriteError."""
        try:
            for path in self._written:
                sync_file(path)
            sync_folder(self.path)
        except OSError as error:
            raise WriteError(write_failure(self.path, error)) from error

    def abort(self) -> None:
        """Nothing: each map is complete, and the next run writes the same ones."""
