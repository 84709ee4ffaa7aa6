"""Photos of phones: tiles, auxiliary pictures, crops, rotations and mirrors."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.sources.heif_files import box, heif_bytes, tiles_of
from vidseg.errors import SourceError
from vidseg.frames import UInt8Array
from vidseg.sources.factory import open_source
from vidseg.sources.heif import is_heif, read_heif
from vidseg.sources.image_source import ImageSource

PICTURES = Path(__file__).parent / "pictures"


def photo(height: int = 100, width: int = 160) -> UInt8Array:
    """Smooth, with no symmetry."""
    down, right = np.mgrid[:height, :width]
    channels = (255 * right / width, 255 * down / height, 127 + 100 * np.sin((right + 2 * down) / 40))
    return np.rint(np.stack(channels, axis=2)).astype(np.uint8)


def assert_same(found: UInt8Array, expected: UInt8Array) -> None:
    assert found.shape == expected.shape and found.flags.c_contiguous
    assert np.abs(found.astype(int) - expected).max() <= 4


def crop(wide: int, high: int, right: int, down: int) -> bytes:
    return box(b"clap", struct.pack(">IIIIiIiI", wide, 1, high, 1, right, 1, down, 1))


@pytest.fixture(scope="module")
def phone() -> bytes:
    """Tiles of 64, an auxiliary picture in front of them, to be turned."""
    grid = (3, 2, 160, 100)
    grey = np.full((64, 64, 3), 128, np.uint8)
    return heif_bytes(tiles_of(photo(), 64), grid=grid, transforms=(box(b"irot", b"\1"),), auxiliary=grey)


def test_a_photo_of_tiles_is_whole_and_upright_and_no_auxiliary_picture(phone: bytes, tmp_path: Path) -> None:
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(phone)
    with open_source(str(path)) as source:
        (frame,) = source
        assert (source.info.width, source.info.height, source.info.still) == (100, 160, True)
    assert_same(frame.image, np.rot90(photo()))


@pytest.mark.parametrize(
    ("transforms", "expected"),
    [
        ((), lambda image: image),
        ((box(b"imir", b"\0"),), lambda image: image[::-1]),
        ((box(b"imir", b"\1"),), lambda image: image[:, ::-1]),
        ((box(b"irot", b"\3"), box(b"imir", b"\0")), lambda image: np.rot90(image, 3)[::-1]),
        ((box(b"imir", b"\0"), box(b"irot", b"\1")), lambda image: np.rot90(image[::-1], 1)),
        ((crop(100, 50, 10, -5), box(b"irot", b"\2")), lambda image: np.rot90(image[20:70, 40:140], 2)),
    ],
)
def test_transforms_are_done_in_the_order_of_the_file(transforms, expected) -> None:
    image, notes = read_heif(heif_bytes([photo()], transforms=transforms))
    assert_same(image, expected(photo()))
    assert notes == ()


def test_avif_pictures_that_are_turned_and_mirrored_show_one_landscape() -> None:
    found = {}
    for path in sorted(PICTURES.glob("*.avif")):
        with ImageSource(path) as source:
            (frame,) = source
        found[path.stem] = frame.image
    assert len(found) == 5 and {image.shape for image in found.values()} == {(427, 640, 3)}
    first = found.pop("rot0mir0").astype(int)
    assert first[:40].mean(axis=(0, 1))[2] > first[-40:].mean(axis=(0, 1))[2] + 100  # the sky is above
    for name, image in found.items():
        assert np.abs(image - first).mean() < 12, name  # they differ in the words that are written on them
    # the colours are those that another library reads
    stored = cv2.imread(str(PICTURES / "rot0mir0.avif"))
    assert np.abs(first - stored[::-1, :, ::-1]).mean() < 1.5


@pytest.mark.parametrize("depth", [8, 10])
def test_avif_of_any_depth_has_the_colours_that_went_in(tmp_path: Path, depth: int) -> None:
    image = photo() if depth == 8 else (photo().astype(np.uint16) << 2)
    path = tmp_path / "a.avif"
    assert cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_AVIF_DEPTH, depth, cv2.IMWRITE_AVIF_QUALITY, 95])
    with ImageSource(path) as source:
        (frame,) = source
        assert source.info.notes == (("10-bit colour reduced to 8 bits",) if depth == 10 else ())
    assert np.abs(frame.image.astype(int) - photo()).mean() < 2


def test_what_is_damaged_or_unknown_is_one_line(phone: bytes, tmp_path: Path) -> None:
    tiles = tiles_of(photo(), 64)
    bad = {
        "cut": phone[: len(phone) // 2],
        "head": phone[:200],
        "no main picture": phone.replace(b"pitm", b"pitX"),
        "overlay": phone.replace(b"grid", b"iovl"),
        "unknown codec": phone.replace(b"hvc1", b"xyz1"),
        "too few tiles": heif_bytes(tiles[:5], grid=(3, 2, 160, 100)),
        "tiles too small": heif_bytes(tiles, grid=(3, 2, 400, 100)),
        "of itself": heif_bytes(tiles[:1], grid=(1, 1, 64, 64)).replace(
            b"dimg" + struct.pack(">HHH", 2, 1, 1), b"dimg" + struct.pack(">HHH", 2, 1, 2)
        ),
        "huge": heif_bytes(tiles[:1], grid=(1, 1, 0, 0), content=struct.pack(">BBBBII", 0, 1, 0, 0, 2**31, 2**31)),
        "crop outside": heif_bytes(tiles[:1], transforms=(crop(10, 10, 500, 0),)),
    }
    for name, data in bad.items():
        assert is_heif(data), name
        with pytest.raises(ValueError):
            read_heif(data)
            pytest.fail(name)
    path = tmp_path / "a.heic"
    path.write_bytes(bad["cut"])
    with pytest.raises(SourceError, match=r"a\.heic: cannot decode this image") as caught:
        ImageSource(path)
    assert "\n" not in str(caught.value)
