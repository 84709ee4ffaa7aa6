"""The live window."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from vidseg.errors import short_reason
from vidseg.frames import Segmentation, UInt8Array, unless_card
from vidseg.labels import LabelSet
from vidseg.render.display import find_display
from vidseg.render.options import RenderOptions
from vidseg.render.osd import Row, draw_rows, status_rows
from vidseg.render.overlay import OverlayRenderer
from vidseg.render.screenshot import save_screenshot
from vidseg.render.window_state import KEY_HELP, Action, WindowState, WindowStatus
from vidseg.timing import clock_time

_NO_KEY = -1
_KEYS_PER_POLL = 32
_SCREEN_SHARE = 0.9
_ASSUMED_SCREEN = (1920, 1080)
_NUDGES = 10
_NUDGE_SECONDS = 0.2


class Window:
    """Shows pictures and reads keys. To be made and used in the main thread only.

    Renders on its own, so that keys change the view at once, paused or not. The window opens with the first picture.

    Raises:
        DisplayError: no window can be shown here.
    """

    def __init__(
        self,
        title: str,
        options: RenderOptions,
        fullscreen: bool = False,
        *,
        labels: LabelSet | None = None,
        screenshot_folder: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a Window works in the main thread only")
        self._screen = find_display() or _ASSUMED_SCREEN
        self.state = WindowState(options, fullscreen=fullscreen, clock=clock)
        self._clock = clock
        self._title = title
        self._labels = labels
        self._screenshot_folder = Path() if screenshot_folder is None else screenshot_folder
        self._renderer = OverlayRenderer(options, labels)
        self._current: tuple[UInt8Array, Segmentation, WindowStatus] | None = None
        self._picture: UInt8Array | None = None
        self._nudges_left = _NUDGES
        self._next_nudge = 0.0
        self._drawn: object = None
        self._shown_size: tuple[int, int] | None = None
        self._shown_fullscreen = False
        self._open = False
        self._closed = False

    @property
    def paused(self) -> bool:
        """True after a pause or step key, until the next pause key."""
        return self.state.paused

    def show(self, image: UInt8Array, segmentation: Segmentation, status: WindowStatus) -> None:
        """Show a frame, (H, W, 3) uint8 RGB, with the current view. It appears during the next `poll`.

        After the window was closed nothing happens.
        """
        self._current = (image, segmentation, status)
        self.refresh()

    def refresh(self) -> None:
        """Draw the current frame again, with the view as it is now."""
        if self._closed or self._current is None:
            return
        image, segmentation, status = self._current
        options = self.state.effective_options
        if options != self._renderer.options:
            self._renderer = OverlayRenderer(options, self._labels)
        self._drawn = self._look()
        self._picture = unless_card(self._renderer.render(image, segmentation), image, status.placeholder)
        canvas = np.asarray(cv2.cvtColor(self._picture, cv2.COLOR_RGB2BGR), dtype=np.uint8)
        self._draw_osd(canvas, status)
        self._fit(canvas.shape[1], canvas.shape[0])
        if self._fills_screen():
            canvas = _with_bars(canvas, *self._screen)
        cv2.imshow(self._title, canvas)

    def poll(self, wait_ms: int) -> list[Action]:
        """Let the window work for up to `wait_ms` and return what its keys ask for.

        Returns at the first key, with those that wait behind it. Must be called often, paused or not: windows are
        painted in here. `Action.QUIT` comes from the keys and from closing the window.
        """
        if self._closed:
            return [Action.QUIT]
        if not self._open:
            time.sleep(max(0, wait_ms) / 1000)
            return []
        actions = []
        code = cv2.waitKeyEx(max(1, wait_ms))
        for _ in range(_KEYS_PER_POLL):
            if code == _NO_KEY:
                break
            action = self.state.handle_key(code)
            if action is Action.SCREENSHOT:
                self._save_screenshot()
            if action is not None:
                actions.append(action)
            code = cv2.waitKeyEx(1)
        if not self._is_visible():
            self.close()
            return [*actions, Action.QUIT]
        if self._drawn != self._look():
            self.refresh()
        self._nudge()
        return actions

    def close(self) -> None:
        """Take the window away; safe to call twice."""
        self._closed = True
        if not self._open:
            return
        self._open = False
        if self._is_visible():
            cv2.destroyWindow(self._title)
            cv2.waitKeyEx(1)  # the window goes when events are handled

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _nudge(self) -> None:
        """Make the X server send the window something, a few times after it was opened.

        In about one start of twenty Qt sleeps over the event that the window is on the screen, and leaves it black
        until the next event of any kind. A change of title causes one.
        """
        if self._nudges_left and self._clock() >= self._next_nudge:
            self._nudges_left -= 1
            self._next_nudge = self._clock() + _NUDGE_SECONDS
            cv2.setWindowTitle(self._title, self._title + " " * (self._nudges_left % 2))

    def _look(self) -> object:
        """All that the drawing depends on apart from the frame."""
        state = self.state
        switches = (state.show_stats, state.show_help, state.fullscreen, state.recorded is None)
        return state.effective_options, state.message, switches, self._fills_screen()

    def _draw_osd(self, canvas: UInt8Array, status: WindowStatus) -> None:
        state = self.state
        bottom = 0
        if state.recorded is not None:
            bottom = draw_rows(canvas, [("recording", clock_time(state.recorded))])
        if state.message is not None:
            bottom = draw_rows(canvas, [(state.message,)], top=bottom)
        if state.show_stats:
            view = state.options.view if state.overlay_on else "source"
            rows: list[Row] = status_rows(status, f"{view}, opacity {state.effective_options.opacity:.1f}")
            bottom = draw_rows(canvas, rows, top=bottom)
        if state.show_help:
            draw_rows(canvas, KEY_HELP, top=bottom)

    def _fit(self, width: int, height: int) -> None:
        """Open the window where it is not, and give it the size of the picture, or what of it fits the screen."""
        if not self._open:
            # Qt says on stderr what users can do nothing about: font folders, Wayland sessions
            os.environ.setdefault("QT_LOGGING_RULES", "*.info=false;*.warning=false")
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            self._open = True
        if self.state.fullscreen != self._shown_fullscreen:
            self._shown_fullscreen = self.state.fullscreen
            mode = cv2.WINDOW_FULLSCREEN if self._shown_fullscreen else cv2.WINDOW_NORMAL
            cv2.setWindowProperty(self._title, cv2.WND_PROP_FULLSCREEN, mode)
        if self._shown_size != (width, height) and not self._shown_fullscreen:
            self._shown_size = (width, height)
            scale = min(1.0, _SCREEN_SHARE * self._screen[0] / width, _SCREEN_SHARE * self._screen[1] / height)
            cv2.resizeWindow(self._title, max(1, round(width * scale)), max(1, round(height * scale)))

    def _fills_screen(self) -> bool:
        """True once the window is as large as the whole screen; not where the screen is made of several monitors."""
        if not (self._open and self._shown_fullscreen):
            return False
        x, y, width, height = cv2.getWindowImageRect(self._title)  # the picture, in the middle of the window
        return abs(2 * x + width - self._screen[0]) <= 2 and abs(2 * y + height - self._screen[1]) <= 2

    def _save_screenshot(self) -> None:
        if self._drawn != self._look():
            self.refresh()  # a key just before may have changed the view
        if self._picture is None:
            return
        try:
            path = save_screenshot(self._picture, self._screenshot_folder)
        except OSError as error:
            self.state.say(f"cannot save the picture: {short_reason(error)}")
        else:
            self.state.say(f"saved {path.name}")

    def _is_visible(self) -> bool:
        try:
            return bool(cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1)
        except cv2.error:
            return False


def _with_bars(canvas: UInt8Array, screen_width: int, screen_height: int) -> UInt8Array:
    """`canvas` with black bars that give it the screen's shape; Qt would leave light grey there."""
    height, width = canvas.shape[:2]
    across = max(0, round(height * screen_width / screen_height) - width)
    down = max(0, round(width * screen_height / screen_width) - height)
    if across <= 1 and down <= 1:
        return canvas
    bars = (down // 2, down - down // 2, across // 2, across - across // 2)
    return np.asarray(cv2.copyMakeBorder(canvas, *bars, cv2.BORDER_CONSTANT, value=(0, 0, 0)), dtype=np.uint8)
