"""The newest result of a run, drawn for those who watch it over the network.

Nothing is drawn or encoded while nobody asks. A picture is made once per frame and per way of drawing, however many ask
for it, and only of the newest frame: who is slow skips frames, and nothing waits for him.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vidseg.errors import first_line
from vidseg.frames import Box, VideoInfo
from vidseg.labels import LabelSet
from vidseg.pipeline.options import Result
from vidseg.pipeline.pipeline import Pipeline
from vidseg.render.encode import encode_picture
from vidseg.render.legend import class_shares
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import OverlayRenderer
from vidseg.serve.view import Picture, PictureSpec, Ticket
from vidseg.viewers.recorder import Recorder

STALL_SECONDS = 2.0
"""Without a new frame for so long the page says that it waits."""
_KEPT_RENDERERS = 32
_KEPT_PICTURES = 16
"""Of one frame: one that stays in view, drawn in ever new ways, must not fill the memory."""


@dataclass(frozen=True, slots=True)
class _Newest:
    """The newest result and its place in the row of published ones, from 1."""

    number: int
    result: Result
    published: float
    latency_seconds: float | None


class WebView:
    """Satisfies `vidseg.serve.view.WebPictures`. `draw` runs on a thread of its own until `close`.

    Args:
        options: how pictures are drawn for those who wish nothing. What it blurs is blurred in every picture; a legend
            is left to the page.
        facts: told in the status as they are: source, model.
        info: of the source.
        say: told once, in one sentence, that a viewer's picture failed.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        options: RenderOptions,
        labels: LabelSet,
        recorder: Recorder,
        *,
        facts: dict[str, Any],
        info: VideoInfo,
        say: Callable[[str], object] = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._pipeline = pipeline
        self._options = replace(options, legend=False)
        self._recorder = recorder
        self._live = info.has_latency
        self._tiles = info.tiles
        self._facts = facts
        self._clock = clock
        self._labels = labels
        self._default = default_spec(options, self._labels)
        self._changed = threading.Condition()
        self._newest: _Newest | None = None
        self._tickets: list[Ticket] = []
        self._made: dict[PictureSpec, Picture] = {}
        self._renderers: OrderedDict[PictureSpec, OverlayRenderer] = OrderedDict()
        self._failed: dict[PictureSpec, int] = {}
        """The frames that could not be drawn in these ways, by their numbers."""
        self._ended = False
        self._closed = False

    # the run's side

    def publish(self, result: Result) -> None:
        """Make this result the one that is seen."""
        with self._changed:
            number = 1 if self._newest is None else self._newest.number + 1
            self._newest = _Newest(number, result, self._clock(), self._pipeline.age_seconds(result.frame))
            self._changed.notify_all()

    def end(self) -> None:
        """No more results will come; the newest can still be seen."""
        self._ended = True

    def close(self) -> None:
        """End for the viewers too."""
        with self._changed:
            self._ended = self._closed = True
            waiting, self._tickets = self._tickets, []
            self._changed.notify_all()
        for ticket in waiting:
            ticket.deliver(None)

    def draw(self) -> None:
        """Answer tickets until `close`."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._due())
                if self._closed:
                    return
                newest = self._newest
                assert newest is not None
                due = self._due()
                self._tickets = [ticket for ticket in self._tickets if ticket not in due]
            for ticket in due:
                try:
                    ticket.deliver(self._picture(ticket.spec, newest))
                except Exception as error:
                    self._put_back(ticket, newest, error)

    def _due(self) -> list[Ticket]:
        newest = self._newest
        if newest is None:
            return []
        return [
            ticket
            for ticket in self._tickets
            if ticket.after < newest.number and self._failed.get(ticket.spec) != newest.number
        ]

    def _put_back(self, ticket: Ticket, newest: _Newest, error: Exception) -> None:
        """Let one viewer wait for a frame that can be drawn as he likes; the others and the run have no part in it."""
        if not self._failed:
            self._say(
                f"a picture for a viewer failed ({type(error).__name__}: {first_line(error)}); the others continue"
            )
        with self._changed:
            self._failed[ticket.spec] = newest.number
            if not self._closed:
                self._tickets.append(ticket)
                return
        with suppress(Exception):
            ticket.deliver(None)

    def _picture(self, spec: PictureSpec, newest: _Newest) -> Picture:
        made = self._made.get(spec)
        if made is not None and made.number == newest.number:
            return made
        renderer = self._renderer(replace(spec, max_width=None, encoding="jpeg", stream=None))
        result = newest.result if spec.stream is None else _cropped(newest.result, self._tiles[spec.stream][1])
        if result.frame.placeholder:
            drawn = result.frame.image  # a view of masks alone, or one that hides, would leave its words out
        else:
            drawn = renderer.render(result.frame.image, result.segmentation)
        picture = Picture(newest.number, encode_picture(drawn, spec.encoding, max_width=spec.max_width))
        recent = [(key, old) for key, old in self._made.items() if old.number == newest.number]
        self._made = {**dict(recent[1 - _KEPT_PICTURES :]), spec: picture}
        return picture

    def _renderer(self, spec: PictureSpec) -> OverlayRenderer:
        if spec not in self._renderers:
            self._renderers[spec] = OverlayRenderer(options_of(spec, self._options), self._labels)
            if len(self._renderers) > _KEPT_RENDERERS:
                self._renderers.popitem(last=False)
        self._renderers.move_to_end(spec)
        return self._renderers[spec]

    # the viewers' side

    @property
    def default(self) -> PictureSpec:
        """How the configuration draws."""
        return self._default

    @property
    def class_count(self) -> int:
        """150 with ADE20K."""
        return len(self._labels)

    @property
    def stream_count(self) -> int:
        """0 where there is one source."""
        return len(self._tiles)

    @property
    def has_confidence(self) -> bool:
        """As the configuration says."""
        return bool(self._facts.get("confidence"))

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._closed

    def ask(self, ticket: Ticket) -> None:
        """Queue the ticket for `draw`."""
        with self._changed:
            if not self._closed:
                self._tickets.append(ticket)
                self._changed.notify_all()
                return
        ticket.deliver(None)

    def forget(self, ticket: Ticket) -> None:
        """Take the ticket back, if it is still queued."""
        with self._changed:
            if ticket in self._tickets:
                self._tickets.remove(ticket)

    def status(self, stream: int | None = None) -> dict[str, Any]:
        """What the page shows beside the picture; `classes` are those of the newest frame, hidden ones included.

        Args:
            stream: of a grid the one whose classes are told, from 0; None for all.
        """
        pipeline, newest, spec = self._pipeline, self._newest, self._default
        state = "ended" if self._ended else "waiting"
        numbers: dict[str, Any] = {"size": None, "frame": None, "seconds": None, "latency_ms": None}
        numbers |= {"classes": [], "streams": [name for name, _ in self._tiles]}
        if newest is not None:
            if not self._ended and self._clock() - newest.published < STALL_SECONDS:
                state = "live" if self._live else "playing"
            height, width = newest.result.frame.size_hw
            numbers["size"] = [width, height]
            numbers["frame"] = newest.result.frame.index
            numbers["seconds"] = newest.result.frame.seconds
            if newest.latency_seconds is not None and self._live:
                numbers["latency_ms"] = 1000 * newest.latency_seconds
            label_map = newest.result.segmentation.label_map
            if stream is not None:
                top, left, bottom, right = self._tiles[stream][1]
                label_map = label_map[top:bottom, left:right]
            numbers["classes"] = [
                {"id": k, "name": self._labels.names[k], "rgb": self._labels.palette[k].tolist(), "share": share}
                for k, share in class_shares(label_map).items()
                if k < len(self._labels)
            ]
        return {
            **self._facts,
            "live": self._live,
            "state": state,
            "fps": pipeline.output_rate.rate,
            "source_fps": pipeline.input_rate.rate,
            "dropped": pipeline.dropped,
            "delivered": pipeline.stats.delivered,
            **numbers,
            "class_count": len(self._labels),
            "look": {
                "view": spec.view,
                "opacity": spec.opacity,
                "hidden": list(spec.hidden),
                "contours": spec.contours,
                "labels": spec.labels,
            },
            "recording": self._recorder.status(),
        }

    def start_recording(self, spec: PictureSpec) -> None:
        """Record the coming results as `spec` draws them, at full size. Raises ValueError where that cannot be."""
        if self._ended:
            raise ValueError("the video has ended; there is nothing to record")
        self._recorder.start(options_of(spec, self._options))

    def stop_recording(self) -> None:
        """Finish the file."""
        self._recorder.stop()

    def recording(self, name: str) -> Path | None:
        """A finished recording of this run."""
        return next((path for path in map(Path, self._recorder.files) if path.name == name), None)


def _cropped(result: Result, box: Box) -> Result:
    """The part of a frame in the box, and what is in it."""
    top, left, bottom, right = box
    frame, segmentation = result.frame, result.segmentation
    kept = [
        (max(above, top) - top, max(before, left) - left, min(below, bottom) - top, min(behind, right) - left)
        for above, before, below, behind in segmentation.as_is
        if above < bottom and below > top and before < right and behind > left
    ]
    label_map = np.ascontiguousarray(segmentation.label_map[top:bottom, left:right])
    image = np.ascontiguousarray(frame.image[top:bottom, left:right])
    return Result(replace(frame, image=image), replace(segmentation, label_map=label_map, as_is=tuple(kept)))


def default_spec(options: RenderOptions, labels: LabelSet) -> PictureSpec:
    """What a viewer sees first: what the options say."""
    shown = set(options.classes or range(len(labels))) - set(options.ignore_classes)
    hidden = tuple(k for k in range(len(labels)) if k not in shown)
    return PictureSpec(options.view, options.opacity, hidden, options.contours, options.labels)


def options_of(spec: PictureSpec, base: RenderOptions) -> RenderOptions:
    """How a viewer's picture is drawn; what is to be blurred is not the viewer's to say."""
    return replace(
        base,
        view=spec.view,
        opacity=spec.opacity,
        classes=(),
        ignore_classes=spec.hidden,
        contours=spec.contours,
        labels=spec.labels,
    )
