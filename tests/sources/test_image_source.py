"""Images as frames: order, kinds, orientation, unreadable ones."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.video.clips import CORNERS, corner_picture, plain_picture
from vidseg.errors import ConfigError, SourceError
from vidseg.sources.image_source import ImageSource, natural_key


def save(path: Path, rgb: np.ndarray) -> Path:
    """Write an RGB picture."""
    good, data = cv2.imencode(path.suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    assert good
    path.write_bytes(data.tobytes())
    return path


def grey(level: int, size: tuple[int, int] = (20, 12)) -> np.ndarray:
    return plain_picture((level, level, level))(0, *size)


def levels(source: ImageSource) -> list[int]:
    """Mean level of every frame."""
    return [round(float(frame.image.mean())) for frame in source]


def test_a_folder_is_read_in_natural_order_without_what_is_below_or_hidden(tmp_path: Path) -> None:
    for name, level in {"img10.png": 100, "img2.png": 20, "IMG1.PNG": 10, "b.jpg": 5, ".hidden.png": 200}.items():
        save(tmp_path / name, grey(level)) if name != "IMG1.PNG" else (tmp_path / name).write_bytes(
            save(tmp_path / "x.png", grey(level)).read_bytes()
        )
    (tmp_path / "x.png").unlink()
    (tmp_path / "below").mkdir()
    save(tmp_path / "below" / "c.png", grey(250))
    (tmp_path / "notes.txt").write_text("not an image")
    with ImageSource(tmp_path) as source:
        frames = list(source)
        assert source.info.frame_count == 4
    assert [frame.name for frame in frames] == ["b", "IMG1", "img2", "img10"]
    assert [round(float(frame.image.mean())) for frame in frames] == [5, 10, 20, 100]


def test_natural_order_takes_digits_as_numbers() -> None:
    names = ["a10b2", "a2b10", "a2b9", "a02b1", "a", "1", "10", "9", "A3"]
    ordered = sorted((Path(name) for name in names), key=natural_key)
    assert [path.name for path in ordered] == ["1", "9", "10", "a", "a02b1", "a2b9", "a2b10", "A3", "a10b2"]


def test_times_follow_the_frame_rate_asked_for(tmp_path: Path) -> None:
    for index in range(3):
        save(tmp_path / f"{index}.png", grey(index))
    with ImageSource(tmp_path, frame_rate=Fraction(30_000, 1001)) as source:
        assert source.info.still
        assert source.info.frame_rate == Fraction(30_000, 1001)
        assert [frame.pts * frame.time_base for frame in source] == [Fraction(i * 1001, 30_000) for i in range(3)]


def test_an_impossible_frame_rate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="frame rate of images is 0"):
        ImageSource(tmp_path, frame_rate=0)


def test_pictures_keep_their_own_sizes(tmp_path: Path) -> None:
    save(tmp_path / "a.png", grey(1, (20, 12)))
    save(tmp_path / "b.png", grey(2, (7, 31)))
    with ImageSource(tmp_path) as source:
        assert (source.info.width, source.info.height) == (20, 12)
        assert [frame.size_hw for frame in source] == [(12, 20), (31, 7)]


@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "webp", "tif", "ppm"])
def test_common_kinds_are_read_in_rgb_order(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / f"x.{ending}", plain_picture((220, 30, 60))(0, 32, 32))
    with ImageSource(path) as source:
        (frame,) = source
    np.testing.assert_allclose(frame.image.reshape(-1, 3).mean(axis=0), (220, 30, 60), atol=4)
    assert frame.name == "x"


def test_grey_alpha_and_16_bit_become_8_bit_rgb(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1grey.png"), np.full((8, 9), 77, np.uint8))
    cv2.imwrite(str(tmp_path / "2alpha.png"), np.full((8, 9, 4), (10, 20, 200, 0), np.uint8))
    cv2.imwrite(str(tmp_path / "3deep.png"), np.full((8, 9, 3), 100 * 257, np.uint16))
    cv2.imwrite(str(tmp_path / "4deepgrey.tif"), np.full((8, 9), 50 * 257, np.uint16))
    with ImageSource(tmp_path) as source:
        colours = [frame.image[4, 4].tolist() for frame in source]
    assert colours == [[77] * 3, [200, 20, 10], [100] * 3, [50] * 3]


RAMP = np.linspace(0, 1, 20 * 30).reshape(20, 30)


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("a.tif", (RAMP * 4095).astype(np.uint16), "16-bit samples that use 12 bits: white is 4095"),
        ("a.png", (RAMP * 1023).astype(np.uint16), "16-bit samples that use 10 bits: white is 1023"),
        ("a.tif", (RAMP * 16383).astype(np.uint16), "16-bit samples that use 14 bits: white is 16383"),
        ("a.tif", (RAMP * 65535).astype(np.uint16), None),
        ("a.tif", RAMP.astype(np.float32), "float32 samples: black is 0, white is 1"),
        ("a.tif", (RAMP * 3000 - 500).astype(np.float64), "float64 samples: black is -500, white is 2500"),
        ("a.tif", np.dstack([RAMP.astype(np.float32)] * 3), "float32 samples: black is 0, white is 1"),
        ("a.tif", (RAMP * 4000 - 1000).astype(np.int16), "int16 samples: black is -1000, white is 3000"),
        ("a.pgm", b"P5\n# of a camera\n30 20\n4095\n" + (RAMP * 4095).astype(">u2").tobytes(), None),
        ("a.pgm", b"P5 30 20 100\n" + (RAMP * 100).astype(np.uint8).tobytes(), None),
    ],
)
def test_samples_are_scaled_by_the_range_that_they_use_and_it_is_told(
    tmp_path: Path, name: str, content: np.ndarray | bytes, note: str | None
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        assert cv2.imwrite(str(tmp_path / name), content)
    with ImageSource(tmp_path / name) as source:
        assert source.info.notes == (() if note is None else (note,))
        (frame,) = source
    assert frame.image.shape == (20, 30, 3) and frame.image.dtype == np.uint8
    assert np.abs(frame.image - 255 * RAMP[..., None]).max() < 3


def test_pictures_of_one_source_are_scaled_alike(tmp_path: Path) -> None:
    (tmp_path / "floats").mkdir()
    for number, top in enumerate((4095, 500, 4000)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((4, 6), top, np.uint16))
        floats = (RAMP * top).astype(np.float32)
        floats[0, 0] = np.nan
        cv2.imwrite(str(tmp_path / "floats" / f"{number}.tif"), floats)
    with ImageSource(tmp_path) as source:
        assert levels(source) == [255, 31, 250]
    with ImageSource(tmp_path / "floats") as source:
        assert [int(frame.image.max()) for frame in source] == [255, 31, 249]


def test_a_black_picture_of_deep_samples_stays_black(tmp_path: Path) -> None:
    for name, dtype in (("a.png", np.uint16), ("b.tif", np.float32), ("c.tif", np.int16)):
        cv2.imwrite(str(tmp_path / name), np.zeros((4, 6), dtype))
        with ImageSource(tmp_path / name) as source:
            assert levels(source) == [0]


def test_other_files_are_told_and_hidden_ones_are_not(tmp_path: Path) -> None:
    save(tmp_path / "a.png", grey(1))
    for name in ("._a.png", "._b.jpg", ".DS_Store"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    with ImageSource(tmp_path) as source:
        assert source.info.notes == () and source.info.frame_count == 1
        assert len(list(source)) == 1 and source.counters == {}
    for name in ("b.CR2", "c.cr2", "README"):
        (tmp_path / name).write_text("x")
    note = "left out: 3 files not known as images (.cr2, no ending)"
    for spec in (tmp_path, tmp_path / "*"):
        with ImageSource(spec) as source:
            assert source.info.notes == (note,)
    with ImageSource(tmp_path / "[ab].*") as source:
        assert source.info.notes == ("left out: 1 file not known as images (.cr2)",)


def test_a_photo_is_turned_as_its_exif_data_says(tmp_path: Path) -> None:
    good, data = cv2.imencode(".jpg", cv2.cvtColor(corner_picture(0, 64, 48), cv2.COLOR_RGB2BGR))
    assert good
    # One entry: tag 0x0112 (orientation), type short, count 1, value 6: to be turned clockwise by 90 degrees.
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    jpeg = data.tobytes()
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
    with ImageSource(path) as source:
        assert (source.info.width, source.info.height) == (48, 64)
        (frame,) = source
    np.testing.assert_allclose(frame.image[16, 36], CORNERS["top_left"], atol=12)
    np.testing.assert_allclose(frame.image[48, 36], CORNERS["top_right"], atol=12)


def test_unreadable_images_among_others_are_left_out_and_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "2.png", grey(20))
    save(tmp_path / "4.png", grey(40))
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "3.jpg").write_bytes(b"\xff\xd8\xff garbage")
    (tmp_path / "5.png").write_bytes((tmp_path / "4.png").read_bytes()[:20])
    with ImageSource(tmp_path) as source:
        frames = list(source)
    assert [(frame.index, frame.pts, frame.name) for frame in frames] == [(0, 0, "2"), (1, 1, "4")]
    assert source.counters == {"unreadable_images": 3}
    assert capfd.readouterr() == ("", "")


def test_if_no_image_can_be_read_that_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(SourceError, match=r"a\.png: cannot decode this image"):
        ImageSource(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"nothing")
    with pytest.raises(SourceError, match="cannot decode any of these 2 images"):
        ImageSource(tmp_path)


def test_globs_take_images_only(tmp_path: Path) -> None:
    for index in (1, 2, 10):
        save(tmp_path / f"in{index}.png", grey(index))
    save(tmp_path / "out.png", grey(99))
    (tmp_path / "in.txt").write_text("text")
    with ImageSource(str(tmp_path / "in*")) as source:
        assert levels(source) == [1, 2, 10]
    with ImageSource(str(tmp_path / "in?.png")) as source:
        assert levels(source) == [1, 2]


def test_a_name_with_glob_characters_that_exists_is_a_file(tmp_path: Path) -> None:
    save(tmp_path / "a[1].png", grey(7))
    with ImageSource(str(tmp_path / "a[1].png")) as source:
        assert levels(source) == [7]


def test_a_name_that_opencv_could_not_open_is_read(tmp_path: Path) -> None:
    save(tmp_path / "größe\n動.png", grey(9))
    with ImageSource(tmp_path) as source:
        assert [frame.name for frame in source] == ["größe\n動"]


def test_where_there_are_no_images_the_error_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(SourceError, match="no images in this folder; known: avif bmp"):
        ImageSource(tmp_path)
    with pytest.raises(SourceError, match="no image among the 1 matches"):
        ImageSource(str(tmp_path / "*.txt"))
    with pytest.raises(SourceError, match="nothing matches this pattern"):
        ImageSource(str(tmp_path / "*.png"))
    with pytest.raises(SourceError, match="no such file or folder"):
        ImageSource(tmp_path / "a.png")
