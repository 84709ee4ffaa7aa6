"""Decoded frames to upright 8-bit RGB: matrix, range, bit depth, HDR and orientation.

The matrix and range conversion is swscale's, told what to assume where the stream says nothing. HDR is mapped by one
256-entry table per transfer function and one 3x3 matrix: about 2 ms for 1920x1080, where swscale's own conversion of
transfer and primaries takes 60 ms and cuts off everything above reference white.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from vidseg.frames import UInt8Array
from vidseg.video.encoder_input import fit_into

# Numbers of ITU-T H.273, which FFmpeg uses too.
MATRIX_BT709, MATRIX_UNSPECIFIED, MATRIX_BT2020 = 1, 2, 9
PRIMARIES_BT2020, PRIMARIES_UNSPECIFIED = 9, 2
TRANSFER_PQ, TRANSFER_HLG = 16, 18
HDR_NAMES = {TRANSFER_PQ: "PQ", TRANSFER_HLG: "HLG"}

REFERENCE_WHITE_NITS = 203.0
"""Brightness of a white sheet in HDR programmes (ITU-R BT.2408)."""
SHOULDER = 0.6
"""Light up to this share of reference white is kept as it is; the rest is pressed into what is left below 1."""
DISPLAY_GAMMA = 2.4

BT2020_TO_BT709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]]
)
"""Primaries, for linear light (ITU-R BT.2087). Used on coded values here, which is cheap and half-way right: the mean
error over random colours falls from 19 to 11 levels, and greys stay grey."""


SQUARE = Fraction(1)
MOST_ASPECT = 8
"""Pixels that are more than this times as wide as high, or as high as wide, are an error in the header."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored picture becomes upright: transposed first, then mirrored."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Orientation:
        """The orientation that the frame's display matrix asks for; none where it is not a multiple of 90 degrees."""
        matrix = _display_matrix(frame)
        if matrix is None:
            return cls()
        # Stored (x, y) is shown at (a x + c y, b x + d y).
        a, b, c, d = (matrix[i] / 65536 for i in (0, 1, 3, 4))
        if abs(b) < 0.02 and abs(c) < 0.02 and a and d:
            return cls(False, a < 0, d < 0)
        if abs(a) < 0.02 and abs(d) < 0.02 and b and c:
            return cls(True, c < 0, b < 0)
        return cls()

    def apply(self, image: UInt8Array) -> UInt8Array:
        """The upright picture, contiguous; `image` itself where nothing is to be done."""
        if self.transpose:
            image = np.asarray(cv2.transpose(image), np.uint8)
        if self.flip_x or self.flip_y:
            code = -1 if self.flip_x and self.flip_y else int(self.flip_x)
            image = np.asarray(cv2.flip(image, code), np.uint8)
        return image

    @property
    def note(self) -> str | None:
        """What is done, in words; None for nothing."""
        words = {
            (False, False, False): None,
            (False, True, True): "rotated by 180 degrees",
            (True, False, True): "rotated by 90 degrees counter-clockwise",
            (True, True, False): "rotated by 90 degrees clockwise",
            (False, True, False): "mirrored left to right",
            (False, False, True): "mirrored top to bottom",
            (True, False, False): "transposed",
            (True, True, True): "transposed and rotated by 180 degrees",
        }[self.transpose, self.flip_x, self.flip_y]
        return words and f"{words}, as the source specifies"


class RgbConverter:
    """Turns decoded frames into RGB pictures of square pixels. Remembers the first frame's size and orientation.

    Frames of another shape are fitted into the first one's, their proportions kept, so that all pictures are alike.
    """

    def __init__(self, first: av.VideoFrame, aspect: Fraction | None = None) -> None:
        """Args:
        aspect: width of a stored pixel over its height; None where unknown.
        """
        self._reformatter = VideoReformatter()
        self._stored = (first.width, first.height)
        self._width, self._height = _square_size(first, aspect)
        self._orientation = Orientation.of(first)
        self.notes = (*_notes(first, self._orientation), *self._aspect_notes(aspect))

    def _aspect_notes(self, aspect: Fraction | None) -> tuple[str, ...]:
        if self._stored != (self._width, self._height):
            before = "{}x{}".format(*(self._stored[::-1] if self._orientation.transpose else self._stored))
            return (f"{before} non-square pixels became {'{}x{}'.format(*self.size)} square pixels",)
        if aspect is not None and not _is_plausible(aspect):
            return (
                f"the header gives a pixel aspect ratio of {aspect.numerator}:{aspect.denominator}; treated as square",
            )
        return ()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the pictures that come out."""
        return (self._height, self._width) if self._orientation.transpose else (self._width, self._height)

    def fits(self, frame: av.VideoFrame) -> bool:
        """False when the frame will be scaled because its size differs from the first one's."""
        return (frame.width, frame.height) == self._stored

    def convert(self, frame: av.VideoFrame, aspect: Fraction | None = None) -> UInt8Array:
        """(H, W, 3) uint8 RGB, contiguous, not shared with the decoder.

        Args:
            aspect: of the frame's pixels, as in the constructor.
        """
        # A frame that is rgb24 already would come back untouched, still owned by the decoder.
        target = "bgr24" if frame.format.name == "rgb24" else "rgb24"
        width, height = _square_size(frame, aspect)
        same_shape = (width, height) == (self._width, self._height) or width * self._height == height * self._width
        if same_shape:
            width, height = self._width, self._height
        matrix = _assumed_matrix(frame)
        converted = self._reformatter.reformat(frame, width, height, format=target, src_colorspace=matrix)
        image = _packed_array(converted)
        if not same_shape:
            image = fit_into(image, (self._height, self._width))
        if target == "bgr24":
            image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
        if frame.color_trc in HDR_NAMES:
            image = np.asarray(cv2.LUT(image, hdr_to_sdr_table(frame.color_trc)), np.uint8)
        if _has_bt2020_primaries(frame):
            image = np.asarray(cv2.transform(image, BT2020_TO_BT709), np.uint8)
        return self._orientation.apply(image)


