"""The size that a header says, and that a huge picture is refused before it is decoded."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from vidseg.data.folder import FolderDataset
from vidseg.errors import ConfigError, SourceError
from vidseg.picture_size import MAX_PIXELS, picture_size, too_large
from vidseg.render.background import parse_background
from vidseg.sources.image_source import ImageSource, read_image


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "webp", "tif", "ppm", "avif", "gif"])
@pytest.mark.parametrize("size", [(70, 33), (300, 200)])
def test_the_size_is_read_from_the_header(ending, size):
    done, data = cv2.imencode(f".{ending}", np.zeros((size[1], size[0], 3), np.uint8))
    assert done
    assert picture_size(data.tobytes()) == size


def test_a_lossy_webp_and_a_jpeg_with_much_before_its_size_are_read():
    picture = np.zeros((33, 70, 3), np.uint8)
    assert picture_size(cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, 50])[1].tobytes()) == (70, 33)
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    thumbnail = b"\xff\xe1" + struct.pack(">H", 60_002) + jpeg.ljust(60_000, b"\0")
    assert picture_size(jpeg[:2] + thumbnail + jpeg[2:]) == (70, 33)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0\xff\xff\xff\xff", b"text", b"BM"])
def test_a_header_that_is_cut_off_says_nothing(data):
    assert picture_size(data) is None and too_large(data) is None


def huge_png() -> bytes:
    """A header of 20000x20000, and a picture of 8x8."""
    data = bytearray(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    data[16:24] = struct.pack(">II", 20_000, 20_000)
    return bytes(data)


@pytest.fixture
def _nothing_is_decoded(monkeypatch):
    for name in ("imread", "imdecode"):
        monkeypatch.setattr(cv2, name, lambda *_: pytest.fail("was decoded"))


@pytest.mark.usefixtures("_nothing_is_decoded")
def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "images" / "huge.png"
    path.parent.mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "huge.png").write_bytes(huge_png())
    path.write_bytes(huge_png())
    said = r"20000x20000 pixels, 400 megapixels; at most 200 are read; make it smaller"
    with pytest.raises(SourceError, match=f"{said}, or give --max-pixels"):
        ImageSource(path)
    with pytest.raises(ConfigError, match=said):
        parse_background(str(path), read_image)
    with pytest.raises(ConfigError, match=f"images/huge.png: {said}, or give --max-pixels"):
        FolderDataset(tmp_path)[0]
    path.write_bytes(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    with pytest.raises(ConfigError, match=f"labels/huge.png: {said}"):
        FolderDataset(tmp_path)[0]


def test_the_limit_can_be_lifted():
    assert too_large(huge_png(), 20_000 * 20_000) is None and too_large(huge_png(), MAX_PIXELS) is not None
