"""RGB or RGBA pictures -> frames in the pixel format, size and colour space that an encoder was opened with."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from vidseg.frames import FloatArray, UInt8Array

_HD_WIDTH, _HD_HEIGHT = 1280, 720
_ONE_THREAD_PIXELS = 1920 * 1088
"""Up to here one thread converts (2 ms at 1280x720): more would take the encoder's cores for little gain."""
_BT709, _SMPTE170M, _BT470BG = 1, 6, 5
_LIMITED, _FULL = 1, 2
_LAYOUTS = {3: "rgb24", 4: "rgba"}
_LUMA_SHARES = {Colorspace.ITU601: (0.299, 0.114), Colorspace.ITU709: (0.2126, 0.0722)}
"""Of red and blue; the rest is green's."""


class EncoderInput:
    """Turns pictures into encoder frames of one size; keeps one conversion context for all of them.

    Players that ignore the tags guess the matrix from the size, so it follows the size here: BT.709 for HD, BT.601
    below; JPEG has BT.601 in full range only.
    """

    def __init__(self, size_hw: tuple[int, int], pix_fmt: str, *, even_sides: bool, full_range: bool) -> None:
        """Args:
        size_hw: (height, width) of the first picture.
        even_sides: odd sides grow by one pixel, which repeats the edge.
        full_range: luma 0..255 as in JPEG instead of 16..235.
        """
        self._picture_hw = size_hw
        self.height, self.width = (side + (side % 2 if even_sides else 0) for side in size_hw)
        self.pix_fmt = pix_fmt
        self.rescaled = 0
        """Pictures so far that came in another size."""
        self._reformatter = VideoReformatter()
        self._rgb = pix_fmt in ("bgr0", "bgra")
        self._planar = pix_fmt in ("yuv420p", "yuvj420p") and self.width % 2 == self.height % 2 == 0
        # scratch that is kept: fresh pages from the system cost as much as the conversion
        sides = (self.height, self.width)
        self._pixels, self._halved = (np.empty((*(side // by for side in sides), 3), np.uint8) for by in (1, 2))
        self._threads = 1 if self.width * self.height <= _ONE_THREAD_PIXELS else 0  # 0: as many as there are cores
        hd = self.height >= _HD_HEIGHT or self.width >= _HD_WIDTH
        self._matrix = Colorspace.ITU709 if hd and not full_range else Colorspace.ITU601
        self._range = ColorRange.JPEG if full_range else ColorRange.MPEG
        self._tags = {
            "colorspace": _BT470BG if full_range else _BT709 if hd else _SMPTE170M,
            "color_primaries": _BT709 if hd or full_range else _SMPTE170M,
            "color_trc": _BT709 if hd or full_range else _SMPTE170M,
            "color_range": _FULL if full_range else _LIMITED,
        }

    @property
    def picture_hw(self) -> tuple[int, int]:
        """(height, width) of the pictures that come in, before padding."""
        return self._picture_hw

    @property
    def padded(self) -> bool:
        """True if pictures grow by a pixel."""
        return (self.height, self.width) != self._picture_hw

    def tag(self, target: av.VideoFrame | av.VideoCodecContext) -> None:
        """Write matrix, primaries, transfer and range onto a frame or an encoder; nothing for RGB formats."""
        if not self._rgb:
            for name, value in self._tags.items():
                setattr(target, name, value)

    def convert(self, picture: UInt8Array, pts: int, time_base: Fraction, duration: int) -> av.VideoFrame:
        """A frame for the encoder out of (H, W, 3) uint8 RGB or (H, W, 4) RGBA.

        `pts` and `duration` are in units of `time_base`.
        """
        if picture.shape[:2] != self._picture_hw:
            picture = fit_into(picture, self._picture_hw)
            self.rescaled += 1
        height, width = picture.shape[:2]
        if self.padded:
            bottom, right = self.height - height, self.width - width
            picture = np.asarray(cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.uint8)
        frame = self._in_planes(picture) if self._planar and picture.shape[2] == 3 else self._by_swscale(picture)
        self.tag(frame)
        frame.pts, frame.time_base, frame.duration = pts, time_base, duration
        return frame

    def _by_swscale(self, picture: UInt8Array) -> av.VideoFrame:
        # shares the memory of the picture: the conversion makes the one copy that the encoder keeps
        source = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(picture), format=_LAYOUTS[picture.shape[2]])
        if self._rgb:
            return self._reformatter.reformat(source, format=self.pix_fmt, threads=self._threads)
        return self._reformatter.reformat(
            source,
            format=self.pix_fmt,
            dst_colorspace=self._matrix,
            dst_color_range=self._range,
            interpolation=Interpolation.AREA,  # as fast as bilinear here and within half a level
            threads=self._threads,
        )

    def _in_planes(self, picture: UInt8Array) -> av.VideoFrame:
        """4:2:0 in half of swscale's time, and within a level of it: 0.6 ms at 1280x720, 1.3 ms at 1920x1080."""
        frame = av.VideoFrame(self.width, self.height, self.pix_fmt)
        luma, *chroma = (
            np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
            for plane in frame.planes
        )
        cv2.transform(picture, self._to_yuv, dst=self._pixels)
        cv2.extractChannel(self._pixels, 0, dst=luma)
        half = (self.width // 2, self.height // 2)
        cv2.resize(self._pixels, half, dst=self._halved, interpolation=cv2.INTER_AREA)  # the mean of four pixels
        for number, plane in enumerate(chroma, 1):
            cv2.extractChannel(self._halved, number, dst=plane)
        return frame

    @cached_property
    def _to_yuv(self) -> FloatArray:
        """(3, 4) from RGB to Y, U and V in 0..255."""
        red, blue = _LUMA_SHARES[self._matrix]
        luma = np.array([red, 1 - red - blue, blue])
        rows = [luma, (np.array([0, 0, 1]) - luma) / (2 * (1 - blue)), (np.array([1, 0, 0]) - luma) / (2 * (1 - red))]
        spans = (1, 1, 1) if self._range == ColorRange.JPEG else (219 / 255, 224 / 255, 224 / 255)
        offsets = (0 if self._range == ColorRange.JPEG else 16, 128, 128)
        return np.array(
            [[*row * span, offset] for row, span, offset in zip(rows, spans, offsets, strict=True)], np.float32
        )


def fit_into(picture: UInt8Array, size_hw: tuple[int, int]) -> UInt8Array:
    """`picture` scaled to fit (height, width), centred on black, its proportions kept."""
    height, width = size_hw
    scale = min(height / picture.shape[0], width / picture.shape[1])
    inner_h = min(height, max(1, round(picture.shape[0] * scale)))
    inner_w = min(width, max(1, round(picture.shape[1] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    result = np.zeros((height, width, picture.shape[2]), np.uint8)
    top, left = (height - inner_h) // 2, (width - inner_w) // 2
    resized = cv2.resize(picture, (inner_w, inner_h), interpolation=how)
    result[top : top + inner_h, left : left + inner_w] = resized
    return result