@lru_cache
def hdr_to_sdr_table(transfer: int) -> UInt8Array:
    """(256,) uint8: 8-bit coded PQ or HLG to 8-bit coded BT.709, reference white at about 237.

    Below 0.6 of reference white brightness is kept; above, an exponential shoulder runs towards 255. HLG is shown as
    on a 1000 nit screen (gamma 1.2, per channel). Formulas: ITU-R BT.2100.
    """
    signal = np.arange(256) / 255
    if transfer == TRANSFER_PQ:
        m1, m2 = 2610 / 16384, 2523 / 4096 * 128
        c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
        root = signal ** (1 / m2)
        nits = 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
        nits = 1000 * scene**1.2
    light = nits / REFERENCE_WHITE_NITS
    room = 1 - SHOULDER
    light = np.where(light <= SHOULDER, light, SHOULDER + room * -np.expm1(-(light - SHOULDER) / room))
    return np.rint(255 * light ** (1 / DISPLAY_GAMMA)).astype(np.uint8)


def _is_plausible(aspect: Fraction) -> bool:
    return Fraction(1, MOST_ASPECT) <= aspect <= MOST_ASPECT


def _square_size(frame: av.VideoFrame, aspect: Fraction | None) -> tuple[int, int]:
    """(width, height) of the frame with square pixels: the lines stay, the width follows, even, as encoders like it."""
    if aspect is None or aspect == SQUARE or not _is_plausible(aspect):
        return frame.width, frame.height
    return max(2, 2 * round(frame.width * aspect / 2)), frame.height


def _packed_array(frame: av.VideoFrame) -> UInt8Array:
    """(H, W, 3) of a packed 8-bit frame: a view of its memory, or a copy where the lines have padding."""
    plane, used = frame.planes[0], frame.width * 3
    memory = np.frombuffer(memoryview(plane), np.uint8, count=plane.line_size * frame.height)
    lines = memory.reshape(frame.height, plane.line_size)
    if plane.line_size != used:
        lines = np.ascontiguousarray(lines[:, :used])
    return lines.reshape(frame.height, frame.width, 3)


def _assumed_matrix(frame: av.VideoFrame) -> int | None:
    """The matrix to assume where the stream names none: BT.2020 for HDR, BT.709 for HD, else swscale's BT.601."""
    if frame.colorspace != MATRIX_UNSPECIFIED or frame.format.is_rgb:
        return None
    if frame.color_trc in HDR_NAMES or frame.color_primaries == PRIMARIES_BT2020:
        return MATRIX_BT2020
    return MATRIX_BT709 if frame.width >= 1280 or frame.height > 576 else None


def _has_bt2020_primaries(frame: av.VideoFrame) -> bool:
    if frame.color_primaries == PRIMARIES_UNSPECIFIED:
        return frame.color_trc in HDR_NAMES
    return frame.color_primaries == PRIMARIES_BT2020


def _display_matrix(frame: av.VideoFrame) -> npt.NDArray[np.int32] | None:
    """(9,) int32, 16.16 fixed point in the first two columns; None where the frame has none."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV does not know some other side data of this frame (a second view, say); the angle can still be had.
        quarter = {1: (0, -1, 1, 0), 2: (-1, 0, 0, -1), 3: (0, 1, -1, 0)}.get(round(frame.rotation / 90) % 4)
        if quarter is None:
            return None
        a, b, c, d = (65536 * value for value in quarter)
        return np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], np.int32)
    return None if data is None else np.frombuffer(memoryview(data), np.int32).copy()  # type: ignore[arg-type]


def _notes(frame: av.VideoFrame, orientation: Orientation) -> tuple[str, ...]:
    """What `RgbConverter` does to frames like this one, one sentence each."""
    notes = []
    bits = max((component.bits for component in frame.format.components), default=8)
    if frame.color_trc in HDR_NAMES:
        notes.append(
            f"HDR ({HDR_NAMES[frame.color_trc]}, {bits} bit) mapped to 8-bit SDR: brightness kept up to about "
            f"reference white ({REFERENCE_WHITE_NITS:.0f} nits), highlights rolled off, colours approximate"
        )
    elif bits > 8:
        notes.append(f"{bits}-bit colour reduced to 8 bits")
    if _has_bt2020_primaries(frame) and frame.color_trc not in HDR_NAMES:
        notes.append("wide colours (BT.2020) converted to BT.709, approximately")
    if any(component.is_alpha for component in frame.format.components):
        notes.append("transparency dropped")
    if frame.interlaced_frame:
        notes.append("interlaced: both fields left in one picture")
    if orientation.note:
        notes.append(orientation.note)
    return tuple(notes)
