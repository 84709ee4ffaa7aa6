"""Small clips made on the spot, with frames that can be told apart after lossy coding.

`counter_picture` draws the frame number as 12 black or white blocks, and `read_counter` reads it back, so a test can
assert which frame it holds. `corner_picture` shows which way up a picture is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
Painter = Callable[[int, int, int], UInt8Array]
"""(index, width, height) -> (height, width, 3) uint8 RGB."""

BITS_ACROSS, BITS_DOWN = 4, 3
DARK, BRIGHT = 40, 215
CORNERS = {"top_left": (220, 40, 40), "top_right": (40, 200, 40), "bottom_left": (40, 40, 220)}
AUDIO_RATE = 48_000


def counter_picture(index: int, width: int, height: int) -> UInt8Array:
    """(height, width, 3): `index` (0..4095) as a 4x3 grid of blocks, lowest bit top left. From 16x16 pixels up."""
    image = np.full((height, width, 3), DARK, np.uint8)
    for bit in range(BITS_ACROSS * BITS_DOWN):
        if index >> bit & 1:
            top, bottom, left, right = _block(bit, width, height)
            image[top:bottom, left:right] = BRIGHT
    return image


def read_counter(image: UInt8Array) -> int:
    """The number that `counter_picture` drew."""
    height, width = image.shape[:2]
    value = 0
    for bit in range(BITS_ACROSS * BITS_DOWN):
        top, bottom, left, right = _block(bit, width, height)
        inset_y, inset_x = (bottom - top) // 4, (right - left) // 4
        inner = image[top + inset_y : bottom - inset_y, left + inset_x : right - inset_x]
        value |= int(inner.mean() > (DARK + BRIGHT) / 2) << bit
    return value


def _block(bit: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of one bit's block."""
    row, column = divmod(bit, BITS_ACROSS)
    ys, xs = np.linspace(0, height, BITS_DOWN + 1).astype(int), np.linspace(0, width, BITS_ACROSS + 1).astype(int)
    return int(ys[row]), int(ys[row + 1]), int(xs[column]), int(xs[column + 1])


def corner_picture(index: int, width: int, height: int) -> UInt8Array:
    """(height, width, 3): white, with a red top left, green top right and blue bottom left quarter; never changes."""
    image = np.full((height, width, 3), 230, np.uint8)
    image[: height // 2, : width // 2] = CORNERS["top_left"]
    image[: height // 2, width // 2 :] = CORNERS["top_right"]
    image[height // 2 :, : width // 2] = CORNERS["bottom_left"]
    return image


def plain_picture(rgb: tuple[int, int, int]) -> Painter:
    """A painter of one colour all over."""

    def paint(index: int, width: int, height: int) -> UInt8Array:
        return np.full((height, width, 3), rgb, np.uint8)

    return paint


def make_clip(
    path: Path,
    *,
    size: tuple[int, int] = (64, 48),
    frames: int = 10,
    rate: Fraction | int = 25,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    painter: Painter = counter_picture,
    rotation: int = 0,
    bframes: int = 0,
    gop: int = 12,
    audio_seconds: float | None = None,
    container: str | None = None,
    container_options: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    colorspace: int | None = None,
    color_range: int | None = None,
    color_trc: int | None = None,
    color_primaries: int | None = None,
    write_tags: bool = True,
    sample_aspect_ratio: Fraction | None = None,
) -> Path:
    """Write a clip and return its path.

    Args:
        path: the ending names the container unless `container` (an FFmpeg muxer name) is given.
        size: (width, height); libx264 and libx265 want even numbers for yuv420p.
        rate: frames per second; sets the frame times unless `pts` is given.
        pts: one time per frame in units of `time_base` (default 1/1000), for variable rates and odd starts;
            overrides `frames`. The container may store them in a unit of its own.
        painter: draws the frames; RGB is converted with the matrix of `colorspace` (601 when None).
        rotation: degrees given to `stream.set_display_rotation` (counter-clockwise).
        bframes: B-frames between references, x264 and x265 only.
        audio_seconds: adds a 440 Hz AAC tone of this length.
        options: encoder options; a quality near lossless is the default of x264 and x265.
        colorspace, color_range, color_trc, color_primaries: FFmpeg numbers, written as tags; None leaves unset.
        write_tags: False converts with `colorspace` and `color_range` but does not say so in the file.
    """
    width, height = size
    with av.open(str(path), "w", format=container, options=dict(container_options or {})) as output:
        stream = output.add_stream(codec, rate=None if pts is not None else Fraction(rate))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        if pts is not None:
            stream.codec_context.time_base = time_base = time_base or Fraction(1, 1000)
        else:
            time_base, pts = 1 / Fraction(rate), range(frames)
        stream.options = _encoder_options(codec, bframes, gop) | dict(options or {})
        if sample_aspect_ratio is not None:
            stream.codec_context.sample_aspect_ratio = sample_aspect_ratio
        tags = {
            "colorspace": colorspace,
            "color_range": color_range,
            "color_trc": color_trc,
            "color_primaries": color_primaries,
        }
        if not write_tags:
            tags = dict.fromkeys(tags)
        for name, value in tags.items():
            if value is not None:
                setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        tone = output.add_stream("aac", rate=AUDIO_RATE, layout="mono") if audio_seconds is not None else None
        for index, frame_pts in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(painter(index, width, height), format="rgb24")
            frame = frame.reformat(format=pix_fmt, dst_colorspace=colorspace, dst_color_range=color_range)
            if not write_tags:
                frame.colorspace, frame.color_range = 2, 0
            for name, value in tags.items():
                if value is not None:
                    setattr(frame, name, value)
            frame.pts, frame.time_base = frame_pts, time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if tone is not None and audio_seconds is not None:
            _write_tone(output, tone, audio_seconds)
    return path


def make_audio(path: Path, *, seconds: float = 0.5, codec: str = "aac") -> Path:
    """Write a file with a 440 Hz tone and no picture; returns its path."""
    with av.open(str(path), "w") as output:
        _write_tone(output, output.add_stream(codec, rate=AUDIO_RATE, layout="mono"), seconds)
    return path


def _encoder_options(codec: str, bframes: int, gop: int) -> dict[str, str]:
    """Options that make small clips exact and quick to write, for the encoders that know them."""
    if codec == "libx264":
        return {"crf": "4", "preset": "ultrafast", "bf": str(bframes), "g": str(gop), "threads": "1"}
    if codec == "libx265":
        extra = f"bframes={bframes}:keyint={gop}:pools=1:frame-threads=1:log-level=none"
        return {"crf": "4", "preset": "ultrafast", "x265-params": extra}
    return {"qscale": "2", "g": str(gop)} if codec in {"mpeg4", "mpeg2video"} else {}


def _write_tone(output: av.container.OutputContainer, stream: Any, seconds: float) -> None:
    """Encode a 440 Hz sine of the given length and mux it."""
    total, step = round(seconds * AUDIO_RATE), 1024
    for start in range(0, total, step):
        times = np.arange(start, min(start + step, total)) / AUDIO_RATE
        samples = (0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.rate, frame.pts, frame.time_base = AUDIO_RATE, start, Fraction(1, AUDIO_RATE)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
