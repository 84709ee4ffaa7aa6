"""What the web server asks of the run: pictures drawn as a viewer likes, and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

VIEWS = ("overlay", "mask", "side", "stack", "split", "confidence")
WIDTHS = (480, 640, 960, 1280, 1920, 2560)
"""Widths that a viewer can ask for, in pixels: few, so that viewers share pictures."""
_SWITCH = {"0": False, "1": True}


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """How a viewer wants its picture. Equal ones share one picture."""

    view: str = "overlay"
    opacity: float = 0.5
    hidden: tuple[int, ...] = ()
    """Class ids that are not coloured, rising."""
    contours: bool = False
    labels: bool = False
    max_width: int | None = None
    """One of `WIDTHS`; None for full size."""
    encoding: str = "jpeg"
    stream: int | None = None
    """Of a grid the one that is shown, from 0; None for all."""


def parse_spec(
    query: Mapping[str, str],
    default: PictureSpec,
    *,
    class_count: int,
    stream_count: int = 0,
    has_confidence: bool = False,
) -> PictureSpec:
    """The wishes in a query string, `default` where it says nothing.

    Args:
        query: view, opacity (0..1, counted in hundredths), hide (class ids with commas), contours, labels (0 or 1),
            stream (number of one in a grid, from 0; empty: all), width (in pixels, rounded up to one of `WIDTHS`).
            Other keys are not looked at.
    Raises:
        ValueError: a value is out of range; one line for the viewer.
    """
    view = query.get("view", default.view)
    views = [name for name in VIEWS if name != "confidence" or has_confidence]
    if view not in views:
        raise ValueError(f"view is {view!r}; accepted: {', '.join(views)}")
    opacity = _number(query, "opacity", default.opacity, 0, 1)
    hidden = default.hidden
    if "hide" in query:
        words = [word for word in query["hide"].split(",") if word]
        if len(words) > class_count or any(not w.isascii() or not w.isdigit() or len(w) > 3 for w in words):
            raise ValueError("hide accepts class ids separated by commas, e.g. 2,13")
        hidden = tuple(sorted({int(word) for word in words}))
        if hidden and hidden[-1] >= class_count:
            raise ValueError(f"hide contains {hidden[-1]}; accepted: class ids from 0 to {class_count - 1}")
    stream = default.stream
    if query.get("stream"):
        word = query["stream"]
        if not word.isascii() or not word.isdigit() or len(word) > 3 or int(word) >= stream_count:
            raise ValueError(f"stream is {word!r}; accepted: numbers from 0 to {stream_count - 1}, or nothing for all")
        stream = int(word)
    max_width = default.max_width
    if "width" in query:
        wish = _number(query, "width", 0, 1, 100_000)
        max_width = next((width for width in WIDTHS if width >= wish), None)
    return PictureSpec(
        view,
        round(opacity, 2),
        hidden,
        _switch(query, "contours", default.contours),
        _switch(query, "labels", default.labels),
        max_width,
        default.encoding,
        stream,
    )


def _number(query: Mapping[str, str], key: str, default: float, low: float, high: float) -> float:
    try:
        value = float(query.get(key, default))
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise ValueError(f"{key} is {query[key]!r}; accepted: a number from {low:g} to {high:g}")
    return value


def _switch(query: Mapping[str, str], key: str, default: bool) -> bool:
    word = query.get(key)
    if word is None:
        return default
    if word not in _SWITCH:
        raise ValueError(f"{key} is {word!r}; accepted: 0 or 1")
    return _SWITCH[word]


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded picture and the number of the frame it shows; numbers rise, from 1."""

    number: int
    data: bytes


@dataclass(frozen=True, eq=False, slots=True)
class Ticket:
    """One viewer waiting for one picture."""

    spec: PictureSpec
    after: int
    """The number of the frame that the viewer has."""
    deliver: Callable[[Picture | None], None]


class WebPictures(Protocol):
    """The run as the web server sees it. Everything may be called from any thread and returns at once."""

    @property
    def default(self) -> PictureSpec:
        """How the picture is drawn for a viewer who says nothing."""
        ...

    @property
    def class_count(self) -> int:
        """Class ids are below it."""
        ...

    @property
    def stream_count(self) -> int:
        """Streams of a grid that can be seen by themselves; 0 without a grid."""
        ...

    @property
    def has_confidence(self) -> bool:
        """True where the run keeps how sure the model is, so that it can be shown."""
        ...

    @property
    def closed(self) -> bool:
        """True when no picture will come any more, not even the newest."""
        ...

    def ask(self, ticket: Ticket) -> None:
        """Answer the ticket once there is a newer frame than it has, with the newest; None when none will come."""
        ...

    def forget(self, ticket: Ticket) -> None:
        """The viewer does not wait any more. Does nothing when it was answered already."""
        ...

    def status(self, stream: int | None = None) -> dict[str, Any]:
        """Metrics for the page, fit for JSON; the classes are those of one stream of a grid, if it is given."""
        ...

    def start_recording(self, spec: PictureSpec) -> None:
        """Record from now on as `spec` is drawn, at full size. Raises ValueError where that is not possible."""
        ...

    def stop_recording(self) -> None:
        """Finish the file; does nothing when none is under way."""
        ...

    def recording(self, name: str) -> Path | None:
        """A finished recording; None where there is none of this name."""
        ...
