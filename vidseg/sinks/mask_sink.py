"""Label maps as one lossless video.

The file is Matroska with FFV1 in 8-bit grey: a pixel's value is its class id, `NO_LABEL` where nothing is said.
Matroska counts time in milliseconds here, so a text track beside the pictures says exactly which frame each belongs
to: rows of `COLUMNS`, at the time of the picture. Any tool can list them, for instance `ffmpeg -i masks.mkv rows.srt`.
Each row ends with the CRC-32 of its map, because FFmpeg's decoder makes up what is damaged without a word. The
container's tag VIDSEG_MASKS holds the version of this layout.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from vidseg.atomic import PartFile, write_failure
from vidseg.cores import limited_cores
from vidseg.errors import WriteError, short_reason
from vidseg.frames import Frame, Segmentation, UInt8Array, VideoInfo, label_map_of
from vidseg.saved_masks import FrameMark
from vidseg.sinks.whole_part import CLUSTERS, keep_whole_part
from vidseg.video.mask_layout import COLUMNS, COLUMNS_TAG, OPTION_TAG, VERSION, VERSION_TAG, crc_of

TICK = Fraction(1, 1000)
"""What FFmpeg's Matroska counts time in."""
_FALLBACK_RATE = Fraction(25)
_FULL_RANGE = 2
_FFV1_OPTIONS = {
    "level": "3",
    # Golomb-Rice codes write runs of one value: on 60 label maps of 640x360 as small as the range coder (3.8 against
    # 3.7 kB each) and read in a fifth of its time; enlarged to 1920x1080 a quarter of its size.
    "coder": "0",
    "context": "0",
    "g": "300",  # what the coder has learnt is kept from map to map
}
_SLICES = 4
"""So many threads at most; more slices only grow the file."""
_SLICED_FROM = 16
"""Pixels: FFV1 cannot cut a picture that is too small."""


