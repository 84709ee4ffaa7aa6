"""How much of each frame every class covers: one row per frame, one column per class.

Wide, not one row per frame and class: every frame has a number for every class, 0 where it is absent, so that curves
have no gaps and tables of different clips can be put together; and a frame is whole or not there.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidseg.errors import SinkError
from vidseg.frames import Frame, Segmentation, UInt8Array
from vidseg.sinks.records.line_file import LineFile

FRAME_COLUMNS = ("frame", "pts", "seconds", "name", "segmented_frame")
"""What stands before the classes; `name` is empty for video."""
NO_LABEL_COLUMN = "no_label"
"""Stands after the classes: the share of pixels without a class."""

FORMULA_STARTS = ("=", "+", "-", "@")
"""What a spreadsheet takes for the start of a formula."""


def class_shares(label_map: UInt8Array, class_count: int) -> npt.NDArray[np.float64]:
    """(class_count + 1,) shares of the pixels of `label_map` (H, W), 0..1, the last one those without a class.

    Their sum is 1.
    """
    counts = np.bincount(label_map.ravel(), minlength=256)
    shares = np.append(counts[:class_count], counts[class_count:].sum()) / label_map.size
    return np.asarray(shares, dtype=np.float64)


class ClassShareCsvSink:
    """Writes the class shares of each frame as one line of CSV. Satisfies `vidseg.interfaces.Sink`.

    The first line names the columns: `FRAME_COLUMNS`, the classes in the order of their ids, `NO_LABEL_COLUMN`.
    """

    needs_picture = False
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        path: str | Path,
        class_names: Sequence[str],
        *,
        overwrite: bool,
        source_paths: Iterable[str | Path] = (),
        keep: bool = False,
    ) -> None:
        """Claim `path` and write the names of the columns. Arguments as `LineFile`.

        Raises:
            SinkError: the name ends in `.parquet`, or as `PartFile`.
            WriteError: the disk is full.
        """
        if Path(path).suffix.casefold() == ".parquet":
            raise SinkError(f"{path}: --save-csv writes CSV; use --save-parquet {path}, or a name ending in .csv")
        if Path(path).suffix.casefold() in (".xlsx", ".xls", ".ods"):
            raise SinkError(f"{path}: --save-csv writes CSV, which spreadsheets open; give a name ending in .csv")
        self._class_count = len(class_names)
        self._file = LineFile(path, overwrite=overwrite, source_paths=source_paths, keep=keep)
        self.path = self._file.path
        try:
            self._file.write(csv_line((*FRAME_COLUMNS, *class_names, NO_LABEL_COLUMN)))
        except BaseException:
            self._file.discard()
            raise

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Write one line. Raises WriteError."""
        shares = class_shares(segmentation.label_map, self._class_count)
        about = (frame.index, frame.pts, round(frame.seconds, 6), frame.name or "", segmentation.frame_index)
        # 9 digits tell single pixels of any picture apart; most classes are absent and take one
        self._file.write(csv_line((*about, *(f"{share:.9g}" for share in shares))), frame.seconds)

    def close(self) -> None:
        """Give the file its name. Raises WriteError."""
        self._file.commit()

    def abort(self) -> None:
        """Remove what was written. Never raises."""
        self._file.discard()


def csv_line(fields: Iterable[object]) -> str:
    """One record of CSV, quoted where it has to be, without the end of the line.

    Text that a spreadsheet would take for a formula gets a `'` before it, as OWASP advises; numbers stay numbers.
    """
    text = io.StringIO()
    cells = [f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell for cell in fields]
    csv.writer(text, lineterminator="\r\n").writerow(cells)  # these two are what it quotes in a name
    return text.getvalue().removesuffix("\r\n")
