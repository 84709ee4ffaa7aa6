"""RGB or RGBA pictures -> frames in the pixel format, size and colour space that an encoder was opened with."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from vidseg.frames import UInt8Array

_HD_WIDTH, _HD_HEIGHT = 1280, 720
_ONE_THREAD_PIXELS = 1920 * 1088
"""Up to here one thread converts (2 ms at 1280x720): more would take the encoder's cores for little gain."""
_BT709, _SMPTE170M, _BT470BG = 1, 6, 5
_LIMITED, _FULL = 1, 2
_LAYOUTS = {3: "rgb24", 4: "rgba"}


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
        # shares the memory of the picture: the conversion below makes the one copy that the encoder keeps
        source = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(picture), format=_LAYOUTS[picture.shape[2]])
        source.pts, source.time_base, source.duration = pts, time_base, duration
        if self._rgb:
            frame = self._reformatter.reformat(source, format=self.pix_fmt, threads=self._threads)
        else:
            frame = self._reformatter.reformat(
                source,
                format=self.pix_fmt,
                dst_colorspace=self._matrix,
                dst_color_range=self._range,
                interpolation=Interpolation.AREA,  # as fast as bilinear here and within half a level
                threads=self._threads,
            )
        self.tag(frame)
        frame.pts, frame.time_base, frame.duration = pts, time_base, duration
        return frame


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
