"""`--size`, `--fps`, `--crop`, `--rotate`, `--mirror`, GIF and WebP as a user sees them."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import vidseg
from tests.cli.test_run import SMALL, assert_one_line_error, pictures, video_pts
from tests.video.clips import make_clip, read_counter
from vidseg.config import OPTIONS, RunConfig
from vidseg.sources.factory import open_source
from vidseg.wiring.output_shape import without_unseen_frames

PLAIN = ("--opacity", 0, "--crf", 4)


def quarters(index: int, width: int, height: int) -> np.ndarray:
    """Red, green; blue, white."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (220, 20, 20)
    picture[: height // 2, width // 2 :] = (20, 220, 20)
    picture[height // 2 :, : width // 2] = (20, 20, 220)
    picture[height // 2 :, width // 2 :] = 220
    return picture


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 frames of 640x400 at 25 fps."""
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", size=(640, 400), frames=20)


@pytest.fixture(scope="module")
def square(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 frames of 96x64, each quarter in a colour of its own."""
    return make_clip(tmp_path_factory.mktemp("square") / "square.mp4", size=(96, 64), frames=4, painter=quarters)


def size_of(path: str) -> tuple[int, int]:
    height, width = pictures(path)[0].shape[:2]
    return width, height


@pytest.mark.parametrize(
    ("flags", "size"),
    [
        (("--size", "320"), (320, 200)),
        (("--size", "300x100"), (160, 100)),
        (("--size", "25%"), (160, 100)),
        (("--size", 1280), (640, 400)),
        (("--size", 1280, "--enlarge"), (1280, 800)),
        (("--size", 320, "--view", "side"), (320, 100)),
    ],
)
def test_the_output_has_the_size_asked_for_and_masks_that_of_the_source(cli, film, flags, size):
    result = cli("run", film, "-o", "out.mp4", "--save-masks", "masks/", "--limit", 2, *flags, *SMALL)
    assert result.code == 0, result.err
    assert size_of("out.mp4") == size
    assert cv2.imread("masks/000000.png", 0).shape == (400, 640)


@pytest.mark.parametrize("ending", ["gif", "webp"])
@pytest.mark.parametrize(
    ("flags", "size", "count"),
    [
        ((), (480, 300), 12),
        (("test:640x400@25,frames=20", "--grid", "--stride", 9), (480, 160), 12),
        (("--size", 160, "--fps", 5), (160, 100), 4),
        (("--size", "100%", "--max-fps", 25), (640, 400), 20),
    ],
)
def test_animations_are_small_unless_told_otherwise(cli, film, ending, flags, size, count):
    result = cli("run", film, "-o", f"out.{ending}", *flags, *SMALL)
    assert result.code == 0, result.err
    with open_source(f"out.{ending}") as made:
        assert (made.info.width, made.info.height) == size
        assert len(list(made)) == count


def test_frames_that_nothing_takes_are_not_segmented_and_others_are(cli, film):
    for name, more in (("alone", ()), ("beside", ("--save-csv", "shares.csv"))):
        assert cli("run", film, "-o", f"{name}.mp4", "--fps", 5, "--stats", f"{name}.json", *more, *SMALL).code == 0
        assert video_pts(f"{name}.mp4") == pytest.approx([0, 0.2, 0.4, 0.6])
    assert json.loads(Path("alone.json").read_text())["inferred"] == 4
    assert len(Path("shares.csv").read_text().splitlines()) == 21
    for name in ("limit", *(name for name in OPTIONS if name.startswith("save_"))):
        config = RunConfig(source="film.mp4", output="out.gif", **{name: 5 if name == "limit" else "file"})
        assert without_unseen_frames(config) == config, name


def test_a_constant_rate_above_that_of_the_source_repeats_frames_and_says_so(cli, film):
    result = cli("run", film, "-o", "out.mp4", "--fps", 50, "--limit", 4, *PLAIN, *SMALL)
    assert "at 50 frames per second: 4 repeated" in result.err
    assert [read_counter(picture) for picture in pictures("out.mp4")] == [0, 0, 1, 1, 2, 2, 3, 3]
    with av.open("out.mp4") as container:
        assert container.streams.video[0].average_rate == 50


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (("--save-masks", "m/", "--size", 320), ["--size", "-o FILE", "--imgsz"]),
        (("--save-masks", "m/", "--fps", 5), ["--fps", "-o FILE", "--max-fps"]),
        (("-o", "out.mp4", "--enlarge"), ["--enlarge", "--size"]),
        (("-o", "out.mp4", "--size", "big"), ["--size", "640x360", "50%"]),
        (("-o", "out.mp4", "--size", "0%"), ["--size", "640x360", "50%"]),
        (("-o", "out.mp4", "--fps", 5, "--resume"), ["--fps", "--resume"]),
        (("-o", "out.mp4", "--fps", 5, "--workers", 2), ["--fps", "--workers"]),
        (("-o", "out.mp4", "--crop", "640x401+0+0"), ["film.mp4", "640x400", "WIDTHxHEIGHT+LEFT+TOP"]),
        (("-o", "out.mp4", "--crop", "640x400"), ["--crop", "640x360+0+120"]),
        (("-o", "out.mp4", "--rotate", 45), ["--rotate", "90, 180 or 270"]),
    ],
)
def test_what_cannot_be_is_told_in_one_line(cli, film, words, texts):
    assert_one_line_error(cli("run", film, *words, *SMALL), *texts)


def corners(picture: np.ndarray) -> list[str]:
    """The colours at the corners, clockwise from the top left."""
    height, width = picture.shape[:2]
    names = {(True, False, False): "r", (False, True, False): "g", (False, False, True): "b", (True, True, True): "w"}
    at = [(4, 4), (4, width - 5), (height - 5, width - 5), (height - 5, 4)]
    return [names[tuple(bool(value > 128) for value in picture[y, x])] for y, x in at]


@pytest.mark.parametrize(
    ("flags", "size", "seen"),
    [
        (("--rotate", 90), (64, 96), "brgw"),
        (("--rotate", 180), (96, 64), "wbrg"),
        (("--rotate", 270), (64, 96), "gwbr"),
        (("--mirror",), (96, 64), "grbw"),
        (("--rotate", 90, "--mirror"), (64, 96), "rbwg"),
        (("--crop", "48x64+48+0"), (48, 64), "ggww"),
        (("--crop", "48x32+48+32", "--rotate", 90), (32, 48), "wwww"),
    ],
)
def test_pictures_are_cropped_turned_and_mirrored_before_the_network(cli, square, flags, size, seen):
    result = cli("run", square, "-o", "out.mp4", "--save-masks", "masks.mkv", *flags, *PLAIN, *SMALL)
    assert result.code == 0, result.err
    assert "".join(corners(pictures("out.mp4")[0])) == seen
    assert size_of("out.mp4") == size_of("masks.mkv") == size
    again = cli("render", square, "masks.mkv", "-o", "again.mp4", *flags, *PLAIN)
    assert again.code == 0 and "".join(corners(pictures("again.mp4")[0])) == seen


def test_a_run_in_chunks_changes_pictures_as_one_pass_does(cli, square):
    words = ("--crop", "80x48+8+8", "--rotate", 90, "--size", "50%", "--crf", 4, *SMALL)
    for name, more in (("plain", ()), ("kept", ("--resume", "--segment-seconds", 0.08))):
        result = cli("run", square, "-o", f"{name}.mp4", "--save-masks", name, *more, *words)
        assert result.code == 0, result.err
    assert size_of("plain.mp4") == (24, 40)
    for one, two in zip(pictures("plain.mp4"), pictures("kept.mp4"), strict=True):
        assert np.abs(one.astype(int) - two).mean() < 2, "but for where the key frames are"
    assert Path("plain/000003.png").read_bytes() == Path("kept/000003.png").read_bytes()


def test_python_turns_pictures_too(square):
    found = next(vidseg.segment(square, imgsz=64, threads=1, crop="96x32+0+32", rotate=90, mirror=True))
    assert found.image.shape == (96, 32, 3) and found.label_map.shape == (96, 32)
    assert "".join(corners(found.image)) == "bbww"


def test_photos_of_several_sizes_are_each_scaled_and_cropped(cli, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, size in (("a", (60, 80)), ("b", (40, 120))):
        cv2.imwrite(str(photos / f"{name}.png"), np.full((*size, 3), 90, np.uint8))
    result = cli("run", photos, "-o", "out/", "--crop", "40x50+20+0", "--size", "50%", *SMALL)
    assert result.code == 0, result.err
    assert [cv2.imread(f"out/{name}.png").shape[:2] for name in "ab"] == [(24, 20), (20, 20)]
    assert_one_line_error(cli("run", photos, "-o", "more/", "--fps", 5, *SMALL), "--fps is for videos")


def test_images_become_a_video_of_the_rate_that_is_asked_for(cli, tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(4):
        cv2.imwrite(str(tmp_path / "photos" / f"{number}.png"), np.full((48, 64, 3), 50 * number, np.uint8))
    result = cli("run", "photos", "-o", "out.mp4", "--fps", 2, "--opacity", 0, "--save-csv", "s.csv", *SMALL)
    assert result.code == 0, result.err
    with av.open("out.mp4") as container:
        assert [frame.time for frame in container.decode(video=0)] == [0, 0.5, 1, 1.5]
    assert [picture.mean() for picture in pictures("out.mp4")] == pytest.approx([0, 50, 100, 150], abs=3)
    for name, rate, times in (("slow.mp4", 0.0004, [0, 2500, 5000, 7500]), ("list.m3u8", 2, [0, 0.5, 1, 1.5])):
        result = cli("run", "photos", "-o", name, "--fps", rate, *SMALL)
        assert result.code == 0, result.err
        with av.open(name) as container:
            found = [frame.time for frame in container.decode(video=0)]
        assert [time - found[0] for time in found] == pytest.approx(times)
    assert [line.split(",")[2] for line in Path("s.csv").read_text().splitlines()[1:]] == ["0.0", "0.5", "1.0", "1.5"]
