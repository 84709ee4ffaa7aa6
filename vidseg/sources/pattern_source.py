"""A generated moving test picture: a source for trying things out without a camera or a file."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np

from vidseg.errors import ConfigError
from vidseg.frames import Frame, UInt8Array, VideoInfo
from vidseg.names import shown_name
from vidseg.saved_state import State
from vidseg.sources.source_base import SourceBase

DEFAULT_SECONDS = 10
SMALLEST, LARGEST = 16, 16_384
STRIP_BITS = 24
"""Cells of the machine-readable strip along the bottom edge."""

_USAGE = "write test, test:1280x720@30 or test:1280x720@30,frames=300 (options: frames=N or inf, seconds=S, realtime)"
_HEAD = re.compile(r"(?:(?P<width>\d{1,6})x(?P<height>\d{1,6}))?(?:@(?P<rate>\d{1,6}(?:[./]\d{1,6})?))?")


@dataclass(frozen=True, slots=True)
class PatternOptions:
    """What `test:...` can say."""

    width: int = 640
    height: int = 360
    frame_rate: Fraction = Fraction(30)
    frames: int | None = None
    """Number of frames; None for an endless pattern, if `endless`, or else 10 seconds."""
    realtime: bool = False
    """True to send frames at their times, as a camera does; False to make them as fast as they are asked for."""
    endless: bool = False

    @property
    def frame_count(self) -> int | None:
        """Frames that will come; None for no end. A pattern in real time has none unless told."""
        if self.frames is not None:
            return self.frames
        return None if self.endless or self.realtime else max(1, round(DEFAULT_SECONDS * self.frame_rate))


class PatternSource(SourceBase):
    """Frames with a colour gradient, moving shapes, the frame number in digits and as a strip of black and white cells.

    Every frame depends on its number alone. In real time `interrupt` ends the wait for the next frame at once.

    Args:
        spec: "test", "test:1280x720@30", "test:1280x720@30,frames=300".
        realtime: True sends frames at their times whatever `spec` says.
        endless: True gives a pattern no end, unless `spec` says one.
        clock: seconds that never run backwards.
        wait: waits for so many seconds and returns True if it was interrupted; the default ends on `interrupt`.
    Raises:
        ConfigError: `spec` cannot be understood.
    """

    def __init__(
        self,
        spec: str = "test",
        *,
        realtime: bool = False,
        endless: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        super().__init__()
        options = parse_pattern(spec)
        self._options = options = replace(
            options, realtime=options.realtime or realtime, endless=options.endless or endless
        )
        self._clock = clock
        self._wait = wait or self._stop.wait
        count = options.frame_count
        self._info = VideoInfo(
            width=options.width,
            height=options.height,
            time_base=1 / options.frame_rate,
            frame_rate=options.frame_rate,
            frame_count=count,
            duration_seconds=None if count is None else float(count / options.frame_rate),
            live=options.realtime,
        )
        self._index = 0

    def state(self) -> State:
        """The number of the next frame."""
        return {"index": self._index}

    def restore(self, state: State) -> None:
        """Go on at that frame."""
        self._index = state["index"]

    def _frames(self) -> Iterator[Frame]:
        options = self._options
        self._index = max(self._index, math.ceil(self.part.start * options.frame_rate))
        background = _background(options.width, options.height)
        start = self._clock()
        while options.frame_count is None or self._index < options.frame_count:
            index = self._index
            if options.realtime:
                ahead = start + float(index / options.frame_rate) - self._clock()
                if ahead > 0 and self._wait(ahead):
                    return
            image = draw_pattern(background, index, index / options.frame_rate)
            self._index += 1
            yield Frame(image, index, index, self._info.time_base, duration=1)


def parse_pattern(spec: str) -> PatternOptions:
    """The options in "test", "test:WIDTHxHEIGHT@RATE,frames=N,seconds=S,realtime"; all parts may be left out.

    Raises:
        ConfigError: anything else.
    """
    word, _, rest = spec.partition(":")
    words = rest.split(",") if rest else []
    # "test:frames=3" has no size in front.
    found = _HEAD.fullmatch(words[0]) if words else None
    if found is not None:
        del words[0]
    if word != "test" or not rest.isascii():
        raise ConfigError(f"{shown_name(spec)}: not a test pattern; {_USAGE}")
    options = PatternOptions()
    try:
        if found is not None and found["width"]:
            options = replace(options, width=int(found["width"]), height=int(found["height"]))
        if found is not None and found["rate"]:
            options = replace(options, frame_rate=Fraction(found["rate"]))
        for option in words:
            options = _with_option(options, option)
    except (ValueError, ZeroDivisionError) as error:
        raise ConfigError(f"{shown_name(spec)}: {error}; {_USAGE}") from None
    if not (SMALLEST <= options.width <= LARGEST and SMALLEST <= options.height <= LARGEST):
        raise ConfigError(f"{shown_name(spec)}: size must be {SMALLEST}..{LARGEST} pixels each way")
    if not 0 < options.frame_rate <= 1000:
        raise ConfigError(f"{shown_name(spec)}: frame rate must be above 0 and at most 1000")
    return options


def _with_option(options: PatternOptions, text: str) -> PatternOptions:
    """`options` changed by one word such as "frames=300".

    Raises:
        ValueError: unknown word or value.
    """
    name, _, value = text.partition("=")
    if text == "realtime":
        return replace(options, realtime=True)
    if text == "frames=inf":
        return replace(options, endless=True, frames=None)
    if name == "frames" and re.fullmatch(r"[1-9]\d{0,8}", value):
        return replace(options, frames=int(value))
    if name == "seconds" and re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value) and float(value) > 0:
        return replace(options, frames=max(1, round(Fraction(value) * options.frame_rate)))
    raise ValueError(f"unknown option '{shown_name(text)}'")


def draw_pattern(background: UInt8Array, index: int, seconds: Fraction) -> UInt8Array:
    """A new picture: `background` moved, two shapes, `index` as digits and as a strip."""
    height, width = background.shape[:2]
    image = np.roll(background, -(index * max(1, width // 160)) % width, axis=1)
    small = min(width, height)
    phase = float(seconds % 4) / 4
    # A disc that goes round and a box that goes to and fro, once in four seconds.
    centre = (
        round(width / 2 + 0.35 * width * float(np.cos(2 * np.pi * phase))),
        round(height / 2 + 0.3 * height * float(np.sin(2 * np.pi * phase))),
    )
    cv2.circle(image, centre, max(1, small // 8), (235, 60, 50), -1, cv2.LINE_AA)
    left = round((width - small // 5) * abs(2 * phase - 1))
    cv2.rectangle(image, (left, height // 8), (left + small // 5, height // 8 + small // 6), (40, 90, 225), -1)
    _draw_number(image, index)
    strip_height = max(1, height // 24)
    cells = (index >> np.arange(STRIP_BITS)[::-1]) & 1
    edges = np.linspace(0, width, STRIP_BITS + 1).astype(int)
    image[-strip_height:] = (np.repeat(cells, np.diff(edges)) * 255).astype(np.uint8)[None, :, None]
    return image


def _background(width: int, height: int) -> UInt8Array:
    """(height, width, 3): all hues from left to right, once round, darker towards the bottom."""
    hue = np.broadcast_to(np.linspace(0, 180, width, endpoint=False).astype(np.uint8), (height, width))
    value = np.broadcast_to(np.linspace(230, 90, height).astype(np.uint8)[:, None], (height, width))
    hsv = np.dstack([hue, np.full_like(hue, 140), value])
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def _draw_number(image: UInt8Array, index: int) -> None:
    """Big digits in the middle: white with a dark shadow, readable on any colour."""
    height, width = image.shape[:2]
    text, font = str(index), cv2.FONT_HERSHEY_SIMPLEX
    scale = min(height / 90, width / (24 * max(4, len(text))))
    thickness = max(1, round(scale * 2))
    (text_width, text_height), _ = cv2.getTextSize(text, font, scale, thickness)
    place = ((width - text_width) // 2, (height + text_height) // 2)
    # A shadow rather than an outline: the fonts of OpenCV 5 do not grow thicker outwards.
    shadow = (place[0] + thickness, place[1] + thickness)
    for position, grey in ((shadow, 0), (place, 255)):
        cv2.putText(image, text, position, font, scale, (grey, grey, grey), thickness, cv2.LINE_AA)
