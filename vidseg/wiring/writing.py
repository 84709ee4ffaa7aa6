"""Videos and numbered pictures written from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from fractions import Fraction
from os import PathLike
from typing import Any, Protocol

from vidseg.errors import ConfigError, SourceError
from vidseg.frames import Frame, Segmentation, UInt8Array, VideoInfo, nothing_in
from vidseg.sinks.factory import open_video_sink
from vidseg.sources.given_picture import Picture, picture_of
from vidseg.video.encoders import EncodeOptions


class Drawable(Protocol):
    """A `vidseg.SegmentedFrame`."""

    @property
    def frame(self) -> Frame: ...

    @property
    def segmentation(self) -> Segmentation: ...

    def overlay(self) -> UInt8Array:
        """(H, W, 3) uint8 RGB."""
        ...


def write(
    frames: Iterable[Drawable | Frame | Picture],
    path: str | PathLike[str],
    *,
    fps: float | None = None,
    overwrite: bool = False,
    codec: str | None = None,
    crf: int | None = None,
) -> int:
    """Write a video or numbered pictures; the number of frames written.

        >>> import vidseg
        >>> vidseg.write(vidseg.segment("samples/street.mp4", limit=2), "out.mp4", overwrite=True)  # doctest: +SKIP
        2

    Args:
        frames: segmented frames, whose overlays are written, or what `vidseg.Segmenter` takes as a picture (arrays
            in RGB, pictures of PIL, names of files), all of one size; they are taken one by one. A generator of
            `vidseg.segment` will do.
        path: out.mp4, .mkv, .mov, .webm, frames_%05d.png: what `vidseg run -o` takes.
        fps: frames per second; None: the frames' own times, 25 for plain pictures.
        overwrite: replace a file that exists.
        codec: h264, hevc, av1, ...; None: by the container.
        crf: quality, lower is better; None: the codec's own.
    Raises:
        ConfigError: no frames, or something that is none.
        SinkError: the file exists, or cannot be written like that.
    """
    name = os.fspath(path)
    if fps is not None and not 0 < fps <= 1000:
        raise ConfigError(f"fps is {fps!r}; give a number above 0, at most 1000")
    rate = None if fps is None else Fraction(fps).limit_denominator(1001)
    encode = EncodeOptions(codec=codec, crf=crf, audio="none")
    count = 0
    with ExitStack() as unfinished:
        sink = None
        for given in frames:
            frame, segmentation, picture = _drawn(given, count, rate)
            if sink is None:
                height, width = picture.shape[:2]
                info = VideoInfo(width, height, Fraction(frame.time_base), frame_rate=rate)
                sink = open_video_sink(name, info, overwrite=overwrite, encode=encode)
                unfinished.callback(sink.abort)
            sink.write(frame, segmentation, picture)
            count += 1
        if sink is None:
            raise ConfigError(f"{name}: no frames were given, so nothing is written")
        unfinished.pop_all()
        sink.close()
    return count


def _drawn(given: Any, index: int, rate: Fraction | None) -> tuple[Frame, Segmentation, UInt8Array]:
    """The frame with its time, what is in it, and the picture to write."""
    if isinstance(getattr(given, "frame", None), Frame):
        frame, segmentation, picture = given.frame, given.segmentation, given.overlay()
        if rate is None:
            return frame, segmentation, picture
    elif isinstance(given, Frame):
        picture = given.image
        if rate is None:
            return given, nothing_in(given.size_hw, index), picture
    else:
        try:
            picture = picture_of(given)
        except SourceError as error:
            raise ConfigError(f"frame {index}: {error}") from None
    frame = Frame(picture, index, index, 1 / (rate or Fraction(25)), duration=1)
    return frame, nothing_in(frame.size_hw, index), picture
