from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.render.scenes import CAR, PERSON, SKY, noise, segmentation
from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, UInt8Array
from vidseg.labels import ade20k
from vidseg.render.background import Background, blurred, covering, parse_background, pasted
from vidseg.render.effects import SourceEffects
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import OverlayRenderer
from vidseg.render.window_state import WindowState
from vidseg.sources.image_source import read_image


def with_a_car(height: int, width: int) -> UInt8Array:
    """Sky, a car in the middle half, nothing said in the first column."""
    label_map = np.full((height, width), SKY, dtype=np.uint8)
    label_map[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4] = CAR
    label_map[:, 0] = NO_LABEL
    return label_map


def drawn(image: UInt8Array, label_map: UInt8Array, background: str) -> UInt8Array:
    options = RenderOptions(opacity=0.0, foreground=(CAR,), background=parse_background(background, read_image))
    return OverlayRenderer(options).render(image, segmentation(label_map))


def inner(label_map: UInt8Array, reach: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Pixels well inside of the foreground and well outside of it."""
    keep = (label_map == CAR).astype(np.uint8)
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return cv2.erode(keep, square) > 0, cv2.dilate(keep, square) == 0


@pytest.mark.parametrize("size", [(96, 128), (481, 333), (16, 16)])
@pytest.mark.parametrize("text", ["blur", "grey", "gray", "#00b140", "0x00B140"])
def test_the_foreground_stays_and_the_rest_changes(text: str, size: tuple[int, int]) -> None:
    image, label_map = noise(*size), with_a_car(*size)
    before = image.copy()
    picture = drawn(image, label_map, text)
    inside, outside = inner(label_map)
    assert np.array_equal(picture[inside], image[inside]) and np.array_equal(image, before)
    assert (picture[outside] != image[outside]).any(axis=1).mean() > 0.97
    assert (picture[:, 0] != image[:, 0]).any(), "what has no label is background"
    if "b140" in text.lower():
        assert (picture[outside] == (0, 0xB1, 0x40)).all()
    if "gr" in text:
        luma = image[outside].astype(float) @ (0.299, 0.587, 0.114)
        assert np.abs(picture[outside] - luma[:, None]).max() <= 1
    if text == "blur":
        assert picture[outside].std() < 0.5 * image[outside].std()


@pytest.mark.parametrize("text", ["blur", "grey", "#000000"])
def test_all_foreground_and_no_foreground(text: str) -> None:
    image = noise(64, 96)
    assert np.array_equal(drawn(image, np.full((64, 96), CAR, dtype=np.uint8), text), image)
    plain = drawn(image, np.full((64, 96), SKY, dtype=np.uint8), text)
    assert (plain != image).any(axis=2).mean() > 0.97


def test_the_edge_fades_between_the_two() -> None:
    keep = np.zeros((480, 480), dtype=np.uint8)
    keep[:, 240:] = 255
    row = pasted(np.full((480, 480, 3), 200, np.uint8), np.zeros((480, 480, 3), np.uint8), keep)[240, :, 0].astype(int)
    assert (np.diff(row) >= 0).all() and row[236] == 0 and row[243] == 200 and 0 < row[239] < row[240] < 200


def test_the_foreground_does_not_glow_into_the_blur() -> None:
    image = np.full((180, 320, 3), 40, dtype=np.uint8)
    keep = np.zeros((180, 320), dtype=np.uint8)
    image[60:120, 120:200], keep[60:120, 120:200] = 250, 255
    assert blurred(image, keep)[keep == 0].max() <= 60
    label_map = np.where(keep > 0, CAR, SKY).astype(np.uint8)
    assert drawn(image, label_map, "blur")[inner(label_map)[1]].max() <= 60


def test_a_picture_covers_the_frame_without_being_stretched(tmp_path: Path) -> None:
    # a circle stays a circle, and the middle stays in the middle
    disc = np.zeros((100, 300, 3), dtype=np.uint8)
    cv2.circle(disc, (150, 50), 30, (255, 128, 0), -1)
    cv2.imwrite(str(tmp_path / "disc.png"), cv2.cvtColor(disc, cv2.COLOR_RGB2BGR))
    picture = drawn(noise(200, 200), np.full((200, 200), SKY, dtype=np.uint8), str(tmp_path / "disc.png"))
    rows, columns = np.nonzero(picture[..., 0] > 128)
    assert abs(np.ptp(rows) - 120) <= 2 and abs(np.ptp(columns) - 120) <= 2
    assert abs(rows.mean() - 99.5) <= 1 and abs(columns.mean() - 99.5) <= 1
    assert tuple(picture[100, 100]) == (255, 128, 0)
    assert covering(disc, (7, 1000)).shape == (7, 1000, 3) and covering(disc, (1000, 7)).shape == (1000, 7, 3)


def test_frames_of_another_size_get_a_background_of_theirs(tmp_path: Path) -> None:
    effects = SourceEffects(
        RenderOptions(background=parse_background("#102030", read_image), foreground=(CAR,)), ade20k()
    )
    for size in ((20, 30), (30, 20), (20, 30)):
        assert effects.apply(noise(*size), with_a_car(*size)).shape == (*size, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("none.jpg", r"--background none\.jpg: cannot be read \(No such file"),
        ("#12345", "cannot be read"),
        ("a\0b", "cannot be read"),
        ("~nobody-of-this-name/a.png", "cannot be read"),
        ("TEXT", "is not a readable image; accepted: blur, grey, a colour"),
        ("EMPTY", "is not a readable image"),
    ],
)
def test_what_is_no_background_is_told_in_one_line(
    text: str, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "TEXT").write_text("this is not a picture")
    (tmp_path / "EMPTY").touch()
    path = tmp_path / text
    with pytest.raises(ConfigError, match=message) as caught:
        parse_background(str(path) if text.isupper() else text, read_image)
    assert "\n" not in str(caught.value) and capfd.readouterr() == ("", "")


def test_a_photo_as_background_is_upright() -> None:
    path = Path(__file__).parents[1] / "sources" / "pictures" / "rot1mir0.avif"  # stored as a portrait
    picture = parse_background(str(path), read_image).picture
    assert picture is not None and picture.shape == (427, 640, 3)


def test_what_is_hidden_is_hidden_in_the_foreground_and_in_the_blur_behind_it() -> None:
    label_map = with_a_car(96, 128)
    label_map[60:90, 90:120] = PERSON
    one = noise(96, 128)
    other = np.where((label_map == PERSON)[..., None], noise(96, 128, seed=5), one)
    options = RenderOptions(
        opacity=0.0,
        blur_classes=(PERSON,),
        blur_style="fill",
        foreground=(CAR, PERSON),
        background=Background("blur"),
    )
    pictures = [OverlayRenderer(options).render(image, segmentation(label_map)) for image in (one, other)]
    assert np.array_equal(*pictures)


def test_the_window_keeps_the_effects_when_its_overlay_is_off() -> None:
    options = RenderOptions(blur_classes=(CAR,), blur_style="fill", blur_margin=3, foreground=(CAR,),
                            background=Background("blur"), legend=True)  # fmt: skip
    state = WindowState(options)
    state.handle_key(ord("m"))
    off = state.effective_options
    assert (off.opacity, off.legend) == (0.0, False)
    for field in ("blur_classes", "blur_style", "blur_margin", "foreground", "background"):
        assert getattr(off, field) == getattr(options, field)
