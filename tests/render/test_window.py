"""The window's own logic, with OpenCV's window calls replaced."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.render.scenes import CAR, noise, segmentation, street
from vidseg.frames import UInt8Array
from vidseg.render import window as window_module
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import OverlayRenderer
from vidseg.render.window import Window
from vidseg.render.window_state import MESSAGE_SECONDS, Action, WindowStatus

STATUS = WindowStatus(fps=30.0, frame_index=5)
IMAGE, LABEL_MAP = noise(480, 640), street(480, 640)


class FakeScreen:
    """Stands for the window system: pictures shown, keys to come."""

    def __init__(self) -> None:
        self.shown: list[UInt8Array] = []
        self.keys: deque[int] = deque()
        self.waits: list[int] = []
        self.visible = True
        self.opened = 0
        self.destroyed = 0
        self.sizes: list[tuple[int, int]] = []
        self.fullscreen: list[bool] = []
        self.picture_rect = (5, 5, 640, 480)
        self.titles: list[str] = []
        self.now = 10.0

    def clock(self) -> float:
        return self.now

    def press(self, *keys: str) -> None:
        self.keys.extend(ord(key) for key in keys)

    def wait_key(self, milliseconds: int) -> int:
        self.waits.append(milliseconds)
        return self.keys.popleft() if self.keys else -1

    def open(self, *_: object) -> None:
        self.opened += 1

    def destroy(self, _: str) -> None:
        self.visible = False
        self.destroyed += 1


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> FakeScreen:
    fake = FakeScreen()
    monkeypatch.setattr(window_module, "find_display", lambda: (1280, 800))
    monkeypatch.setattr(cv2, "namedWindow", fake.open)
    monkeypatch.setattr(cv2, "imshow", lambda _, picture: fake.shown.append(picture[:, :, ::-1].copy()))
    monkeypatch.setattr(cv2, "waitKeyEx", fake.wait_key)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1.0 if fake.visible else -1.0)
    monkeypatch.setattr(cv2, "setWindowProperty", lambda _, __, mode: fake.fullscreen.append(bool(mode)))
    monkeypatch.setattr(cv2, "resizeWindow", lambda _, width, height: fake.sizes.append((width, height)))
    monkeypatch.setattr(cv2, "getWindowImageRect", lambda _: fake.picture_rect)
    monkeypatch.setattr(cv2, "setWindowTitle", lambda _, title: fake.titles.append(title))
    monkeypatch.setattr(cv2, "destroyWindow", fake.destroy)
    monkeypatch.setenv("QT_LOGGING_RULES", "")
    return fake


def rendered(options: RenderOptions) -> UInt8Array:
    return OverlayRenderer(options).render(IMAGE, segmentation(LABEL_MAP))


def window_with_a_frame(screen: FakeScreen, options: RenderOptions | None = None, folder: Path | None = None) -> Window:
    window = Window("vidseg", options or RenderOptions(), screenshot_folder=folder, clock=screen.clock)
    window.show(IMAGE, segmentation(LABEL_MAP), STATUS)
    return window


def test_shows_the_rendered_picture(screen: FakeScreen) -> None:
    window = window_with_a_frame(screen, RenderOptions(contours=True))
    assert np.array_equal(screen.shown[-1], rendered(RenderOptions(contours=True)))
    assert window.poll(15) == [] and screen.waits == [15]
    assert len(screen.shown) == 1 and screen.opened == 1


def test_a_key_changes_the_picture_while_nothing_new_comes(screen: FakeScreen) -> None:
    window = window_with_a_frame(screen)
    screen.press(" ", "\t")
    assert window.poll(15) == [Action.TOGGLE_PAUSE] and window.paused
    lower = slice(200, None)  # below the message
    assert np.array_equal(screen.shown[-1][lower], rendered(RenderOptions(view="mask"))[lower])
    assert not np.array_equal(screen.shown[-1], rendered(RenderOptions(view="mask")))


def test_the_message_goes_away_by_itself(screen: FakeScreen) -> None:
    window = window_with_a_frame(screen)
    screen.press("+")
    window.poll(1)
    assert not np.array_equal(screen.shown[-1], rendered(RenderOptions(opacity=0.6)))
    screen.now += MESSAGE_SECONDS
    assert window.poll(1) == []
    assert np.array_equal(screen.shown[-1], rendered(RenderOptions(opacity=0.6)))


def test_the_title_changes_a_few_times_after_the_start_and_ends_as_given(screen: FakeScreen) -> None:
    window = window_with_a_frame(screen)
    for _ in range(50):
        window.poll(1)
        screen.now += 0.1
    assert 1 < len(screen.titles) < 15 and screen.titles[0] != screen.titles[1]
    assert screen.titles[-1] == "vidseg" and {title.strip() for title in screen.titles} == {"vidseg"}
    assert len(screen.shown) == 1


def test_figures_and_help_are_drawn_over_the_picture(screen: FakeScreen) -> None:
    window = window_with_a_frame(screen)
    screen.press("i")
    window.poll(1)
    figures = (screen.shown[-1] != rendered(RenderOptions())).any(axis=2)
    screen.press("?")
    window.poll(1)
    both = (screen.shown[-1] != rendered(RenderOptions())).any(axis=2)
    assert figures.sum() > 1000 and both.sum() > figures.sum() + 10000


def test_keys_that_wait_are_read_in_one_poll_and_in_order(screen: FakeScreen) -> None:
    window = window_with_a_frame(screen)
    screen.press(".", "x", " ", "q")
    assert window.poll(1) == [Action.STEP, Action.TOGGLE_PAUSE, Action.QUIT]


def test_closing_the_window_is_quit_and_it_never_opens_again(screen: FakeScreen) -> None:
    window = window_with_a_frame(screen)
    screen.visible = False
    assert window.poll(1) == [Action.QUIT]
    window.show(IMAGE, segmentation(LABEL_MAP), STATUS)
    assert window.poll(1) == [Action.QUIT]
    assert screen.opened == 1 and len(screen.shown) == 1 and screen.destroyed == 0


def test_close_twice_destroys_once(screen: FakeScreen) -> None:
    with window_with_a_frame(screen) as window:
        window.close()
    window.close()
    assert screen.destroyed == 1


def test_close_before_the_first_frame_needs_no_window(screen: FakeScreen) -> None:
    window = Window("vidseg", RenderOptions())
    assert window.poll(0) == []
    window.close()
    assert screen.opened == 0 and screen.destroyed == 0


def test_a_screenshot_is_the_annotated_picture_without_messages(screen: FakeScreen, tmp_path: Path) -> None:
    window = window_with_a_frame(screen, RenderOptions(legend=True), tmp_path)
    screen.press("i")
    window.poll(1)
    screen.press("s")
    assert window.poll(1) == [Action.SCREENSHOT]
    saved = cv2.imread(str(tmp_path / "vidseg-shot-0001.png"))
    assert np.array_equal(saved[:, :, ::-1], rendered(RenderOptions(legend=True)))
    assert window.state.message == "saved vidseg-shot-0001.png"


def test_a_screenshot_right_after_a_view_key_has_the_new_view(screen: FakeScreen, tmp_path: Path) -> None:
    window = window_with_a_frame(screen, folder=tmp_path)
    screen.press("\t", "s")
    window.poll(1)
    saved = cv2.imread(str(tmp_path / "vidseg-shot-0001.png"))
    assert np.array_equal(saved[:, :, ::-1], rendered(RenderOptions(view="mask")))


def test_a_screenshot_that_cannot_be_saved_is_a_message(screen: FakeScreen, tmp_path: Path) -> None:
    window = window_with_a_frame(screen, folder=tmp_path / "missing")
    screen.press("s")
    assert window.poll(1) == [Action.SCREENSHOT]
    assert window.state.message == "cannot save the picture: No such file or directory"


def test_large_pictures_are_made_to_fit_the_screen(screen: FakeScreen) -> None:
    window = Window("vidseg", RenderOptions())
    window.show(noise(480, 640), segmentation(street(480, 640)), STATUS)
    window.show(noise(1080, 1920), segmentation(street(1080, 1920)), STATUS)
    window.show(noise(1080, 1920), segmentation(street(1080, 1920)), STATUS)
    assert screen.sizes == [(640, 480), (1152, 648)]


def test_full_screen_gets_black_bars_once_the_window_fills_the_screen(screen: FakeScreen) -> None:
    window = Window("vidseg", RenderOptions(), fullscreen=True)
    window.show(IMAGE, segmentation(LABEL_MAP), STATUS)
    assert screen.fullscreen == [True] and screen.shown[-1].shape == (480, 640, 3)
    screen.picture_rect = (107, 0, 1066, 800)
    window.poll(1)
    barred = screen.shown[-1]
    assert barred.shape == (480, 768, 3)
    assert not barred[:, :64].any() and not barred[:, -64:].any()
    assert np.array_equal(barred[:, 64:-64], rendered(RenderOptions()))
    screen.press("\x1b")
    assert window.poll(1) == []
    assert screen.fullscreen == [True, False] and screen.shown[-1].shape == (480, 640, 3)


def test_blurred_classes_stay_blurred_with_the_overlay_off(screen: FakeScreen) -> None:
    window = window_with_a_frame(screen, RenderOptions(blur_classes=(CAR,)))
    screen.press("m")
    window.poll(1)
    car = LABEL_MAP == CAR
    assert (screen.shown[-1][car] != IMAGE[car]).any(axis=1).mean() > 0.99


@pytest.mark.parametrize("keys", ["s", "ms", "bs", "m-s"])
def test_no_saved_picture_shows_what_is_hidden(screen: FakeScreen, tmp_path: Path, keys: str) -> None:
    options = RenderOptions(blur_classes=(CAR,), blur_style="fill", opacity=0.0)
    window = Window("vidseg", options, screenshot_folder=tmp_path)
    window.show(IMAGE, segmentation(LABEL_MAP), STATUS)
    screen.press(*keys)
    window.poll(1)
    (path,) = tmp_path.iterdir()
    saved = cv2.imread(str(path))
    assert not saved[:, :640][LABEL_MAP == CAR].any() and not saved[:, -640:][LABEL_MAP == CAR].any()
    assert saved[:100, 200:300].any()


def test_another_thread_is_refused(screen: FakeScreen) -> None:
    errors: list[BaseException] = []

    def make() -> None:
        try:
            Window("vidseg", RenderOptions())
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert "main thread only" in str(errors[0])


@pytest.mark.parametrize(("view", "as_it_is"), [("overlay", True), ("mask", True), ("side", False)])
def test_a_card_is_shown_as_it_is_in_every_view_of_its_size(screen: FakeScreen, view: str, as_it_is: bool) -> None:
    nothing = segmentation(np.full_like(LABEL_MAP, 255))
    with Window("vidseg", RenderOptions(view=view), clock=screen.clock) as window:
        window.show(IMAGE, nothing, WindowStatus(placeholder=True))
        window.poll(1)
        expected = IMAGE if as_it_is else OverlayRenderer(RenderOptions(view=view)).render(IMAGE, nothing)
        assert np.array_equal(window._picture, expected)
