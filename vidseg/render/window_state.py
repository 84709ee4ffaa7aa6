"""What the live window's keys do. No display is needed here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from vidseg.render.options import VIEWS, RenderOptions

MESSAGE_SECONDS = 1.5
"""How long a message stays on the picture."""
OPACITY_STEP = 0.1

KEY_HELP = (
    ("q Esc", "quit, or leave full screen"),
    ("Space p", "pause"),
    (".", "next frame"),
    ("Left Right", "5 seconds back, forward"),
    ("Down Up", "a minute back, forward"),
    ("o L", "loop"),
    ("[ ]", "slower, faster"),
    ("r s", "record; save a picture"),
    ("Tab", "overlay, mask, side, stack, split"),
    ("b m", "side by side; overlay on, off"),
    ("+ - 9 0", "opacity"),
    ("l c", "legend; class names"),
    ("i f", "timings; full screen"),
    ("? h", "this help"),
)


class Action(Enum):
    """What a key asks of the window's caller."""

    QUIT = auto()
    TOGGLE_PAUSE = auto()
    STEP = auto()
    """Show one more frame and stay paused."""
    SCREENSHOT = auto()
    """The window has saved the picture, or said why it could not; nothing is left to do."""
    BACK = auto()
    ON = auto()
    FAR_BACK = auto()
    FAR_ON = auto()
    LOOP = auto()
    SLOWER = auto()
    FASTER = auto()
    RECORD = auto()


_CHARACTERS = {
    "q": Action.QUIT,
    "\x1b": Action.QUIT,
    "s": Action.SCREENSHOT,
    "o": Action.LOOP,
    "L": Action.LOOP,  # Qt says "l" for it
    "[": Action.SLOWER,
    "]": Action.FASTER,
    "r": Action.RECORD,
}
_ARROWS = {
    Action.BACK: (65361, 0x250000, 63234),  # X11, Windows, macOS
    Action.ON: (65363, 0x270000, 63235),
    Action.FAR_BACK: (65364, 0x280000, 63233),
    Action.FAR_ON: (65362, 0x260000, 63232),
}
_BY_ARROW = {code: action for action, codes in _ARROWS.items() for code in codes}


@dataclass(frozen=True, slots=True)
class WindowStatus:
    """Metrics for the window; None where unknown."""

    fps: float | None = None
    latency_ms: float | None = None
    dropped: int | None = None
    frame_index: int | None = None
    seconds: float | None = None
    """Presentation time of the frame."""
    speed: float = 1.0
    """At which a file is to play."""
    costs_ms: Mapping[str, float] = field(default_factory=dict)
    """Mean milliseconds per frame, by what takes them."""
    placeholder: bool = False
    """True for a card in place of a picture: it is shown as it is in every view that has its size."""


class WindowState:
    """The view and its switches, changed by keys. Messages run out by `clock` (seconds)."""

    def __init__(
        self, options: RenderOptions, *, fullscreen: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        # what the run does not tell cannot be shown
        self._views = tuple(view for view in VIEWS if view != "confidence" or options.view == view)
        self._message: str | None = None
        self._message_until = 0.0
        self.options = options
        self.overlay_on = True
        self.fullscreen = fullscreen
        self.paused = False
        self.show_stats = False
        self.show_help = False
        self.recorded: float | None = None
        """Seconds of the recording under way."""

    @property
    def effective_options(self) -> RenderOptions:
        """What is drawn now: `options`, or the source alone while the overlay is off. Blurred classes stay blurred."""
        if self.overlay_on:
            return self.options
        return replace(self.options, opacity=0.0, view="overlay", contours=False, legend=False, labels=False)

    @property
    def message(self) -> str | None:
        """The message to show now, None once its time is over."""
        return self._message if self._clock() < self._message_until else None

    def say(self, message: str) -> None:
        """Show `message` for `MESSAGE_SECONDS`."""
        self._message, self._message_until = message, self._clock() + MESSAGE_SECONDS

    def handle_key(self, code: int) -> Action | None:
        """Do what the key with this character code is for; the part that the caller has to do, if any.

        Args:
            code: as `cv2.waitKeyEx` gives it: an ASCII code for characters, 27 for Esc, 9 for Tab, the system's own for
                arrows. Others only get a message; keys such as Shift not even that.
        """
        if code in _BY_ARROW:
            return _BY_ARROW[code]
        key = chr(code) if 0 <= code < 128 else ""
        if key == "\x1b" and self.fullscreen:
            self.fullscreen = False
            return None
        if key in _CHARACTERS:
            return _CHARACTERS[key]
        if key in (" ", "p"):
            self.paused = not self.paused
            self.say("paused" if self.paused else "playing")
            return Action.TOGGLE_PAUSE
        if key == ".":
            self.paused = True
            return Action.STEP
        if not self._change_view(key) and _is_pressed(code):
            name = key if key.isprintable() and key.strip() else "this key"
            self.say(f"{name}: does nothing; h shows the keys")
        return None

    def _change_view(self, key: str) -> bool:
        """False where the key is for nothing."""
        options = self.options
        match key:
            case "\t":
                view = self._views[(self._views.index(options.view) + 1) % len(self._views)]
                self._set(replace(options, view=view), f"view: {view}")
            case "b":
                view = "overlay" if options.view == "side" else "side"
                self._set(replace(options, view=view), f"view: {view}")
            case "+" | "=" | "0":
                self._step_opacity(OPACITY_STEP)
            case "-" | "_" | "9":
                self._step_opacity(-OPACITY_STEP)
            case "l":
                self._set(replace(options, legend=not options.legend), _switch("legend", not options.legend))
            case "c":
                self._set(replace(options, labels=not options.labels), _switch("class names", not options.labels))
            case "m":
                self.overlay_on = not self.overlay_on
                self.say(_switch("overlay", self.overlay_on))
            case "f":
                self.fullscreen = not self.fullscreen
            case "i":
                self.show_stats = not self.show_stats
            case "?" | "h":
                self.show_help = not self.show_help
            case _:
                return False
        return True

    def _step_opacity(self, step: float) -> None:
        # rounded, so that ten steps of 0.1 end at 1 exactly
        opacity = round(min(1.0, max(0.0, self.options.opacity + step)), 2)
        self._set(replace(self.options, opacity=opacity), f"opacity {opacity:.0%}".replace("%", " %"))

    def _set(self, options: RenderOptions, message: str) -> None:
        """Take new options, and show them: a view chosen while the overlay is off turns it on."""
        self.options, self.overlay_on = options, True
        self.say(message)


def _is_pressed(code: int) -> bool:
    """False for no key, and for those that are held with others, such as Shift."""
    held = 225 <= code <= 238 or 65025 <= code <= 65039 or 65505 <= code <= 65518 or code == 65407
    return code not in (-1, 0) and not held


def _switch(what: str, on: bool) -> str:
    return f"{what} {'on' if on else 'off'}"
