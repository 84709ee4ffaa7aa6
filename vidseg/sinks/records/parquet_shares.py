"""The class shares of every frame as a Parquet table. Needs pyarrow (`pip install 'vidseg[parquet]'`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidseg.atomic import PartFile, write_failure
from vidseg.errors import ConfigError, SinkError, WriteError
from vidseg.frames import Frame, Segmentation, UInt8Array
from vidseg.sinks.records.class_shares import FRAME_COLUMNS, NO_LABEL_COLUMN, class_shares

ROWS_PER_GROUP = 1000
"""Frames kept in memory until they are written: some 1.2 MB, 40 s of video."""


class ClassShareParquetSink:
    """Writes the columns of `ClassShareCsvSink` as Parquet, group by group. Satisfies `vidseg.interfaces.Sink`.

    `name` is null for video. The metadata of the table hold the `time_base` of `pts`. A part file has no index yet and
    cannot be read; follow a run with CSV.
    """

    needs_picture = False
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        path: str | Path,
        class_names: Sequence[str],
        time_base: Fraction,
        *,
        overwrite: bool,
        source_paths: Iterable[str | Path] = (),
        rows_per_group: int = ROWS_PER_GROUP,
    ) -> None:
        """Claim `path`.

        Raises:
            ConfigError: pyarrow is not installed.
            SinkError: the name ends in `.csv`, or as `PartFile`.
            WriteError: the disk is full.
        """
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise ConfigError(
                "--save-parquet: pyarrow is not installed; get it with pip install 'vidseg[parquet]', or use --save-csv"
            ) from None
        if Path(path).suffix.casefold() == ".csv":
            raise SinkError(f"{path}: --save-parquet writes Parquet; use --save-csv {path}, or a name with .parquet")
        self._class_count = len(class_names)
        self._rows_per_group = rows_per_group
        self._rows: list[tuple[Any, ...]] = []
        types = (pyarrow.int64(), pyarrow.int64(), pyarrow.float64(), pyarrow.string(), pyarrow.int64())
        columns = [*zip(FRAME_COLUMNS, types, strict=True)]
        columns += [(name, pyarrow.float64()) for name in (*class_names, NO_LABEL_COLUMN)]
        self._schema = pyarrow.schema(columns, metadata={"time_base": str(time_base)})
        self._table_of = pyarrow.Table.from_arrays
        self._array = pyarrow.array
        self._file = PartFile(path, overwrite=overwrite, sources=source_paths)
        self.path = self._file.path
        try:
            self._writer = pyarrow.parquet.ParquetWriter(str(self._file.part), self._schema, compression="zstd")
        except OSError as error:
            self._file.discard()
            raise WriteError(write_failure(self.path, error)) from error

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Take one row; every `rows_per_group`-th writes. Raises WriteError."""
        # Undecodable bytes in a file's name cannot stand in UTF-8
        name = None if frame.name is None else frame.name.encode("utf-8", "backslashreplace").decode()
        shares = class_shares(segmentation.label_map, self._class_count)
        about = (frame.index, frame.pts, round(frame.seconds, 6), name, segmentation.frame_index)
        self._rows.append((*about, *shares.tolist()))
        if len(self._rows) >= self._rows_per_group:
            try:
                self._write_group()
            except OSError as error:
                raise WriteError(write_failure(self.path, error)) from error

    def close(self) -> None:
        """Write what is left and the index, and give the file its name. Raises WriteError."""
        try:
            self._write_group()
            self._writer.close()
        except OSError as error:
            self.abort()
            raise WriteError(write_failure(self.path, error)) from error
        self._file.commit()

    def abort(self) -> None:
        """Remove what was written. Never raises."""
        with contextlib.suppress(Exception):  # a full disk again; its index is of no use now
            self._writer.close()
        self._file.discard()

    def _write_group(self) -> None:
        if not self._rows:
            return
        columns = zip(zip(*self._rows, strict=True), self._schema, strict=True)
        arrays = [self._array(values, field.type) for values, field in columns]
        self._writer.write_table(self._table_of(arrays, schema=self._schema))
        self._rows.clear()
