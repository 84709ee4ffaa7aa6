"""Colours that survive: matrix, range, bit depth, HDR and orientation."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest

from tests.video.clips import make_clip, plain_picture, read_counter
from vidseg.sources.av_source import AvSource
from vidseg.sources.rgb import TRANSFER_HLG, TRANSFER_PQ, Orientation, RgbConverter, hdr_to_sdr_table

BT709, BT601, BT2020, SMPTE170M = 1, 5, 9, 6
LIMITED, FULL = 1, 2
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 120, 40)]

# Kr and Kb of each matrix (ITU-T H.273).
LUMA = {BT709: (0.2126, 0.0722), BT601: (0.299, 0.114), SMPTE170M: (0.299, 0.114), BT2020: (0.2627, 0.0593)}


def encoded(rgb: tuple[int, int, int], matrix: int, colour_range: int, pix_fmt: str, size=(64, 16)) -> av.VideoFrame:
    """A frame of one colour whose planes are computed here, from the definition, not by FFmpeg."""
    bits = 10 if "10" in pix_fmt else 8
    red, green, blue = (value / 255 for value in rgb)
    kr, kb = LUMA[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = (blue - luma) / 2 / (1 - kb), (red - luma) / 2 / (1 - kr)
    scale, top = 1 << (bits - 8), (1 << bits) - 1
    if colour_range == FULL:
        levels = [luma * top, *(value * top + 128 * scale for value in chroma)]
    else:
        levels = [(16 + 219 * luma) * scale, *((128 + 224 * value) * scale for value in chroma)]
    frame = av.VideoFrame(*size, pix_fmt)
    for plane, level in zip(frame.planes, levels, strict=True):
        kind = np.uint16 if bits > 8 else np.uint8
        np.frombuffer(memoryview(plane), kind)[:] = min(top, max(0, round(level)))
    frame.colorspace, frame.color_range = matrix, colour_range
    return frame


@pytest.mark.parametrize(
    ("pix_fmt", "matrix", "colour_range"),
    [*product(["yuv420p", "yuv444p", "yuv422p10le"], LUMA, [LIMITED, FULL]), ("yuvj420p", BT601, FULL)],
)
def test_every_matrix_and_range_gives_the_colour_back(pix_fmt: str, matrix: int, colour_range: int) -> None:
    for colour in COLOURS:
        frame = encoded(colour, matrix, colour_range, pix_fmt)
        image = RgbConverter(frame).convert(frame)
        np.testing.assert_allclose(image.reshape(-1, 3), np.tile(colour, (64 * 16, 1)), atol=3)


def test_the_range_is_limited_where_the_stream_does_not_say(tmp_path: Path) -> None:
    frame = encoded((255, 255, 255), BT709, LIMITED, "yuv420p")
    frame.color_range = 0
    assert RgbConverter(frame).convert(frame).min() >= 252


@pytest.mark.parametrize(("size", "matrix"), [((1280, 720), BT709), ((640, 360), BT601), ((1024, 600), BT709)])
def test_a_clip_without_a_matrix_is_taken_for_709_when_it_is_hd(
    tmp_path: Path, size: tuple[int, int], matrix: int
) -> None:
    for colour in [(200, 40, 40), (40, 180, 60)]:
        clip = make_clip(
            tmp_path / "clip.mp4",
            size=size,
            frames=1,
            painter=plain_picture(colour),
            colorspace=matrix,
            color_range=LIMITED,
            write_tags=False,
        )
        with AvSource(clip) as source:
            image = next(iter(source)).image
        np.testing.assert_allclose(image[::50, ::50].reshape(-1, 3).mean(axis=0), colour, atol=4)


@pytest.mark.parametrize("matrix", [BT709, SMPTE170M])
def test_tagged_clips_keep_their_colours_through_a_codec(tmp_path: Path, matrix: int) -> None:
    colour = (210, 60, 30)
    clip = make_clip(
        tmp_path / "clip.mp4", frames=1, painter=plain_picture(colour), colorspace=matrix, color_range=LIMITED
    )
    with AvSource(clip) as source:
        np.testing.assert_allclose(next(iter(source)).image.reshape(-1, 3).mean(axis=0), colour, atol=4)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "ending", "note"),
    [
        ("libx264", "yuv420p10le", "mp4", "10-bit colour reduced to 8 bits"),
        ("libx265", "yuv420p10le", "mp4", "10-bit colour reduced to 8 bits"),
        ("ffv1", "gray16le", "mkv", "16-bit colour reduced to 8 bits"),
        ("qtrle", "argb", "mov", "transparency dropped"),
        ("ffv1", "gray", "mkv", None),
        ("libx264rgb", "rgb24", "mkv", None),
        ("rawvideo", "rgb24", "mov", None),
    ],
)
def test_all_kinds_of_pixels_become_8_bit_rgb(
    tmp_path: Path, codec: str, pix_fmt: str, ending: str, note: str | None
) -> None:
    with AvSource(make_clip(tmp_path / f"clip.{ending}", codec=codec, pix_fmt=pix_fmt, frames=4)) as source:
        assert source.info.notes == ((note,) if note else ())
        assert [read_counter(frame.image) for frame in source] == [0, 1, 2, 3]


def test_drawing_on_a_picture_does_not_show_in_the_next_one(tmp_path: Path) -> None:
    # qtrle stores only what differs from the picture before, so the decoder still needs that one.
    clip = make_clip(
        tmp_path / "clip.mov", codec="qtrle", pix_fmt="rgb24", frames=4, painter=plain_picture((120, 120, 120))
    )
    with AvSource(clip) as source:
        for frame in source:
            assert frame.image.min() == frame.image.max() == 120
            frame.image[:] = 0


# --- HDR ---


def signal_of(nits: float, transfer: int) -> float:
    """The coded value 0..1 of a grey of so many nits (ITU-R BT.2100, forward direction)."""
    if transfer == TRANSFER_PQ:
        power = (nits / 10_000) ** (2610 / 16384)
        return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    scene = (nits / 1000) ** (1 / 1.2)
    return (3 * scene) ** 0.5 if scene <= 1 / 12 else 0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073


@pytest.mark.parametrize("transfer", [TRANSFER_PQ, TRANSFER_HLG])
def test_hdr_below_the_shoulder_keeps_its_brightness(transfer: int) -> None:
    table = hdr_to_sdr_table(transfer)
    for nits in (5, 20, 50, 100, 120):
        # What an SDR screen of gamma 2.4 needs to show the same share of reference white.
        wanted = 255 * (nits / 203) ** (1 / 2.4)
        # One step of the 8-bit input is up to five steps of the output.
        assert table[round(255 * signal_of(nits, transfer))] == pytest.approx(wanted, abs=4)


@pytest.mark.parametrize("transfer", [TRANSFER_PQ, TRANSFER_HLG])
def test_hdr_highlights_keep_their_order_and_do_not_clip_at_reference_white(transfer: int) -> None:
    table = hdr_to_sdr_table(transfer).astype(int)
    assert table[0] == 0
    assert np.all(np.diff(table) >= 0)
    white = table[round(255 * signal_of(203, transfer))]
    bright = table[round(255 * signal_of(400, transfer))]
    assert 228 <= white <= 242
    assert white < bright <= 255
    assert table[255] == 255


@pytest.mark.parametrize(
    ("codec", "transfer", "name"), [("libx265", 16, "PQ"), ("libx265", 18, "HLG"), ("libx264", 16, "PQ")]
)
def test_a_tagged_hdr_clip_is_mapped_and_says_so(tmp_path: Path, codec: str, transfer: int, name: str) -> None:
    level = round(255 * signal_of(203, transfer))
    clip = make_clip(
        tmp_path / "clip.mp4",
        codec=codec,
        pix_fmt="yuv420p10le",
        frames=2,
        painter=plain_picture((level, level, level)),
        colorspace=BT2020,
        color_range=LIMITED,
        color_trc=transfer,
        color_primaries=9,
    )
    with AvSource(clip) as source:
        assert len(source.info.notes) == 1
        assert source.info.notes[0].startswith(f"HDR ({name}, 10 bit) mapped to 8-bit SDR")
        image = next(iter(source)).image
    assert 225 <= image.min() <= image.max() <= 242
    assert np.ptp(image.astype(int), axis=2).max() <= 4


def test_bt2020_colours_regain_their_strength(tmp_path: Path) -> None:
    # BT.709 red at reference white: its linear BT.2020 values (ITU-R BT.2087), coded with gamma 2.4.
    coded = tuple(round(255 * value ** (1 / 2.4)) for value in (0.6274, 0.0691, 0.0164))
    frame = encoded(coded, BT2020, LIMITED, "yuv444p")
    frame.color_primaries, frame.color_trc = 9, 14
    converter = RgbConverter(frame)
    red, green, blue = converter.convert(frame)[8, 32].astype(int)
    assert red >= 250
    assert green <= coded[1] - 15
    assert blue <= coded[2]
    assert converter.notes == ("wide colours (BT.2020) converted to BT.709, approximately",)


# --- orientation ---


@pytest.mark.parametrize(("transpose", "flip_x", "flip_y"), list(product([False, True], repeat=3)))
def test_orientation_moves_every_pixel_as_the_definition_says(transpose: bool, flip_x: bool, flip_y: bool) -> None:
    image = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)
    upright = Orientation(transpose, flip_x, flip_y).apply(image)
    rows = [[image[y, x] for x in range(5)] for y in range(3)]
    if transpose:
        rows = [list(column) for column in zip(*rows, strict=True)]
    if flip_x:
        rows = [row[::-1] for row in rows]
    if flip_y:
        rows = rows[::-1]
    np.testing.assert_array_equal(upright, np.array(rows))
    assert upright.flags.c_contiguous


def test_an_angle_that_is_not_a_quarter_turn_is_left_alone(tmp_path: Path) -> None:
    with AvSource(make_clip(tmp_path / "clip.mp4", rotation=45, frames=2)) as source:
        assert (source.info.width, source.info.height) == (64, 48)
        assert [read_counter(frame.image) for frame in source] == [0, 1]


def test_a_frame_of_another_shape_is_fitted_with_its_proportions_kept():
    converter = RgbConverter(encoded((255, 255, 255), BT601, LIMITED, "yuv420p", size=(64, 48)))
    wide = encoded((255, 255, 255), BT601, LIMITED, "yuv420p", size=(128, 32))
    picture = converter.convert(wide)
    assert picture.shape == (48, 64, 3) and not converter.fits(wide)
    assert (picture[16:32] > 250).all() and (picture[:16] == 0).all() and (picture[32:] == 0).all()
    larger = encoded((255, 255, 255), BT601, LIMITED, "yuv420p", size=(128, 96))
    assert (converter.convert(larger) > 250).all(), "the same shape fills it"
