"""Pictures in the pixel formats of encoders."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.reformatter import VideoReformatter

from vidseg.frames import UInt8Array
from vidseg.video.encoder_input import EncoderInput

TICK = Fraction(1, 25)


def noise(height: int, width: int) -> UInt8Array:
    """All colours, the primaries among them."""
    picture = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    corners = [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)]
    for place, colour in enumerate(corners):
        picture[2:4, 2 * place : 2 * place + 2] = colour
    return picture


def by_the_book(picture: UInt8Array, red: float, blue: float, *, full_range: bool) -> list[npt.NDArray[np.float64]]:
    """Y, U and V of ITU-T H.273, chroma as the mean of four pixels."""
    r, g, b = np.moveaxis(picture.astype(np.float64), 2, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))
    luma, chroma, black = (1, 1, 0) if full_range else (219 / 255, 224 / 255, 16)
    halves = [(part[::2] + part[1::2])[:, ::2] + (part[::2] + part[1::2])[:, 1::2] for part in (u, v)]
    return [np.clip(part, 0, 255) for part in (y * luma + black, *(half / 4 * chroma + 128 for half in halves))]


@pytest.mark.parametrize(
    ("size_hw", "pix_fmt", "full_range", "red", "blue"),
    [
        ((60, 102), "yuv420p", False, 0.299, 0.114),  # lines with padding; BT.601
        ((16, 1280), "yuv420p", False, 0.2126, 0.0722),  # BT.709
        ((48, 64), "yuvj420p", True, 0.299, 0.114),
        ((47, 33), "yuv420p", False, 0.299, 0.114),  # odd sides grow
        ((48, 64), "yuv444p", False, 0.299, 0.114),
    ],
)
def test_planes_are_within_a_level(
    size_hw: tuple[int, int], pix_fmt: str, full_range: bool, red: float, blue: float
) -> None:
    given = EncoderInput(size_hw, pix_fmt, even_sides=True, full_range=full_range)
    picture = noise(*size_hw)
    frames = [given.convert(picture, 7, TICK, 1) for _ in range(2)]
    grown = np.pad(picture, ((0, size_hw[0] % 2), (0, size_hw[1] % 2), (0, 0)), mode="edge")
    for frame in frames:
        assert (frame.width, frame.height, frame.format.name) == (given.width, given.height, pix_fmt)
        assert (frame.pts, frame.time_base, frame.duration) == (7, TICK, 1)
        right = by_the_book(grown, red, blue, full_range=full_range)[: 1 if pix_fmt == "yuv444p" else 3]
        for plane, exact in zip(planes(frame), right, strict=False):
            difference = plane - exact
            assert np.abs(difference).max() <= 1.3 and abs(difference.mean()) < 0.2


def test_a_frame_is_nobody_elses() -> None:
    """The encoder keeps some while the next ones are made."""
    given = EncoderInput((32, 32), "yuv420p", even_sides=True, full_range=False)
    first = given.convert(np.full((32, 32, 3), 255, np.uint8), 0, TICK, 1)
    given.convert(np.zeros((32, 32, 3), np.uint8), 1, TICK, 1)
    assert [int(plane.min()) for plane in planes(first)] == [235, 128, 128]


def test_colours_come_back() -> None:
    given = EncoderInput((48, 64), "yuv420p", even_sides=True, full_range=False)
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24], picture[24:, :32], picture[24:, 32:] = (250, 20, 30), (10, 200, 60), (128, 128, 255)
    frame = given.convert(picture, 0, TICK, 1)
    back = VideoReformatter().reformat(frame, format="rgb24").to_ndarray()
    assert np.abs(back.astype(int)[2:20] - picture[2:20]).max() <= 3
    assert np.abs(back.astype(int)[28:-2, 40:-4] - picture[28:-2, 40:-4]).max() <= 3


def planes(frame: av.VideoFrame) -> list[UInt8Array]:
    """What is seen of each plane."""

    def seen(plane: Any) -> UInt8Array:
        lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        return np.asarray(lines[: plane.height, : plane.width])

    return [seen(plane) for plane in frame.planes]