class MaskVideoSink:
    """Writes `segmentation.label_map`, or what `of` gives, into one video, exactly. Satisfies `vidseg.interfaces.Sink`.

    The file grows under its name plus ".part" and gets its name in `close`. Times are those of the frames, rounded to
    1 ms in the container and exact in the text track; times below zero start at 0 in the container. Masks of a live
    source cannot be made again: when the disk fills, its complete part gets the final name.
    """

    needs_picture = False
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        *,
        overwrite: bool,
        source_paths: Iterable[str | Path] = (),
        of: Callable[[Segmentation], UInt8Array] = label_map_of,
        option: str = "--save-masks",
    ) -> None:
        """Claim the output.

        Args:
            overwrite: replace an existing file, when this one is finished.
            source_paths: files that must not be overwritten.
            of: what is written of a segmentation, (H, W) uint8.
            option: that asked for it, for messages.
        Raises:
            SinkError: the output cannot be claimed. Nothing is left behind.
        """
        self.path = Path(path)
        self._of = of
        self._option = option
        self._rate = info.frame_rate or _FALLBACK_RATE
        self._output: Any = None
        self._stream: Any = None
        self._rows: Any = None
        self._size_hw = (0, 0)
        self._origin = Fraction(0)
        self._last_pts = -1
        self.counters = {"frames": 0}
        """frames: maps written."""
        self._closed = False
        self._keep = info.live
        self._part = PartFile(self.path, overwrite=overwrite, sources=source_paths)

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Write one map. Raises WriteError, also for a map of another size than the first."""
        try:
            self._encode(frame, self._of(segmentation))
        except WriteError as error:
            if self._keep:
                raise self._kept(error) from error
            raise
        self.counters["frames"] += 1

    def _encode(self, frame: Frame, label_map: UInt8Array) -> None:
        with self._failures_named():
            if self._output is None:
                self._start(frame, label_map)
            if label_map.shape != self._size_hw:
                raise WriteError(
                    f"{self.path}: needs masks of one size, but frame {frame.index} is {_shown(label_map.shape)}, "
                    f"and the first {_shown(self._size_hw)}; give {self._option} a folder for images of several sizes"
                )
            pts = max(round((frame.pts * frame.time_base - self._origin) / TICK), self._last_pts + 1)
            duration = max(1, round((frame.duration or 1 / (self._rate * frame.time_base)) * frame.time_base / TICK))
            self._last_pts = pts
            # the encoder keeps the picture for a while, and the label map belongs to others: a copy
            label_map = np.ascontiguousarray(label_map)
            image = av.VideoFrame.from_ndarray(label_map, format="gray")
            image.pts, image.time_base, image.duration, image.color_range = pts, TICK, duration, _FULL_RANGE
            row = av.Packet(",".join((*FrameMark.of(frame).row(), crc_of(label_map))).encode())
            row.stream, row.time_base = self._rows, TICK
            row.pts = row.dts = pts
            row.duration = duration
            self._output.mux(self._stream.encode(image))
            self._output.mux(row)

    def close(self) -> None:
        """Finish the file and give it its name. Does nothing a second time.

        Raises:
            WriteError: no frame was written, or the disk is full. The output does not appear then.
        """
        if self._closed:
            return
        if self._output is None:
            self.abort()
            raise WriteError(f"{self.path}: no frame was written, so there are no masks")
        try:
            with self._failures_named():
                self._output.mux(self._stream.encode(None))
                self._output.close()
            self._part.commit(keep=self._keep)
        except BaseException as error:
            if self._keep and isinstance(error, WriteError):
                raise self._kept(error) from error
            self.abort()
            raise
        self._closed = True
        self._output = self._stream = self._rows = None

    def abort(self) -> None:
        """Drop everything; the output does not appear. Never raises."""
        if self._closed:
            return
        self._closed = True
        self._part.discard()
        if self._output is not None:
            with contextlib.suppress(Exception):
                self._output.close()
        self._output = self._stream = self._rows = None

    def _kept(self, error: WriteError) -> WriteError:
        """Close the file after a failure, and keep its complete part. The error, saying where the file ends."""
        self._closed = True
        if self._output is not None:
            with contextlib.suppress(Exception):
                self._output.close()
        self._output = self._stream = self._rows = None
        return keep_whole_part(self._part, "matroska", max(self._last_pts, 0) * TICK, error)

    def _start(self, frame: Frame, label_map: UInt8Array) -> None:
        """Settle size and zero, write the header."""
        self._size_hw = (label_map.shape[0], label_map.shape[1])
        self._origin = min(Fraction(0), frame.pts * frame.time_base)
        options = CLUSTERS if self._keep else {}
        self._output = av.open(f"file:{self._part.part}", "w", format="matroska", options=options)
        self._output.metadata.update({VERSION_TAG: VERSION, COLUMNS_TAG: ",".join(COLUMNS), OPTION_TAG: self._option})
        slices = _SLICES if min(self._size_hw) >= _SLICED_FROM else 1
        coder = _FFV1_OPTIONS | {"slices": str(slices)}
        self._stream = self._output.add_stream("ffv1", min(max(self._rate, Fraction(1)), Fraction(240)), coder)
        self._stream.height, self._stream.width = self._size_hw
        self._stream.pix_fmt = "gray"
        context = self._stream.codec_context
        context.time_base = TICK
        context.flags |= av.codec.context.Flags.frame_duration
        # no tool may take ids for levels from 16 to 235 and stretch them
        context.color_range = _FULL_RANGE
        context.thread_type, context.thread_count = "SLICE", limited_cores() or 0
        self._rows = self._output.add_mux_stream("subrip")
        self._rows.time_base = TICK
        self._output.start_encoding()

    @contextlib.contextmanager
    def _failures_named(self) -> Iterator[None]:
        """Turn FFmpeg's errors into a WriteError of one line."""
        try:
            yield
        except OSError as error:
            raise WriteError(write_failure(self.path, error)) from error
        except (av.FFmpegError, ValueError) as error:
            size = _shown(self._size_hw)
            raise WriteError(f"{self.path}: masks of {size} cannot be written ({short_reason(error)})") from error


def _shown(size_hw: tuple[int, ...]) -> str:
    return f"{size_hw[1]}x{size_hw[0]}"
