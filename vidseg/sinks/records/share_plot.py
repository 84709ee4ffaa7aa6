"""A picture of the class shares over time, drawn when the run is over."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vidseg.atomic import PartFile, write_failure
from vidseg.errors import SinkError, WriteError
from vidseg.frames import Frame, Segmentation, UInt8Array
from vidseg.labels import LabelSet
from vidseg.render.share_plot import share_plot_png
from vidseg.shares_over_time import SharesOverTime

MOST_STRETCHES = 960
"""About one for each column of the picture."""
SHOWN_CLASSES = 15


class SharePlotSink:
    """Satisfies `vidseg.interfaces.Sink`. Time is counted as the frames have it; pictures are counted from 1.

    Args:
        title: what the plot is of.
        still: of separate pictures.
    Raises:
        SinkError: the name does not end in `.png`, or as `PartFile`.
    """

    needs_picture = False
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        path: str | Path,
        labels: LabelSet,
        *,
        title: str,
        still: bool,
        overwrite: bool,
        source_paths: Iterable[str | Path] = (),
    ) -> None:
        if Path(path).suffix.casefold() != ".png":
            raise SinkError(f"{path}: --save-plot draws a PNG; give a name ending in .png")
        self._labels = labels
        self._title = title
        self._still = still
        self._shares = SharesOverTime(MOST_STRETCHES)
        self._end = 0.0
        self._file = PartFile(path, overwrite=overwrite, sources=source_paths)
        self.path = self._file.path

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Count one frame."""
        length = 1.0 if self._still else float((frame.duration or 0) * frame.time_base)
        at = frame.index + 1.0 if self._still else frame.seconds
        self._shares.add(at, segmentation.label_map)
        self._end = at + length

    def close(self) -> None:
        """Draw the plot and give it its name. Raises WriteError."""
        shares = self._shares.shares(SHOWN_CLASSES)
        png = share_plot_png(shares, self._labels, title=self._title, end=self._end, counted=self._still)
        try:
            self._file.part.write_bytes(png)
        except OSError as error:
            self._file.discard()
            raise WriteError(write_failure(self.path, error)) from error
        self._file.commit()

    def abort(self) -> None:
        """Remove what was claimed. Never raises."""
        self._file.discard()
