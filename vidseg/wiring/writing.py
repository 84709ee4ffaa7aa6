"""Videos and numbered pictures written from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from os import PathLike
from typing import Any, Protocol

from vidseg.configure import merge
from vidseg.errors import ConfigError, SinkError, SourceError
from vidseg.frames import Frame, Segmentation, UInt8Array, VideoInfo, nothing_in, rate_of
from vidseg.render.scaling import scaled
from vidseg.sinks.constant_rate import RateSink
from vidseg.sinks.factory import open_video_sink
from vidseg.sources.given_picture import Picture, picture_of
from vidseg.video.encoders import EncodeOptions
from vidseg.wiring.output_shape import at_output_rate, check_shape, output_size, rated


class Drawable(Protocol):
    """A `vidseg.SegmentedFrame`."""

    @property
    def frame(self) -> Frame: ...

    @property
    def segmentation(self) -> Segmentation: ...

    def overlay(self) -> UInt8Array:
        """(H, W, 3) uint8 RGB."""
        ...


@contextmanager
def _flags_as_arguments() -> Iterator[None]:
    """What outputs advise, in the words of Python."""
    try:
        yield
    except SinkError as error:
        error.args = (str(error).replace(" with -y", " with overwrite=True"),)
        raise


def write(
    frames: Iterable[Drawable | Frame | Picture],
    path: str | PathLike[str],
    *,
    fps: float | None = None,
    size: str | int | None = None,
    enlarge: bool | None = None,
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
        path: out.mp4, .mkv, .mov, .webm, .gif, frames_%05d.png: what `vidseg run -o` takes.
        fps: frames per second; of frames with times some are then repeated or left out. None: the frames' own times, 25
            for plain pictures.
        size: width such as 640, size to fit into such as "640x360", or share such as "50%"; proportions are kept.
        enlarge: let `size` enlarge small pictures.
        overwrite: replace a file that exists.
        codec: h264, hevc, av1, ...; None: by the container.
        crf: quality, lower is better; None: the codec's own.
    Raises:
        ConfigError: no frames, something that is none, or an option out of range.
        SinkError: the file exists, or cannot be written like that.
    """
    name = os.fspath(path)
    rate = float(fps) if isinstance(fps, Fraction) else fps
    config = merge(("vidseg.write", {"output": name, "fps": rate, "size": size, "enlarge": enlarge}))
    check_shape(config)
    scale = output_size(config)
    encode = EncodeOptions(codec=codec, crf=crf, audio="none")
    count = 0
    with _flags_as_arguments(), ExitStack() as unfinished:
        sink = None
        for given in frames:
            frame, segmentation, picture = _drawn(given, count, fps)
            picture = picture if scale is None else scaled(picture, scale)
            if sink is None:
                height, width = picture.shape[:2]
                info = at_output_rate(config, VideoInfo(width, height, Fraction(frame.time_base)))
                sink = rated(open_video_sink(name, info, overwrite=overwrite, encode=encode), config)
                unfinished.callback(sink.abort)
            sink.write(frame, segmentation, picture)
            count += 1
        if sink is None:
            raise ConfigError(f"{name}: no frames were given, so nothing is written")
        unfinished.pop_all()
        sink.close()
    return count + (sink.repeated - sink.left_out if isinstance(sink, RateSink) else 0)


def _drawn(given: Any, index: int, fps: float | None) -> tuple[Frame, Segmentation, UInt8Array]:
    """The frame with its time, what is in it, and the picture to write. Pictures out of files come `fps` a second."""
    if isinstance(getattr(given, "frame", None), Frame):
        frame, segmentation, picture = given.frame, given.segmentation, given.overlay()
        if fps is None or frame.name is None:
            return frame, segmentation, picture
    elif isinstance(given, Frame):
        picture = given.image
        if fps is None or given.name is None:
            return given, nothing_in(given.size_hw, index), picture
    else:
        try:
            picture = picture_of(given)
        except SourceError as error:
            raise ConfigError(f"frame {index}: {error}") from None
    frame = Frame(picture, index, index, 1 / rate_of(fps or 25), duration=1)
    return frame, nothing_in(frame.size_hw, index), picture
